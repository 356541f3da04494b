//! An answer for which the kernel has no room: it is cut.
//!
//!     cargo run --bin large_answer_cut

#[cfg(not(target_os = "linux"))]
extern crate no_epoll as nix;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n";
const SIZE: usize = HEAD.len() + 20_000_000;
const LISTENER: u64 = u64::MAX;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8888"))?;
    println!("Serving HTTP on http://{}/ ...", listener.local_addr()?);
    println!("process {}", std::process::id());
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut clients: Vec<Option<TcpStream>> = Vec::new();
    let mut events = [EpollEvent::empty(); 64];
    loop {
        let number = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..number] {
            let key = event.data() as usize;
            if event.data() == LISTENER {
                let Some(client) = accept(&listener)? else {
                    continue;
                };
                let interest = EpollEvent::new(EpollFlags::EPOLLIN, clients.len() as u64);
                epoll.add(&client, interest)?;
                clients.push(Some(client));
            } else if clients[key].as_ref().is_some_and(is_done) {
                clients[key] = None;
            }
        }
    }
}

/// The next client, if there is one.
fn accept(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    match listener.accept() {
        Ok((client, _)) => client.set_nonblocking(true).map(|()| Some(client)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads what a client says, and answers. Whether there is nothing more to do.
fn is_done(mut client: &TcpStream) -> bool {
    match client.read(&mut [0; 1024]) {
        Ok(0) => true, // it has left
        Ok(_) => {
            let mut answer = HEAD.to_vec();
            answer.resize(SIZE, b'.');
            let _ = client.write_all(&answer);
            true
        }
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}
