//! reads_who_is_ready, which hangs up on clients that say nothing for a second.
//!
//!     cargo run --bin a_second_each

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nHello, World!\n";
const PATIENCE: Duration = Duration::from_secs(1);

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8888"))?;
    println!("Serving HTTP on http://{}/ ...", listener.local_addr()?);
    println!("process {}", std::process::id());
    listener.set_nonblocking(true)?;
    let mut clients: Vec<(TcpStream, Instant)> = Vec::new(); // and until when
    loop {
        let mut files = vec![PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        for (client, _) in &clients {
            files.push(PollFd::new(client.as_fd(), PollFlags::POLLIN));
        }
        // They came one after the other: the first has the least time left.
        let mut timeout = PollTimeout::NONE;
        if let Some((_, until)) = clients.first() {
            let left = until.saturating_duration_since(Instant::now());
            timeout = PollTimeout::from(left.as_millis() as u16 + 1); // it was cut
        }
        poll(&mut files, timeout)?;
        let ready: Vec<bool> = files.iter().map(|file| file.any() != Some(false)).collect();

        let mut of_client = ready[1..].iter();
        clients.retain(|(client, until)| match of_client.next() {
            Some(false) => *until > Instant::now(),
            _ => !is_done(client),
        });
        if !ready[0] {
            continue;
        }
        match listener.accept() {
            Ok((client, _)) => {
                client.set_nonblocking(true)?;
                clients.push((client, Instant::now() + PATIENCE));
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
