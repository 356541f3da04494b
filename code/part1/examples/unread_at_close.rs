//! A connection that is closed before its request was read: in time, and too early.
//!
//!     cargo run -p part1 --example unread_at_close

// ANCHOR: program
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    for asks_first in [true, false] {
        let mut client = TcpStream::connect(listener.local_addr()?)?;
        let (mut server, _) = listener.accept()?;
        server.write_all(b"Hello, World!\n")?;
        if asks_first {
            client.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
            server.peek(&mut [0])?; // waits for the request and leaves it there
            drop(server);
        } else {
            drop(server);
            client.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
        }

        let mut answer = Vec::new();
        match client.read_to_end(&mut answer) {
            Ok(_) => println!("{} bytes, then the end", answer.len()),
            Err(error) => println!("{} bytes, then {error}", answer.len()),
        }
    }
    Ok(())
}
// ANCHOR_END: program
