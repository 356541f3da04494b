//! Where there is no descriptor, it tries again, and again.
//!
//!     cargo run --bin tries_again_at_once

#[cfg(not(target_os = "linux"))]
extern crate no_epoll as nix;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use slab::Slab;
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
    let mut clients: Slab<Client> = Slab::new();
    let mut pauses = false;
    let mut events = [EpollEvent::empty(); 64];
    loop {
        let number = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..number] {
            let key = event.data() as usize;
            if event.data() == LISTENER {
                let client = match accept(&listener) {
                    Ok(Some(client)) => client,
                    Ok(None) => continue,
                    Err(_) => continue,
                };
                let place = clients.vacant_entry();
                let interest = EpollEvent::new(EpollFlags::EPOLLIN, place.key() as u64);
                epoll.add(&client, interest)?;
                place.insert(Client(client, Vec::new(), 0));
            } else if let Some(client) = clients.get_mut(key) {
                if client.is_done() {
                    clients.remove(key);
                    if pauses {
                        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
                        pauses = false;
                    }
                } else if !client.1.is_empty() {
                    let mut room = EpollEvent::new(EpollFlags::EPOLLOUT, key as u64);
                    epoll.modify(&client.0, &mut room)?;
                }
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

/// A client, its answer, and how much of it has been sent.
struct Client(TcpStream, Vec<u8>, usize);

impl Client {
    /// Reads or writes once. Whether there is nothing more to do.
    fn is_done(&mut self) -> bool {
        let Client(stream, answer, sent) = self;
        if answer.is_empty() {
            match stream.read(&mut [0; 1024]) {
                Ok(0) => return true, // it has left
                Ok(_) => answer.extend_from_slice(HEAD),
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
            answer.resize(SIZE, b'.');
        }
        match stream.write(&answer[*sent..]) {
            Ok(written) => *sent += written,
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
        *sent == answer.len()
    }
}
