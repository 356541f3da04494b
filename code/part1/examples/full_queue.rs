//! How many connections wait for a server that never takes one.
//!
//!     cargo run -p part1 --example full_queue

// ANCHOR: program
use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mut clients = Vec::new();
    let error = loop {
        match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
            Ok(client) => clients.push(client),
            Err(error) => break error,
        }
    };
    println!("{} are connected; the next: {error}", clients.len());
    Ok(())
}
// ANCHOR_END: program
