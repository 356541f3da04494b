//! webserver4d: all of HTTP/1.1 on one thread.
//!
//!     cargo run --bin webserver4d -- module:callable [ADDRESS]
//!
//! A connection carries one request after the other, and whoever is too slow is cut.
//! TERM and Ctrl-C: answer who has asked, with the word that it is the last answer.

use clap::Parser;
use gateway::connection::{print_request, print_response};
use gateway::http::{duration, Limits};
use gateway::http1::{Event, Machine, Patience};
use gateway::incoming::has_to_wait;
use gateway::log::complain;
use gateway::{options, refuse_as, Application, Environ, Outcome, Responding};
use nix::sys::signal::Signal;
use prefork::{default_signals, end_by};
use readiness::{Event as Ready, Readiness, Told};
use slab::Slab;
use std::collections::VecDeque;
use std::io::{self, empty, Cursor, Read, Write};
use std::mem::{swap, take};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const SOFTWARE: &str = "webserver4d"; // what the answers name as their server
const READ_SIZE: usize = 64 << 10; // of one client in one turn
const ENOUGH: usize = 64 << 10; // of answers, before they are sent

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
    /// Prints the heads of requests and answers
    #[arg(long)]
    verbose: bool,
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
        connections: Slab::new(),
        accepted: 0,
        deadlines: Deadlines::default(),
        go_on: Vec::new(),
        desk: Desk {
            now: Instant::now(),
            buffer: vec![0; READ_SIZE],
            answers: Vec::new(),
            address: readiness.address(),
            options,
            application,
        },
        readiness,
    };
    loop {
        let time = match server.go_on.is_empty() {
            true => server.deadlines.first(server.desk.now),
            false => Some(Duration::ZERO),
        };
        let nobody = server.connections.is_empty();
        server.readiness.wait(time, nobody)?;
        server.desk.now = Instant::now();
        while let Some(ready) = server.readiness.next() {
            match ready {
                Ready::Accept => server.accept(),
                Ready::Serve(key) => server.serve(key, Why::Ready),
            }
        }
        for key in take(&mut server.go_on) {
            server.serve(key, Why::GoesOn);
        }
        while let Some(place) = server.deadlines.pop(server.desk.now) {
            if let Some(connection) = server.connections.get(place) {
                server.serve(connection.key, Why::Late);
            }
        }
        match server.readiness.told(server.connections.is_empty()) {
            Some(Told::Stop) => server.stop(),
            Some(Told::End(signal)) => return Ok(signal),
            None => {}
        }
    }
}

struct Server<'a> {
    readiness: Readiness,
    connections: Slab<Connection>,
    accepted: u32, // so many, or so many more than 2³²
    deadlines: Deadlines,
    go_on: Vec<u64>, // who has something to do without being ready
    desk: Desk<'a>,
}

/// What the connections use in turn.
struct Desk<'a> {
    now: Instant, // read once in each turn of the loop
    buffer: Vec<u8>,
    answers: Vec<u8>, // without bytes between two turns
    address: SocketAddr,
    options: &'a Options,
    application: &'a dyn Application,
}

/// A client, and how far their conversation is.
struct Connection {
    key: u64, // its place, and behind it, in the higher half, which one of those there it is
    stream: TcpStream,
    peer: SocketAddr,
    machine: Machine,
    received: Vec<u8>,            // what the machine has not used
    request: Option<Box<Request>>, // what has come of one
    responding: Option<Box<Responding<Vec<u8>>>>,
    answers: Vec<u8>, // those that wait for room
    sent: usize,      // so many of these bytes have found it
    state: State,
    then: State, // when the answers have left
}

struct Request {
    environ: Environ,
    body: Vec<u8>,
}

/// What a connection waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The client says something.
    Reads,
    /// There is room for the answers.
    Writes,
    /// Its next turn.
    GoesOn,
    /// The client closes its side. It has all its answers.
    Leaves,
    /// Nothing.
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Ready,
    GoesOn,
    Late,
}

impl Server<'_> {
    fn accept(&mut self) {
        let Some((stream, peer)) = self.readiness.accept() else {
            return;
        };
        self.accepted = self.accepted.wrapping_add(1);
        let place = self.connections.vacant_entry();
        let key = u64::from(self.accepted) << 32 | place.key() as u64;
        if self.readiness.add(&stream, key) {
            let Options { limits, patience, .. } = self.desk.options;
            let machine = Machine::new(limits, patience, self.desk.now);
            self.deadlines.expect(place.key(), &machine);
            place.insert(Connection {
                key,
                stream,
                peer,
                machine,
                received: Vec::new(),
                request: None,
                responding: None,
                answers: Vec::new(),
                sent: 0,
                state: State::Reads,
                then: State::Reads,
            });
        }
    }

    /// Lets a connection do what it can.
    fn serve(&mut self, key: u64, why: Why) {
        let place = key as u32 as usize;
        // Another may have its place by now.
        let connection = self.connections.get_mut(place);
        let Some(connection) = connection.filter(|connection| connection.key == key) else {
            return;
        };
        let before = connection.state;
        let served = connection.serve(why, &mut self.desk);
        let changed = served.and_then(|()| {
            let room = connection.state == State::Writes;
            match room == (before == State::Writes) {
                true => Ok(()),
                false => self.readiness.look_for_room(&connection.stream, key, room),
            }
        });
        if let Err(error) = &changed {
            complain(format!("request: {error}"));
            connection.state = State::Over;
        }
        match connection.state {
            State::Over => {
                let connection = self.connections.remove(place);
                return self.readiness.remove(connection.stream);
            }
            State::GoesOn => self.go_on.push(key),
            _ => {}
        }
        self.deadlines.expect(place, &connection.machine);
    }

    /// From here on, each answer is the last of its connection.
    fn stop(&mut self) {
        let keys: Vec<u64> = self.connections.iter().map(|(_, each)| each.key).collect();
        for key in keys {
            self.serve(key, Why::Ready); // what came may not have been read yet
            if let Some(connection) = self.connections.get_mut(key as u32 as usize) {
                connection.machine.stop();
                self.serve(key, Why::GoesOn);
            }
        }
    }
}

impl Connection {
    /// Does what can be done now.
    fn serve(&mut self, why: Why, desk: &mut Desk) -> io::Result<()> {
        desk.answers.clear();
        match (self.state, why) {
            (State::Reads, Why::Ready) => {
                let read = match (&self.stream).read(&mut desk.buffer) {
                    Err(error) if has_to_wait(&error) => return Ok(()),
                    read => read?,
                };
                self.go_on(read, (read == 0).then_some(Machine::eof), desk)
            }
            (State::Reads, Why::Late) => self.go_on(0, Some(Machine::late), desk),
            (State::Reads | State::GoesOn, Why::GoesOn) => self.go_on(0, None, desk),
            (State::Writes, Why::Ready) => self.send(desk),
            (State::Leaves, Why::Ready) => {
                // What it says now is thrown away.
                let read = (&self.stream).read(&mut desk.buffer);
                if !matches!(&read, Ok(1..)) && !read.is_err_and(|error| has_to_wait(&error)) {
                    self.state = State::Over;
                }
                Ok(())
            }
            (State::Writes | State::Leaves, Why::Late) => {
                if self.machine.late(&[], desk.now) == Event::Closed {
                    self.state = State::Over;
                }
                Ok(())
            }
            _ => Ok(()), // its turn comes
        }
    }

    /// Goes on with what has come, so many bytes of it now, and sends the answers.
    fn go_on(&mut self, read: usize, end: Option<End>, desk: &mut Desk) -> io::Result<()> {
        let buffer = take(&mut desk.buffer);
        let mut received = take(&mut self.received);
        let kept = !received.is_empty();
        let new = &buffer[..read];
        let used = if kept {
            received.extend_from_slice(new);
            self.answer(&received, end, desk)
        } else {
            self.answer(new, end, desk)
        };
        if kept {
            received.drain(..used);
        } else {
            received.extend_from_slice(&new[used..]);
        }
        if !received.is_empty() {
            self.received = received;
        }
        desk.buffer = buffer;
        self.send(desk)
    }

    /// Answers what is asked, until there is enough to send. How many bytes that used.
    fn answer(&mut self, bytes: &[u8], end: Option<End>, desk: &mut Desk) -> usize {
        let now = desk.now;
        let mut used = 0;
        let mut request = self.request.take();
        let mut responding = self.responding.take();
        self.then = loop {
            if let Some(mut one) = responding.take() {
                if one.step() {
                    one.output(|output| swap(output, &mut desk.answers));
                    responding = Some(one);
                    break State::GoesOn;
                }
                let (outcome, answer, output) = one.end();
                desk.answers = output.unwrap_or_default();
                self.machine.answered(answer, now);
                desk.tell(outcome);
            }
            if desk.answers.len() >= ENOUGH {
                break State::GoesOn;
            }
            let rest = &bytes[used..];
            let (size, mut event) = self.machine.read(rest, now);
            used += size;
            if let (Event::More, Some(end)) = (&event, end) {
                event = end(&mut self.machine, &bytes[used..], now);
                if event == Event::Closed {
                    break State::Over;
                }
            }
            match event {
                Event::Head(head) => {
                    if desk.options.verbose {
                        print_request(&rest[..size]);
                    }
                    let environ = head.environ(Box::new(empty()));
                    request = Some(Box::new(Request {
                        environ,
                        body: Vec::new(),
                    }));
                }
                Event::Body(piece) => {
                    if let Some(request) = &mut request {
                        request.body.extend_from_slice(piece);
                    }
                }
                Event::End(_) => {
                    if let (Some(request), Some(answer)) = (request.take(), self.machine.answer()) {
                        let mut environ = request.environ;
                        environ.input = Box::new(Cursor::new(request.body));
                        environ.add_connection(desk.address, SOFTWARE, self.peer);
                        let answers = take(&mut desk.answers);
                        let one = Responding::begin(desk.application, environ, answers, answer);
                        responding = Some(Box::new(one));
                    }
                }
                Event::Refused(refused) => {
                    request = None;
                    if let Some(answer) = self.machine.answer() {
                        let (outcome, answer) = refuse_as(refused, &mut desk.answers, answer);
                        self.machine.answered(answer, now);
                        desk.tell(outcome);
                    }
                }
                Event::More => {
                    desk.answers.extend_from_slice(self.machine.go_on(now));
                    break State::Reads;
                }
                Event::Paused => break State::Reads,
                Event::Closed => break State::Leaves,
            }
        };
        self.request = request;
        self.responding = responding;
        used
    }

    /// Sends the answers, as many bytes of them as there is room for.
    fn send(&mut self, desk: &mut Desk) -> io::Result<()> {
        let waited = !self.answers.is_empty();
        let bytes = match waited {
            true => &self.answers[self.sent..],
            false => &desk.answers,
        };
        if !bytes.is_empty() {
            let sent = match (&self.stream).write(bytes) {
                Err(error) if has_to_wait(&error) => 0,
                sent => sent?,
            };
            let left = bytes.len() - sent;
            self.machine.sent(sent, left, desk.now);
            if !waited && left > 0 {
                self.answers = take(&mut desk.answers);
            }
            self.sent += sent;
            if left > 0 {
                self.state = State::Writes;
                return Ok(());
            }
            self.sent = 0;
            self.answers = Vec::new();
        }
        self.state = self.then;
        if self.state == State::Leaves {
            // A close would be a reset if there is more to read, and cost the answer.
            let _ = self.stream.shutdown(Shutdown::Write); // it may have left
        }
        Ok(())
    }
}

/// What a machine makes of it that nothing comes.
type End = for<'a> fn(&mut Machine, &'a [u8], Instant) -> Event<'static>;

impl Desk<'_> {
    fn tell(&self, outcome: Outcome) {
        if self.options.verbose {
            print_response(&outcome);
        }
        if let Some(failure) = outcome.error {
            complain(format!("request: {failure}"));
        }
    }
}

/// When to look at which connection. A queue for each time that they are given: who is
/// given it later stands behind, so that it is sorted by itself.
#[derive(Default)]
struct Deadlines {
    queues: Vec<(Duration, VecDeque<(Instant, usize)>)>,
    queued: Vec<u8>, // for each place in which of the queues it is, a bit for each
}

impl Deadlines {
    /// Sees to it that this connection is looked at no later than at its deadline.
    fn expect(&mut self, place: usize, machine: &Machine) {
        let (Some(deadline), Some(patience)) = (machine.deadline(), machine.patience()) else {
            return;
        };
        let number = self.queues.iter().position(|(time, _)| *time == patience);
        let number = number.unwrap_or_else(|| {
            self.queues.push((patience, VecDeque::new()));
            self.queues.len() - 1
        });
        if self.queued.len() <= place {
            self.queued.resize(place + 1, 0);
        }
        // What it has is earlier: it will be looked at then, and has another by then.
        if self.queued[place] & 1 << number == 0 {
            self.queued[place] |= 1 << number;
            let queue = &mut self.queues[number].1;
            let later = queue.partition_point(|(time, _)| *time <= deadline);
            queue.insert(later, (deadline, place));
        }
    }

    /// How long nobody has to be looked at.
    fn first(&self, now: Instant) -> Option<Duration> {
        let fronts = self.queues.iter().filter_map(|(_, queue)| queue.front());
        let first = fronts.map(|(time, _)| *time).min();
        first.map(|time| time.saturating_duration_since(now))
    }

    /// Who has to be looked at by now.
    fn pop(&mut self, now: Instant) -> Option<usize> {
        for (number, (_, queue)) in self.queues.iter_mut().enumerate() {
            if let Some((_, place)) = queue.front().copied().filter(|(time, _)| *time <= now) {
                queue.pop_front();
                self.queued[place] &= !(1 << number);
                return Some(place);
            }
        }
        None
    }
}
