//! The thread that answers sleeps until there is somebody in the line.
//!
//!     cargo run --bin thread_that_sleeps -- wsgiapp:app

use clap::Parser;
use gateway::connection::{accept, print_request_of, Connection};
use gateway::http::{duration, Limits};
use gateway::log::complain;
use gateway::{options, respond, Application};
use nix::unistd::{getpid, getppid};
use prefork::{default_signals, end_by, serve_forever, Inherited};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
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
        work(&inherited, |connection| {
            handle_request(connection, inherited.address, &options.limits, &application)
        })
    });
    default_signals(); // from here on, the next one ends us at once
    apps::finish();
    end_by(told?)
}

/// A worker: a thread answers its clients until it is told to stop.
fn work(
    inherited: &Inherited,
    answer: impl Fn(Connection) -> gateway::Result<()> + Sync,
) -> io::Result<()> {
    let clients = Clients::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            while let Some(connection) = clients.next() {
                if let Err(error) = answer(connection) {
                    complain(format!("request: {error}"));
                }
            }
        });
        accept_for(&clients, inherited)
    })
}

/// Accepts clients for the thread of this worker until it is told to stop.
fn accept_for(clients: &Clients, inherited: &Inherited) -> io::Result<()> {
    while !inherited.told_to_stop() {
        inherited.wait(inherited.listener.as_fd())?;
        if let Some((connection, peer)) = accept(inherited.listener)? {
            clients.push(Connection::new(connection, peer));
        }
    }
    Ok(())
}

/// The clients of a worker, between the thread that accepts and the one that answers.
#[derive(Default)]
struct Clients {
    line: Mutex<VecDeque<Connection>>,
    changed: Condvar, // somebody has come
}

impl Clients {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Connection>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, connection: Connection) {
        self.lock().push_back(connection);
        self.changed.notify_one();
    }

    /// The next one for a thread, which waits for it.
    fn next(&self) -> Option<Connection> {
        let nobody = |line: &mut VecDeque<_>| line.is_empty();
        let line = self.changed.wait_while(self.lock(), nobody);
        let mut line = line.unwrap_or_else(PoisonError::into_inner);
        line.pop_front()
    }
}

fn handle_request(
    connection: Connection,
    server: SocketAddr,
    limits: &Limits,
    application: &dyn Application,
) -> gateway::Result<()> {
    let log = |head: &[u8]| {
        let pids = format!("worker pid {}, master pid {}\n", getpid(), getppid());
        print_request_of(&pids, head);
    };
    connection.answer(limits, log, |request, output| {
        let mut environ = request.environ(server, SOFTWARE);
        environ.multithread = true;
        environ.multiprocess = true;
        respond(application, environ, output)
    })
}
