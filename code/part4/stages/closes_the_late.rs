//! Who has an answer and does not leave is closed.
//!
//!     cargo run --bin closes_the_late -- module:callable [ADDRESS]

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
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const SOFTWARE: &str = "webserver4c"; // what the answers name as their server
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
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
        leaving: VecDeque::new(),
        address,
        limits: &options.limits,
        application,
    };
    let mut events = [EpollEvent::empty(); 64];
    loop {
        let number = server.wait(&mut events)?;
        for event in &events[..number] {
            match event.data() {
                LISTENER => server.accept(),
                key => server.serve(key as usize),
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
    Leaves(Instant), // it has its answer, and should close by then
}

struct Server<'a> {
    epoll: Epoll,
    listener: TcpListener,
    pauses: bool, // the listener is not in the interest list
    connections: Slab<Connection>,
    leaving: VecDeque<(Instant, usize)>, // all are given the same time: the first is the soonest
    address: SocketAddr,
    limits: &'a Limits,
    application: &'a dyn Application,
}

impl Server<'_> {
    /// Waits until there is something to do, and says how many events there are.
    fn wait(&mut self, events: &mut [EpollEvent]) -> io::Result<usize> {
        let late = self.close_the_late();
        let shortage = self.pauses && self.connections.is_empty();
        let again = shortage.then(|| Instant::now() + Duration::from_secs(1));
        let until = [late, again].into_iter().flatten().min();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.map(|left| left + Duration::from_millis(1)); // it is cut to milliseconds
        let timeout = left.map_or(Ok(EpollTimeout::NONE), EpollTimeout::try_from);
        let timeout = timeout.unwrap_or(EpollTimeout::MAX);
        let number = match self.epoll.wait(events, timeout) {
            Err(Errno::EINTR) => 0, // it was stopped, and goes on
            number => number.map_err(|errno| failed("epoll_wait", errno))?,
        };
        self.pause_accepting(self.pauses && !shortage);
        Ok(number)
    }

    /// Accepts one client. Where more wait, epoll will say so again.
    fn accept(&mut self) {
        let added = accept(&self.listener).and_then(|accepted| {
            if let Some((stream, peer)) = accepted {
                stream.set_nonblocking(true)?;
                let place = self.connections.vacant_entry();
                let event = EpollEvent::new(EpollFlags::EPOLLIN, place.key() as u64);
                self.epoll.add(&stream, event)?;
                place.insert(Connection {
                    stream,
                    peer,
                    interest: EpollFlags::EPOLLIN,
                    state: State::Asks(Incoming::default()),
                });
            }
            Ok(())
        });
        if let Err(error) = added {
            complain(format!("{error}; the next is accepted when one has left"));
            self.pause_accepting(true);
        }
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

    fn state(&self, key: usize) -> Option<&State> {
        self.connections
            .get(key)
            .map(|connection| &connection.state)
    }

    /// Lets a connection do what it can.
    fn serve(&mut self, key: usize) {
        let stays = match self.state(key) {
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
                let until = Instant::now() + self.limits.linger.min(A_DAY);
                connection.state = State::Leaves(until);
                self.leaving.push_back((until, key));
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

    /// Closes those who should have left by now, and says when the next one should.
    fn close_the_late(&mut self) -> Option<Instant> {
        while let Some((until, key)) = self.leaving.front().copied() {
            // Another connection may have this number by now.
            if matches!(self.state(key), Some(State::Leaves(time)) if *time == until) {
                if until > Instant::now() {
                    return Some(until);
                }
                self.close(key);
            }
            self.leaving.pop_front();
        }
        None
    }
}

fn failed(call: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{call}: {errno}"))
}
