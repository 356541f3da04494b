//! Where nobody could leave, it accepts again after a second.
//!
//!     cargo run --bin tries_once_a_second -- module:callable [ADDRESS]

#[cfg(not(target_os = "linux"))]
extern crate no_epoll as nix;

use clap::Parser;
use gateway::connection::{accept, print_request, print_response};
use gateway::http::Limits;
use gateway::incoming::{collect, has_to_wait, Incoming, Progress};
use gateway::log::complain;
use gateway::options::{self, cannot_bind};
use gateway::{refuse, Application};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{getrlimit, setrlimit, Resource};
use slab::Slab;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;

const SOFTWARE: &str = "webserver4c"; // what the answers name as their server
const LISTENER: u64 = u64::MAX; // no number of a connection

/// One thread, and as many clients as there are descriptors
#[derive(Parser)]
#[command(name = SOFTWARE, version)]
struct Options {
    /// The application, module:callable: wsgiapp:app is one
    application: String,
    /// Where to listen
    #[arg(default_value = "127.0.0.1:8888")]
    address: String,
    #[command(flatten)]
    limits: Limits,
}

fn main() -> ExitCode {
    options::main(run)
}

fn run(options: Options) -> gateway::Result<()> {
    let application = apps::load(&options.application)?;
    Ok(serve_forever(&options, &application)?)
}

fn serve_forever(options: &Options, application: &dyn Application) -> io::Result<()> {
    let address = options.address.as_str();
    let listener = TcpListener::bind(address).map_err(|error| cannot_bind(address, error))?;
    let address = listener.local_addr()?;
    println!("Serving HTTP on http://{address}/ ...");
    println!("process {}", std::process::id());
    let (now, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    println!("at most {most} descriptors; it was {now}");
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut server = Server {
        epoll,
        listener,
        pauses: false,
        connections: Slab::new(),
        address,
        limits: &options.limits,
        application,
    };
    let mut events = [EpollEvent::empty(); 64];
    loop {
        let number = server.wait(&mut events)?;
        for event in &events[..number] {
            let key = event.data() as usize;
            if event.data() == LISTENER {
                let (stream, peer) = match accept(&server.listener) {
                    Ok(Some(accepted)) => accepted,
                    Ok(None) => continue,
                    Err(error) => {
                        complain(error);
                        server.pause_accepting(true);
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
                    interest: EpollFlags::EPOLLIN,
                    state: State::Asks(Incoming::default()),
                });
            } else {
                server.serve(key);
            }
        }
    }
}

/// A client, and how far its request and its answer are.
struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    interest: EpollFlags, // what epoll looks for
    state: State,
}

enum State {
    Asks(Incoming),
    IsAnswered { answer: Vec<u8>, sent: usize },
    Leaves, // it has its answer
}

struct Server<'a> {
    epoll: Epoll,
    listener: TcpListener,
    pauses: bool, // the listener is not in the interest list
    connections: Slab<Connection>,
    address: SocketAddr,
    limits: &'a Limits,
    application: &'a dyn Application,
}

impl Server<'_> {
    /// Waits until there is something to do, and says how many events there are.
    fn wait(&mut self, events: &mut [EpollEvent]) -> io::Result<usize> {
        let shortage = self.pauses && self.connections.is_empty();
        let timeout = match shortage {
            true => EpollTimeout::from(1000u16), // milliseconds
            false => EpollTimeout::NONE,
        };
        let number = match self.epoll.wait(events, timeout) {
            Err(Errno::EINTR) => 0, // it was stopped, and goes on
            number => number.map_err(|errno| failed("epoll_wait", errno))?,
        };
        self.pause_accepting(self.pauses && !shortage);
        Ok(number)
    }

    /// Takes the listener out of the interest list, or puts it back.
    fn pause_accepting(&mut self, pauses: bool) {
        if pauses != self.pauses {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, LISTENER);
            let changed = match pauses {
                true => self.epoll.delete(&self.listener),
                false => self.epoll.add(&self.listener, event),
            };
            self.pauses = pauses == changed.is_ok();
        }
    }

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
            self.close(key);
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
            return Ok(matches!(read, Ok(1..))); // what it says now is thrown away
        };
        let read = read?;
        incoming.push(&buffer[..read]);
        let (answer, outcome) = match incoming.progress(read == 0, self.limits, print_request) {
            Ok(Progress::More) => return Ok(true),
            Ok(Progress::Left) => return Ok(false),
            Ok(Progress::Expects) => {
                // Nothing has been written before: there is room for these.
                (&connection.stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                return Ok(true);
            }
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
        let mut interest = EpollFlags::EPOLLIN;
        if let State::IsAnswered { answer, sent } = &mut connection.state {
            match (&connection.stream).write(&answer[*sent..]) {
                Err(error) if has_to_wait(&error) => {}
                written => *sent += written?,
            }
            if *sent < answer.len() {
                interest = EpollFlags::EPOLLOUT;
            } else {
                // A close would be a reset if there is more to read, and cost the answer.
                let _ = connection.stream.shutdown(Shutdown::Write); // it may have left
                connection.state = State::Leaves;
            }
        }
        if interest != connection.interest {
            connection.interest = interest;
            let mut event = EpollEvent::new(interest, key as u64);
            self.epoll.modify(&connection.stream, &mut event)?;
        }
        Ok(true)
    }

    fn close(&mut self, key: usize) {
        let connection = self.connections.remove(key);
        let _ = self.epoll.delete(&connection.stream); // if another process has a copy, it stays
        self.pause_accepting(false);
    }
}

fn failed(call: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{call}: {errno}"))
}
