//! listener_dropped: listen_and_sleep with an underscore in place of a name.
//!
//!     cargo run --bin listener_dropped

use std::io;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

const ADDRESS: &str = "127.0.0.1:8888";

fn main() -> io::Result<()> {
    let _ = TcpListener::bind(ADDRESS)?;
    println!("Listening on {ADDRESS}");
    thread::sleep(Duration::from_secs(3600));
    Ok(())
}
