//! Both sides of the conversation are printed, and what failed.
//!
//!     cargo run --bin prints_what_is_said -- module:callable [ADDRESS]

#[cfg(not(target_os = "linux"))]
extern crate no_epoll as nix;

use gateway::connection::{accept, print_request, print_response};
use gateway::http::Limits;
use gateway::incoming::{collect, has_to_wait, Incoming, Progress};
use gateway::log::complain;
use gateway::{refuse, Application};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{getrlimit, setrlimit, Resource};
use slab::Slab;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

const SOFTWARE: &str = "webserver4c"; // what the answers name as their server
const LISTENER: u64 = u64::MAX;

fn main() -> gateway::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let application = apps::load(&arguments.next().unwrap_or_default())?;
    let address = arguments.next();
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
        address: listener.local_addr()?,
        application: &application,
    };
    let mut pauses = false;
    let mut events = [EpollEvent::empty(); 64];
    loop {
        let number = server.epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..number] {
            let key = event.data() as usize;
            if event.data() == LISTENER {
                let (stream, peer) = match accept(&listener) {
                    Ok(Some(accepted)) => accepted,
                    Ok(None) => continue,
                    Err(error) => {
                        complain(error);
                        server.epoll.delete(&listener)?;
                        pauses = true;
                        continue;
                    }
                };
                stream.set_nonblocking(true)?;
                let place = server.connections.vacant_entry();
                let interest = EpollEvent::new(EpollFlags::EPOLLIN, place.key() as u64);
                server.epoll.add(&stream, interest)?;
                place.insert(Connection {
                    stream,
                    peer,
                    state: State::Asks(Incoming::default()),
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

/// A client, and how far its request and its answer are.
struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    state: State,
}

enum State {
    Asks(Incoming),
    IsAnswered { answer: Vec<u8>, sent: usize },
}

struct Server<'a> {
    epoll: Epoll,
    connections: Slab<Connection>,
    address: SocketAddr,
    application: &'a dyn Application,
}

impl Server<'_> {
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

    /// Reads once, and answers a request that is whole by that. Whether the client stays.
    fn read(&mut self, key: usize) -> io::Result<bool> {
        let connection = &mut self.connections[key];
        let mut buffer = [0; 1024];
        let read = (&connection.stream).read(&mut buffer);
        if read.as_ref().is_err_and(has_to_wait) {
            return Ok(true);
        }
        let State::Asks(incoming) = &mut connection.state else {
            return Ok(true);
        };
        let read = read?;
        incoming.push(&buffer[..read]);
        let limits = &Limits::DEFAULT;
        let (answer, outcome) = match incoming.progress(read == 0, limits, print_request) {
            Ok(Progress::More | Progress::Expects) => return Ok(true),
            Ok(Progress::Left) => return Ok(false),
            Ok(Progress::Request(mut environ)) => {
                environ.add_connection(self.address, SOFTWARE, connection.peer);
                collect(self.application, environ)
            }
            Err(error) => {
                let mut answer = Vec::new();
                let outcome = refuse(error, &mut answer);
                (answer, outcome)
            }
        };
        connection.state = State::IsAnswered { answer, sent: 0 };
        let stays = self.write(key);
        print_response(&outcome);
        if let Some(failure) = outcome.error {
            complain(format!("request: {failure}"));
        }
        stays
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
