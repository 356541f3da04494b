//! webserver4b whose log names the thread that answers, by its number in the worker.
//!
//!     cargo run --bin which_thread -- echoapp:app

use clap::Parser;
use gateway::connection::{accept, print_request_of, Connection};
use gateway::http::{duration, Limits};
use gateway::log::complain;
use gateway::{options, respond, Application};
use nix::unistd::{getpid, getppid};
use prefork::{default_signals, end_by, serve_forever, Inherited};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

const SOFTWARE: &str = "webserver4b"; // what the answers name as their server

/// webserver4a whose workers answer with threads
#[derive(Parser)]
#[command(name = SOFTWARE, version)]
struct Options {
    /// The application, module:callable: wsgiapp:app is one
    application: String,
    /// Where to listen
    #[arg(default_value = "127.0.0.1:8888")]
    address: String,
    /// How many workers there are
    #[arg(long, value_name = "N", default_value = "2")]
    workers: NonZeroUsize,
    /// With how many threads each of them answers
    #[arg(long, value_name = "M", default_value = "4")]
    threads: NonZeroUsize,
    /// How long a worker that is told to stop may take for its last answers
    #[arg(long, default_value = "30s", value_parser = duration)]
    graceful_timeout: Duration,
    /// Asks the application for PATH once before the first fork
    #[arg(long, value_name = "PATH")]
    warm: Option<String>,
    #[command(flatten)]
    limits: Limits,
}

fn main() -> ExitCode {
    options::main(run)
}

fn run(options: Options) -> gateway::Result<()> {
    let application = apps::load_shared(&options.application)?;
    if let Some(path) = &options.warm {
        let status = apps::warm(&application, path)?;
        complain(format!("warmed up with GET {path}: {status}"));
    }
    let (address, timeout) = (&options.address, options.graceful_timeout);
    let told = serve_forever(address, options.workers, timeout, |inherited| {
        work(&inherited, options.threads.get(), |connection, thread| {
            let (server, limits) = (inherited.address, &options.limits);
            handle_request(connection, thread, server, limits, &application)
        })
    });
    default_signals(); // from here on, the next one ends us at once
    apps::finish();
    end_by(told?)
}

/// A worker: its threads answer until it is told to stop.
fn work(
    inherited: &Inherited,
    threads: usize,
    answer: impl Fn(Connection, usize) -> gateway::Result<()> + Sync,
) -> io::Result<()> {
    let (room, made) = UnixStream::pair()?;
    room.set_nonblocking(true)?;
    made.set_nonblocking(true)?;
    let clients = Clients {
        enough: threads,
        room: made,
        line: Mutex::default(),
        changed: Condvar::new(),
    };
    let answer_each = |thread| {
        while let Some(connection) = clients.next() {
            // What an application does is caught already. This is for a bug of ours.
            match catch_unwind(AssertUnwindSafe(|| answer(connection, thread))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => complain(format!("request: {error}")),
                Err(_) => complain("request: the server panicked"),
            }
            clients.done();
        }
    };
    thread::scope(|scope| {
        let answer_each = &answer_each;
        let begin =
            |number| thread::Builder::new().spawn_scoped(scope, move || answer_each(number));
        let begun = (1..=threads).try_for_each(|number| begin(number).map(drop));
        let worked = begun.and_then(|()| accept_for(&clients, &room, inherited));
        clients.close(); // or the scope would wait for them for ever
        worked
    })
}

/// Accepts clients for the threads of this worker until it is told to stop.
fn accept_for(clients: &Clients, mut room: &UnixStream, inherited: &Inherited) -> io::Result<()> {
    while !inherited.told_to_stop() {
        if clients.are_enough() {
            inherited.wait(room.as_fd())?;
            while matches!(room.read(&mut [0; 64]), Ok(1..)) {}
            continue;
        }
        inherited.wait(inherited.listener.as_fd())?;
        if let Some((connection, peer)) = accept(inherited.listener)? {
            clients.push(Connection::new(connection, peer));
        }
    }
    Ok(())
}

/// The clients of a worker, between the thread that accepts and those that answer.
struct Clients {
    line: Mutex<Line>,
    changed: Condvar, // somebody has come, or nobody will any more
    enough: usize,
    room: UnixStream, // a byte, when they were enough and are not any more
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Connection>,
    answered: usize, // how many are being answered
    closed: bool,
}

impl Line {
    fn length(&self) -> usize {
        self.waiting.len() + self.answered
    }
}

impl Clients {
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn are_enough(&self) -> bool {
        self.lock().length() >= self.enough
    }

    fn push(&self, connection: Connection) {
        self.lock().waiting.push_back(connection);
        self.changed.notify_one();
    }

    /// The next one for a thread, which waits for it; none if there will be none.
    fn next(&self) -> Option<Connection> {
        let nobody = |line: &mut Line| line.waiting.is_empty() && !line.closed;
        let line = self.changed.wait_while(self.lock(), nobody);
        let mut line = line.unwrap_or_else(PoisonError::into_inner);
        let connection = line.waiting.pop_front()?;
        line.answered += 1;
        Some(connection)
    }

    /// One has been answered.
    fn done(&self) {
        let mut line = self.lock();
        if line.length() == self.enough {
            let _ = (&self.room).write(b"."); // if it is full, there are bytes in it
        }
        line.answered -= 1;
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

fn handle_request(
    connection: Connection,
    thread: usize,
    server: SocketAddr,
    limits: &Limits,
    application: &dyn Application,
) -> gateway::Result<()> {
    let log = |head: &[u8]| {
        let (worker, master) = (getpid(), getppid());
        let pids = format!("worker pid {worker}, thread {thread}, master pid {master}\n");
        print_request_of(&pids, head);
    };
    connection.answer(limits, log, |request, output| {
        let mut environ = request.environ(server, SOFTWARE);
        environ.multithread = true;
        environ.multiprocess = true;
        respond(application, environ, output)
    })
}
