//! read_and_drop: reads what the first visitor says, shows it, and does not answer.
//!
//!     cargo run --bin read_and_drop

use std::io::{self, Read, Write};
use std::net::TcpListener;

const ADDRESS: &str = "127.0.0.1:8888";
const REQUEST_SIZE: usize = 1024; // bytes: all that is ever read of a request

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(ADDRESS)?;
    println!("Listening on {ADDRESS}");

    let (mut connection, peer) = listener.accept()?;
    println!("{peer} is here");

    let mut request = [0; REQUEST_SIZE];
    let received = connection.read(&mut request)?;
    io::stdout().write_all(&request[..received])?;
    drop(connection);
    Ok(())
}
