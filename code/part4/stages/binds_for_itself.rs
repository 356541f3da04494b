//! Each worker binds a socket of its own, to the address that the master's has.
//!
//!     cargo run --bin binds_for_itself -- wsgiapp:app

use clap::Parser;
use gateway::connection::{print_request_of, Connection};
use gateway::http::Limits;
use gateway::log::{complain, print};
use gateway::options::{self, cannot_bind};
use gateway::{respond, Application};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{listen, Backlog};
use nix::unistd::{fork, getpid, getppid, ForkResult, Pid};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

const BACKLOG: i32 = libc::SOMAXCONN; // connections that may wait, if the kernel allows as many
const SOFTWARE: &str = "webserver4a"; // what the answers name as their server

/// webserver3h whose children stay
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
    let application = apps::load(&options.application)?;
    if let Some(path) = &options.warm {
        let status = apps::warm(&application, path)?;
        complain(format!("warmed up with GET {path}: {status}"));
    }
    serve_forever(&options, &application)?;
    apps::finish();
    Ok(())
}

/// The master: forks the workers, and waits until all of them have ended.
fn serve_forever(options: &Options, application: &dyn Application) -> io::Result<()> {
    let address = options.address.as_str();
    let listener = TcpListener::bind(address).map_err(|error| cannot_bind(address, error))?;
    // std has called listen with 128; a second listen replaces the backlog.
    let backlog = Backlog::new(BACKLOG).and_then(|backlog| listen(&listener, backlog));
    backlog.map_err(|errno| failed("listen", errno))?;

    let address = listener.local_addr()?;
    let process = getpid();
    print(format!("Serving HTTP on http://{address}/ ...\nprocess {process}\n").as_bytes());

    let mut workers = Vec::new();
    while workers.len() < options.workers.get() {
        let still = apps::before_fork();
        // SAFETY: the child has this thread alone. What another may hold here, of the
        // locks that the child takes, this one holds: see before_fork.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                still.after_fork_in_child();
                let listener = TcpListener::bind(address)?;
                let worked = work(&listener, |connection| {
                    handle_request(connection, address, &options.limits, application)
                });
                if let Err(error) = &worked {
                    complain(format!("worker pid {}: {error}", getpid()));
                }
                apps::finish();
                // SAFETY: _exit only ends the process: no destructor and no atexit hook runs.
                unsafe { libc::_exit(worked.is_err().into()) }
            }
            Ok(ForkResult::Parent { child }) => {
                still.after_fork_in_parent();
                print(format!("worker pid {child}\n").as_bytes());
                workers.push(child);
            }
            Err(errno) => return Err(failed("fork", errno)),
        }
    }
    workers.into_iter().for_each(wait_for);
    Ok(())
}

/// Waits until a worker has ended, and says how.
fn wait_for(worker: Pid) {
    let mut status = 0;
    // SAFETY: waitpid writes into `status`, and no further.
    unsafe { libc::waitpid(worker.as_raw(), &mut status, 0) };
    let status = ExitStatus::from_raw(status);
    complain(format!("worker pid {worker}: {status}"));
}

/// A worker: answers one client after the other.
fn work(
    listener: &TcpListener,
    answer: impl Fn(Connection) -> gateway::Result<()>,
) -> io::Result<()> {
    loop {
        let (connection, peer) = listener.accept()?;
        if let Err(error) = answer(Connection::new(connection, peer)) {
            complain(format!("request: {error}"));
        }
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
        environ.multiprocess = true;
        respond(application, environ, output)
    })
}

fn failed(call: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{call}: {errno}"))
}
