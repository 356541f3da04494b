//! connection_kept: read_then_write that keeps the connection, and sleeps.
//!
//!     cargo run --bin connection_kept

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

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
    thread::sleep(Duration::from_secs(3600));
    Ok(())
}
