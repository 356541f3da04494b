//! Clients that connect and say nothing.
//!
//!     cargo run -p part4 --example silent -- 100

// ANCHOR: program
use nix::libc;
use nix::sys::resource::{getrlimit, setrlimit, Resource};
use nix::sys::socket::{setsockopt, sockopt};
use std::io::{self, Read};
use std::net::TcpStream;

/// A close is a reset, which leaves nothing behind in the kernel.
const RESET: libc::linger = libc::linger {
    l_onoff: 1,
    l_linger: 0,
};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let number = arguments.next().and_then(|number| number.parse().ok());
    let number: usize = number.ok_or_else(|| io::Error::other("how many?"))?;
    let address = arguments.next().unwrap_or("127.0.0.1:8888".to_string());

    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let most = most.min(number as u64 + 100); // macOS refuses "without limit"
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let mut clients = Vec::new();
    while clients.len() < number {
        let client = TcpStream::connect(&address)?;
        setsockopt(&client, sockopt::Linger, &RESET)?;
        clients.push(client);
    }
    println!("{number} clients");
    io::stdin().read_to_end(&mut Vec::new())?; // until Ctrl-D or Ctrl-C
    Ok(())
}
// ANCHOR_END: program
