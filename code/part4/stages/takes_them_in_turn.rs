//! One client after the other: whoever says nothing holds the others up.
//!
//!     cargo run --bin takes_them_in_turn

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nHello, World!\n";

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8888"))?;
    println!("Serving HTTP on http://{}/ ...", listener.local_addr()?);
    println!("process {}", std::process::id());
    loop {
        let (client, _) = listener.accept()?;
        is_done(&client);
    }
}

/// Reads what a client says, and answers. Whether there is nothing more to do.
fn is_done(mut client: &TcpStream) -> bool {
    match client.read(&mut [0; 1024]) {
        Ok(0) => true, // it has left
        Ok(_) => {
            let _ = client.write_all(ANSWER);
            true
        }
        Err(_) => true,
    }
}
