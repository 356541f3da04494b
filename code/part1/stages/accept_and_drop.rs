//! accept_and_drop: takes the first visitor's connection, and lets it go again.
//!
//!     cargo run --bin accept_and_drop

use std::io;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

const ADDRESS: &str = "127.0.0.1:8888";

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(ADDRESS)?;
    println!("Listening on {ADDRESS}");

    let (connection, peer) = listener.accept()?;
    println!("{peer} is here");
    thread::sleep(Duration::from_secs(1)); // until its request has come
    drop(connection);
    Ok(())
}
