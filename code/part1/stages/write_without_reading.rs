//! write_without_reading: answers the first visitor without having read the request.
//!
//!     cargo run --bin write_without_reading

use std::io::{self, Write};
use std::net::TcpListener;

const ADDRESS: &str = "127.0.0.1:8888";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\n\nHello, World!\n";

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(ADDRESS)?;
    println!("Listening on {ADDRESS}");

    let (mut connection, peer) = listener.accept()?;
    println!("{peer} is here");

    connection.write_all(RESPONSE)?;
    drop(connection);
    Ok(())
}
