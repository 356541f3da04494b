//! What the loop knows of its clients, in one place.
//!
//!     cargo run --bin one_place_for_all

#[cfg(not(target_os = "linux"))]
extern crate no_epoll as nix;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{getrlimit, setrlimit, Resource};
use slab::Slab;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nHello, World!\n";
const LISTENER: u64 = u64::MAX;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8888"))?;
    println!("Serving HTTP on http://{}/ ...", listener.local_addr()?);
    println!("process {}", std::process::id());
    let (now, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    println!("at most {most} descriptors; it was {now}");
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut server = Server {
        epoll,
        connections: Slab::new(),
    };
    let mut pauses = false;
    let mut events = [EpollEvent::empty(); 64];
    loop {
        let number = server.epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..number] {
            let key = event.data() as usize;
            if event.data() == LISTENER {
                let client = match accept(&listener) {
                    Ok(Some(client)) => client,
                    Ok(None) => continue,
                    Err(error) => {
                        println!("accept: {error}");
                        server.epoll.delete(&listener)?;
                        pauses = true;
                        continue;
                    }
                };
                let place = server.connections.vacant_entry();
                let interest = EpollEvent::new(EpollFlags::EPOLLIN, place.key() as u64);
                server.epoll.add(&client, interest)?;
                place.insert(Client(client, Vec::new(), 0));
            } else {
                server.serve(key);
                if pauses && !server.connections.contains(key) {
                    let event = EpollEvent::new(EpollFlags::EPOLLIN, LISTENER);
                    server.epoll.add(&listener, event)?;
                    pauses = false;
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

struct Server {
    epoll: Epoll,
    connections: Slab<Client>,
}

impl Server {
    /// Lets a connection do what it can.
    fn serve(&mut self, key: usize) {
        let Some(client) = self.connections.get_mut(key) else {
            return;
        };
        let mut room = EpollEvent::new(EpollFlags::EPOLLOUT, key as u64);
        if client.is_done() {
            self.connections.remove(key);
        } else if !client.1.is_empty() {
            let _ = self.epoll.modify(&client.0, &mut room);
        }
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
                Ok(_) => answer.extend_from_slice(ANSWER),
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
        match stream.write(&answer[*sent..]) {
            Ok(written) => *sent += written,
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
        *sent == answer.len()
    }
}
