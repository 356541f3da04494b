//! A worker answers each client in a thread of its own.
//!
//!     cargo run --bin thread_for_each_client -- wsgiapp:app

use clap::Parser;
use gateway::connection::{accept, print_request_of, Connection};
use gateway::http::{duration, Limits};
use gateway::log::complain;
use gateway::{options, respond, Application};
use nix::unistd::{getpid, getppid};
use prefork::{default_signals, end_by, serve_forever, Inherited};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::process::ExitCode;
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

/// A worker: a thread answers each client until it is told to stop.
fn work(
    inherited: &Inherited,
    answer: impl Fn(Connection) -> gateway::Result<()> + Sync,
) -> io::Result<()> {
    let answer = &answer;
    thread::scope(|scope| {
        while !inherited.told_to_stop() {
            inherited.wait(inherited.listener.as_fd())?;
            let Some((connection, peer)) = accept(inherited.listener)? else {
                continue; // another worker was faster
            };
            scope.spawn(move || {
                if let Err(error) = answer(Connection::new(connection, peer)) {
                    complain(format!("request: {error}"));
                }
            });
        }
        Ok(())
    })
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
