//! one_after_another: serves its visitors one after another, until something fails.
//!
//!     cargo run --bin one_after_another

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

const ADDRESS: &str = "127.0.0.1:8888";
const REQUEST_SIZE: usize = 1024; // bytes: all that is ever read of a request
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\n\nHello, World!\n";

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(ADDRESS)?;
    println!("Listening on {ADDRESS}");

    loop {
        let (connection, _peer) = listener.accept()?;
        handle_request(connection)?;
    }
}

fn handle_request(mut connection: TcpStream) -> io::Result<()> {
    let mut request = [0; REQUEST_SIZE];
    let received = connection.read(&mut request)?;
    io::stdout().write_all(&request[..received])?;
    connection.write_all(RESPONSE)
}
