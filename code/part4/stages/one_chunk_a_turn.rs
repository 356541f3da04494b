//! one_chunk_a_turn: enough_for_one_turn, which sends a chunk before it asks for the next.
//!
//!     cargo run --bin one_chunk_a_turn -- module:callable [ADDRESS]

use clap::Parser;
use gateway::http::{duration, Limits};
use gateway::http1::{Event, Machine, Patience};
use gateway::incoming::has_to_wait;
use gateway::log::complain;
use gateway::outgoing::Outgoing;
use gateway::{options, Application, Environ, Responding};
use nix::sys::signal::Signal;
use prefork::{default_signals, end_by};
use readiness::{Event as Ready, Readiness, Told};
use slab::Slab;
use std::io::{self, Cursor, Read};
use std::mem::{swap, take};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const SOFTWARE: &str = "webserver4d"; // what the answers name as their server
const ENOUGH: usize = 64 << 10; // bytes of one client in one turn, read or answered

/// All of HTTP/1.1 on one thread
#[derive(Parser)]
#[command(name = SOFTWARE, version)]
struct Options {
    /// The application, module:callable: wsgiapp:app is one
    application: String,
    /// Where to listen
    #[arg(default_value = "127.0.0.1:8888")]
    address: String,
    /// How long those who have begun to ask may take when the server is told to stop
    #[arg(long, default_value = "30s", value_parser = duration)]
    graceful_timeout: Duration,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    patience: Patience,
}

fn main() -> ExitCode {
    options::main(run)
}

fn run(options: Options) -> gateway::Result<()> {
    let application = apps::load(&options.application)?;
    let told = serve_forever(&options, &application);
    default_signals(); // from here on, the next one ends us at once
    apps::finish();
    end_by(told?)
}

/// Serves until a signal tells it to end, and gives that signal.
fn serve_forever(options: &Options, application: &dyn Application) -> io::Result<Signal> {
    let readiness = Readiness::listen(&options.address, options.graceful_timeout)?;
    let mut server = Server {
        desk: Desk {
            now: Instant::now(),
            buffer: vec![0; ENOUGH],
            answers: Outgoing::default(),
            address: readiness.address(),
            options,
            application,
        },
        readiness,
        connections: Slab::new(),
        accepted: 0,
        go_on: Vec::new(),
    };
    loop {
        let time = match server.go_on.is_empty() {
            true => None,
            false => Some(Duration::ZERO),
        };
        let nobody = server.connections.is_empty();
        server.desk.now = server.readiness.wait(time, nobody)?;
        for key in take(&mut server.go_on) {
            server.serve(key, Why::GoesOn);
        }
        while let Some(ready) = server.readiness.event() {
            match ready {
                Ready::Accepted(stream, peer) => server.accept(stream, peer),
                Ready::Serve(key) => server.serve(key, Why::Ready),
            }
        }
        match server.readiness.told(server.connections.is_empty()) {
            Some(Told::End(signal)) => return Ok(signal),
            Some(Told::Stop) | None => {}
        }
    }
}

struct Server<'a> {
    readiness: Readiness,
    connections: Slab<Connection>,
    accepted: u32,   // so many connections; begins again behind the last number
    go_on: Vec<u64>, // who has something to do, ready or not
    desk: Desk<'a>,
}

/// What the connections use in turn.
struct Desk<'a> {
    now: Instant, // in this turn of the loop
    buffer: Vec<u8>,
    answers: Outgoing, // nothing waits in it between two turns
    address: SocketAddr,
    options: &'a Options,
    application: &'a dyn Application,
}

/// A client, and how far their conversation is.
struct Connection {
    key: u64, // its place in the slab, and in the higher half its generation
    stream: TcpStream,
    peer: SocketAddr,
    machine: Machine,
    received: Vec<u8>,             // what the machine has not used
    environ: Option<Box<Environ>>, // of the request that comes
    body: Vec<u8>,                 // what has come of its body
    responding: Option<Box<Responding<Outgoing>>>,
    answers: Outgoing, // those that there was no room for
    state: State,
    then: State, // when the answers have left
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reads,  // waits for the client to say something
    Writes, // waits for room for the answers
    GoesOn, // waits for its next turn
    Leaves, // waits for the client to close its side
    Over,
}

/// Why a connection is served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Ready,
    GoesOn,
}

impl Server<'_> {
    fn accept(&mut self, stream: TcpStream, peer: SocketAddr) {
        self.accepted = self.accepted.wrapping_add(1);
        let place = self.connections.vacant_entry();
        let key = u64::from(self.accepted) << 32 | place.key() as u64;
        if self.readiness.add(&stream, key) {
            let options = self.desk.options;
            place.insert(Connection {
                key,
                stream,
                peer,
                machine: Machine::new(&options.limits, &options.patience, self.desk.now),
                received: Vec::new(),
                environ: None,
                body: Vec::new(),
                responding: None,
                answers: Outgoing::default(),
                state: State::Reads,
                then: State::Reads,
            });
        }
    }

    /// Lets a connection do what it can.
    fn serve(&mut self, key: u64, why: Why) {
        let place = key as u32 as usize;
        let connection = self.connections.get_mut(place); // perhaps of another, by now
        let Some(connection) = connection.filter(|one| one.key == key) else {
            return;
        };
        let before = connection.state;
        if let Err(error) = connection.serve(why, &mut self.desk) {
            complain(format!("request: {error}"));
            connection.state = State::Over;
        }
        let room = connection.state == State::Writes;
        if room != (before == State::Writes) && connection.state != State::Over {
            self.readiness.look_for_room(&connection.stream, key, room);
        }
        match connection.state {
            State::Over => {
                let connection = self.connections.remove(place);
                self.readiness.remove(connection.stream);
            }
            State::GoesOn if before == State::GoesOn && why != Why::GoesOn => {} // it is there
            State::GoesOn => self.go_on.push(key),
            _ => {}
        }
    }
}

/// What the machine makes of it that nothing comes any more.
type End = for<'a> fn(&mut Machine, &'a [u8], Instant) -> Event<'static>;

impl Connection {
    /// Does what can be done now.
    fn serve(&mut self, why: Why, desk: &mut Desk) -> io::Result<()> {
        match (self.state, why) {
            (State::Reads | State::Leaves, Why::Ready) => {
                let read = match (&self.stream).read(&mut desk.buffer) {
                    Err(error) if has_to_wait(&error) => return Ok(()),
                    Err(_) if self.state == State::Leaves => 0,
                    read => read?,
                };
                let end = (read == 0).then_some(Machine::eof as End);
                self.go_on(read, end, desk)
            }
            (State::Reads | State::GoesOn, Why::GoesOn) => self.go_on(0, None, desk),
            (State::Writes, Why::Ready) => {
                desk.answers = take(&mut self.answers);
                self.send(desk)
            }
            _ => Ok(()),
        }
    }

    /// Answers what has come, so many bytes of it now, and sends that.
    fn go_on(&mut self, read: usize, end: Option<End>, desk: &mut Desk) -> io::Result<()> {
        let buffer = take(&mut desk.buffer);
        let new = &buffer[..read];
        if self.received.is_empty() {
            let used = self.answer(new, end, desk);
            self.received.extend_from_slice(&new[used..]);
        } else {
            let mut received = take(&mut self.received);
            received.extend_from_slice(new);
            let used = self.answer(&received, end, desk);
            if used < received.len() {
                received.drain(..used);
                self.received = received;
            }
        }
        desk.buffer = buffer;
        self.send(desk)
    }

    /// Answers what these bytes ask, until it is enough. How many of them that used.
    fn answer(&mut self, bytes: &[u8], mut end: Option<End>, desk: &mut Desk) -> usize {
        let (now, mut used) = (desk.now, 0);
        self.then = loop {
            if let Some(mut responding) = self.responding.take() {
                if responding.step() {
                    responding.output(|answers| swap(answers, &mut desk.answers));
                    self.responding = Some(responding);
                    break State::GoesOn;
                }
                let (outcome, answer, answers) = responding.end();
                desk.answers = answers.unwrap_or_default();
                self.machine.answered(answer, now);
                if let Some(failure) = outcome.error {
                    complain(format!("request: {failure}"));
                }
            }
            if desk.answers.len() >= ENOUGH {
                break State::GoesOn;
            }
            let (size, mut event) = self.machine.read(&bytes[used..], now);
            used += size;
            if let (Event::More | Event::Closed, Some(end)) = (&event, end.take()) {
                event = end(&mut self.machine, &bytes[used..], now);
            }
            match event {
                Event::Head(head) => {
                    self.environ = Some(Box::new(head.environ(Box::new(io::empty()))));
                }
                Event::Body(piece) => self.body.extend_from_slice(piece),
                Event::End(_) => {
                    let asked = self.environ.take().zip(self.machine.answer());
                    self.responding = asked.map(|(mut environ, answer)| {
                        environ.input = Box::new(Cursor::new(take(&mut self.body)));
                        environ.add_connection(desk.address, SOFTWARE, self.peer);
                        let (to, answers) = (desk.application, take(&mut desk.answers));
                        Box::new(Responding::begin(to, *environ, answers, answer))
                    });
                }
                Event::Refused(refused) => {
                    (self.environ, self.body) = (None, Vec::new());
                    self.responding = self.machine.answer().map(|answer| {
                        let answers = take(&mut desk.answers);
                        Box::new(Responding::refuse(refused, answers, answer))
                    });
                }
                Event::More | Event::Paused => {
                    desk.answers.push(self.machine.go_on(now));
                    break State::Reads;
                }
                Event::Closed if self.machine.at_once(desk.answers.len()) => break State::Over,
                Event::Closed => break State::Leaves,
            }
        };
        used
    }

    /// Sends the answers, as far as there is room for them.
    fn send(&mut self, desk: &mut Desk) -> io::Result<()> {
        let sent = desk.answers.send(&self.stream);
        let left = desk.answers.len();
        if left > 0 {
            self.answers = take(&mut desk.answers);
        }
        self.machine.sent(sent?, left, desk.now);
        let state = if left == 0 { self.then } else { State::Writes };
        if state == State::Leaves && self.state != State::Leaves {
            // A close would be a reset if there is more to read, and cost the answer.
            let _ = self.stream.shutdown(Shutdown::Write); // it may have left
        }
        self.state = state;
        Ok(())
    }
}
