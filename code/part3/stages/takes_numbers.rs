//! takes_numbers: told_apart that takes its numbers from the command line.
//!
//!     cargo run --bin takes_numbers -- [--max-clients N] [--max-conns N]

use clap::Parser;
use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::{fork, ForkResult};
use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const ADDRESS: &str = "127.0.0.1:8888";

/// Many clients at once.
#[derive(Parser)]
#[command(name = "client3", version)]
struct Arguments {
    /// How many clients, each a process of its own
    #[arg(long, default_value_t = 1, value_name = "N")]
    max_clients: u32,
    /// How many connections each client holds
    #[arg(long, default_value_t = 1, value_name = "N")]
    max_conns: u32,
    /// How long to wait for a connection, and for all answers
    #[arg(long, default_value_t = 10, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    patience: u64,
}

fn main() -> io::Result<()> {
    let arguments = &Arguments::parse();
    let (reports, report) = io::pipe()?;
    let mut clients = Vec::new();
    for _ in 1..=arguments.max_clients {
        // SAFETY: there is one thread, so no lock is held by one that the child lacks.
        match unsafe { fork() }? {
            ForkResult::Child => {
                drop(reports);
                client(arguments, report);
                // SAFETY: _exit only ends the process: no destructor and no atexit hook runs.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => clients.push(child),
        }
    }
    drop(report); // read returns 0 only when every writing end is closed
    let tally = collect(arguments, reports);
    for client in clients {
        waitpid(client, None)?;
    }
    println!("{}", tally?);
    Ok(())
}

/// Holds its connections, and reports on each.
fn client(arguments: &Arguments, mut report: PipeWriter) {
    let patience = Duration::from_secs(arguments.patience);
    let mut say = |line: &str| {
        // One write of at most PIPE_BUF bytes is atomic: no other line comes between.
        let _ = report.write_all(format!("{line}\n").as_bytes());
    };
    let mut connections = Vec::new();
    for _ in 1..=arguments.max_conns {
        match ask() {
            Ok(connection) => connections.push(connection),
            Err(error) => say(&outcome(&error)),
        }
    }
    let deadline = Instant::now() + patience;
    for connection in &mut connections {
        match hear(connection, deadline) {
            Ok(answer) if answer.is_empty() => say("closed"),
            Ok(_) => say("answered"),
            Err(error) => say(&outcome(&error)),
        }
    }
}

fn ask() -> io::Result<TcpStream> {
    let mut connection = TcpStream::connect(ADDRESS)?;
    let request = format!("GET /hello HTTP/1.1\r\nHost: {ADDRESS}\r\n\r\n");
    // If the server has closed already, its answer will tell.
    let _ = connection.write_all(request.as_bytes());
    Ok(connection)
}

/// The whole answer, up to the server's close.
fn hear(connection: &mut TcpStream, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    // An answer that has come is read even late; one that goes on and on is not.
    let end = deadline.max(Instant::now() + Duration::from_secs(1));
    loop {
        if Instant::now() > end {
            return Err(ErrorKind::TimedOut.into());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        // A timeout of zero is an error, and none would mean for ever.
        connection.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match connection.read(&mut chunk) {
            Ok(0) => return Ok(answer),
            Ok(read) => answer.extend_from_slice(&chunk[..read]),
            // Stopped by Ctrl-Z, and told by `fg` to go on.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What became of a connection, or what kept the client from having one.
fn outcome(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "refused".to_string(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "reset".to_string(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "timed out".to_string(),
        _ => error.to_string(),
    }
}

fn collect(arguments: &Arguments, reports: PipeReader) -> io::Result<Tally> {
    let mut tally = Tally {
        clients: arguments.max_clients,
        connections: arguments.max_conns,
        ..Tally::default()
    };
    for line in BufReader::new(reports).lines() {
        match line?.as_str() {
            "answered" => tally.answered += 1,
            "refused" => tally.refused += 1,
            "reset" => tally.reset += 1,
            "timed out" => tally.timed_out += 1,
            "closed" => tally.closed += 1,
            obstacle => return Err(io::Error::other(obstacle)),
        }
    }
    Ok(tally)
}

#[derive(Default)]
struct Tally {
    clients: u32,
    connections: u32, // of each client
    answered: u64,
    refused: u64,
    reset: u64,
    timed_out: u64,
    closed: u64, // before any byte of an answer
}

impl fmt::Display for Tally {
    fn fmt(&self, line: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            line,
            "{} x {} connections: ",
            self.clients, self.connections
        )?;
        write!(
            line,
            "{} answered, {} refused, ",
            self.answered, self.refused
        )?;
        write!(line, "{} reset, {} timed out", self.reset, self.timed_out)?;
        match self.closed {
            0 => Ok(()),
            closed => write!(line, ", {closed} closed without an answer"),
        }
    }
}
