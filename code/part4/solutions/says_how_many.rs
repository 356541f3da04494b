//! reads_who_is_ready, which says how many clients are there.
//!
//!     cargo run --bin says_how_many

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nHello, World!\n";

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8888"))?;
    println!("Serving HTTP on http://{}/ ...", listener.local_addr()?);
    println!("process {}", std::process::id());
    listener.set_nonblocking(true)?;
    let mut clients: Vec<TcpStream> = Vec::new();
    loop {
        let mut files = vec![PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        for client in &clients {
            files.push(PollFd::new(client.as_fd(), PollFlags::POLLIN));
        }
        poll(&mut files, PollTimeout::NONE)?;
        let ready: Vec<bool> = files.iter().map(|file| file.any() != Some(false)).collect();

        let mut of_client = ready[1..].iter();
        let before = clients.len();
        clients.retain(|client| of_client.next() == Some(&false) || !is_done(client));
        if clients.len() < before {
            println!("{} clients", clients.len());
        }
        if !ready[0] {
            continue;
        }
        match listener.accept() {
            Ok((client, _)) => {
                client.set_nonblocking(true)?;
                clients.push(client);
                println!("{} clients", clients.len());
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads what a client says, and answers. Whether there is nothing more to do.
fn is_done(mut client: &TcpStream) -> bool {
    match client.read(&mut [0; 1024]) {
        Ok(0) => true, // it has left
        Ok(_) => {
            let _ = client.write_all(ANSWER);
            true
        }
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}
