//! What went wrong with a client is said.
//!
//!     cargo run --bin says_what_failed

#[cfg(not(target_os = "linux"))]
extern crate no_epoll as nix;

use gateway::incoming::has_to_wait;
use gateway::log::complain;
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
                place.insert(Connection {
                    stream: client,
                    state: State::Asks,
                });
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

/// A client, and how far its request and its answer are.
struct Connection {
    stream: TcpStream,
    state: State,
}

enum State {
    Asks,
    IsAnswered { answer: Vec<u8>, sent: usize },
}

struct Server {
    epoll: Epoll,
    connections: Slab<Connection>,
}

impl Server {
    /// Lets a connection do what it can.
    fn serve(&mut self, key: usize) {
        let stays = match self.connections.get(key).map(|one| &one.state) {
            Some(State::IsAnswered { .. }) => self.write(key),
            Some(_) => self.read(key),
            None => return,
        };
        if let Err(error) = &stays {
            complain(format!("request: {error}"));
        }
        if !stays.unwrap_or(false) {
            self.connections.remove(key);
        }
    }

    /// Reads once. Whether the client stays.
    fn read(&mut self, key: usize) -> io::Result<bool> {
        let connection = &mut self.connections[key];
        match (&connection.stream).read(&mut [0; 1024]) {
            Ok(0) => return Ok(false), // it has left
            Err(error) if has_to_wait(&error) => return Ok(true),
            read => read?,
        };
        let answer = ANSWER.to_vec();
        connection.state = State::IsAnswered { answer, sent: 0 };
        self.write(key)
    }

    /// Writes what the kernel takes now. Whether the client stays.
    fn write(&mut self, key: usize) -> io::Result<bool> {
        let connection = &mut self.connections[key];
        if let State::IsAnswered { answer, sent } = &mut connection.state {
            match (&connection.stream).write(&answer[*sent..]) {
                Err(error) if has_to_wait(&error) => {}
                written => *sent += written?,
            }
            if *sent == answer.len() {
                return Ok(false);
            }
            let mut event = EpollEvent::new(EpollFlags::EPOLLOUT, key as u64);
            self.epoll.modify(&connection.stream, &mut event)?;
        }
        Ok(true)
    }
}
