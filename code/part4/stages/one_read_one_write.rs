//! one_read_one_write: a machine for each connection, one read, and one write.
//!
//!     cargo run --bin one_read_one_write -- module:callable [ADDRESS]

// ANCHOR: program
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
use std::mem::take;
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const SOFTWARE: &str = "webserver4d"; // what the answers name as their server
const ENOUGH: usize = 64 << 10; // bytes of one client in one turn

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
// ANCHOR_END: program

// ANCHOR: loop
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
    };
    loop {
        let nobody = server.connections.is_empty();
        server.desk.now = server.readiness.wait(None, nobody)?;
        while let Some(ready) = server.readiness.event() {
            match ready {
                Ready::Accepted(stream, peer) => server.accept(stream, peer),
                Ready::Serve(key) => server.serve(key),
            }
        }
        match server.readiness.told(server.connections.is_empty()) {
            Some(Told::End(signal)) => return Ok(signal),
            Some(Told::Stop) | None => {}
        }
    }
}
// ANCHOR_END: loop

// ANCHOR: server
struct Server<'a> {
    readiness: Readiness,
    connections: Slab<Connection>,
    accepted: u32, // so many connections; begins again behind the last number
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
    environ: Option<Box<Environ>>, // of the request that comes
    body: Vec<u8>,                 // what has come of its body
    responding: Option<Box<Responding<Outgoing>>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reads, // waits for the client to say something
    Over,
}
// ANCHOR_END: server

// ANCHOR: accept
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
                environ: None,
                body: Vec::new(),
                responding: None,
                state: State::Reads,
            });
        }
    }
    // ANCHOR_END: accept

    // ANCHOR: serve
    /// Lets a connection do what it can.
    fn serve(&mut self, key: u64) {
        let place = key as u32 as usize;
        let connection = self.connections.get_mut(place); // perhaps of another, by now
        let Some(connection) = connection.filter(|one| one.key == key) else {
            return;
        };
        if let Err(error) = connection.serve(&mut self.desk) {
            complain(format!("request: {error}"));
            connection.state = State::Over;
        }
        if connection.state == State::Over {
            let connection = self.connections.remove(place);
            self.readiness.remove(connection.stream);
        }
    }
}
// ANCHOR_END: serve

// ANCHOR: read
/// What the machine makes of it that nothing comes any more.
type End = for<'a> fn(&mut Machine, &'a [u8], Instant) -> Event<'static>;

impl Connection {
    /// Does what can be done now.
    fn serve(&mut self, desk: &mut Desk) -> io::Result<()> {
        match self.state {
            State::Reads => {
                let read = match (&self.stream).read(&mut desk.buffer) {
                    Err(error) if has_to_wait(&error) => return Ok(()),
                    read => read?,
                };
                let end = (read == 0).then_some(Machine::eof as End);
                self.go_on(read, end, desk)
            }
            State::Over => Ok(()),
        }
    }

    /// Answers what has come, so many bytes of it now, and sends that.
    fn go_on(&mut self, read: usize, end: Option<End>, desk: &mut Desk) -> io::Result<()> {
        let buffer = take(&mut desk.buffer);
        self.answer(&buffer[..read], end, desk); // what that leaves is lost
        desk.buffer = buffer;
        self.send(desk)
    }
    // ANCHOR_END: read

    // ANCHOR: answer
    /// Answers what these bytes ask.
    fn answer(&mut self, bytes: &[u8], mut end: Option<End>, desk: &mut Desk) {
        let (now, mut used) = (desk.now, 0);
        self.state = loop {
            if let Some(mut responding) = self.responding.take() {
                while responding.step() {}
                let (outcome, answer, answers) = responding.end();
                desk.answers = answers.unwrap_or_default();
                self.machine.answered(answer, now);
                if let Some(failure) = outcome.error {
                    complain(format!("request: {failure}"));
                }
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
                Event::Closed => break State::Over,
            }
        };
    }
    // ANCHOR_END: answer

    // ANCHOR: send
    /// Sends the answers.
    fn send(&mut self, desk: &mut Desk) -> io::Result<()> {
        desk.answers.send(&self.stream)?;
        desk.answers = Outgoing::default(); // what there was no room for is lost
        Ok(())
    }
}
// ANCHOR_END: send
