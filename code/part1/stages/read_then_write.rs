//! read_then_write: serves its first visitor, and ends.
//!
//!     cargo run --bin read_then_write

use std::io::{self, Read, Write};
use std::net::TcpListener;

const ADDRESS: &str = "127.0.0.1:8888";
const REQUEST_SIZE: usize = 1024; // bytes: all that is ever read of a request
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\n\nHello, World!\n";

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(ADDRESS)?;
    println!("Listening on {ADDRESS}");

    let (mut connection, peer) = listener.accept()?;
    println!("{peer} is here");

    let mut request = [0; REQUEST_SIZE];
    let received = connection.read(&mut request)?;
    io::stdout().write_all(&request[..received])?;
    connection.write_all(RESPONSE)?;
    drop(connection);
    Ok(())
}
