//! listen_and_sleep: a listening socket, and nobody awake behind it.
//!
//!     cargo run --bin listen_and_sleep

use std::io;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

const ADDRESS: &str = "127.0.0.1:8888";

fn main() -> io::Result<()> {
    let _listener = TcpListener::bind(ADDRESS)?;
    println!("Listening on {ADDRESS}");
    thread::sleep(Duration::from_secs(3600));
    Ok(())
}
