//! webserver3h: webserver3g that runs any application.
//!
//!     cargo run --bin webserver3h -- module:callable [ADDRESS] [--warm PATH]
//!
//! Many clients and any application: a child for each request, and in the child
//! what webserver2 does. Send 128 clients at once, and a slow one; nobody waits for
//! another, and no zombie stays. With --warm the application is asked for PATH once
//! before the first fork. Ctrl-C ends it.

use clap::Parser;
use gateway::connection::{print_request, print_response, Connection};
use gateway::http::{Limits, Refused};
use gateway::log::{complain, print};
use gateway::{options, refuse, respond, Application};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{sigaction, signal, SaFlags, SigAction, SigHandler, SigSet, Signal};
use nix::sys::socket::{self, listen, Backlog};
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::{fork, getpid, getppid, ForkResult};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::ExitCode;

const BACKLOG: i32 = libc::SOMAXCONN; // connections that may wait: the most there can be
const SOFTWARE: &str = "webserver3h"; // what the answers name as their server

/// webserver3g that runs any application
#[derive(Parser)]
#[command(name = SOFTWARE, version)]
struct Options {
    /// The application, module:callable: wsgiapp:app is one
    application: String,
    /// Where to listen
    #[arg(default_value = "127.0.0.1:8888")]
    address: String,
    /// Asks the application for PATH once before the first fork
    #[arg(long, value_name = "PATH")]
    warm: Option<String>,
    #[command(flatten)]
    limits: Limits,
}

fn main() -> ExitCode {
    match run(options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> gateway::Result<()> {
    // ANCHOR: warm
    let application = apps::load(&options.application)?;
    if let Some(path) = &options.warm {
        let status = apps::warm(&application, path)?;
        complain(format!("warmed up with GET {path}: {status}"));
    }
    // ANCHOR_END: warm
    serve_forever(&options, &application)?;
    Ok(())
}

fn serve_forever(options: &Options, application: &dyn Application) -> io::Result<()> {
    let address = options.address.as_str();
    let listener = TcpListener::bind(address).map_err(|error| {
        let why = match address.starts_with(':') {
            true => "no host before the port".to_string(),
            false => error.to_string(),
        };
        let hint = "another address can be the last argument";
        io::Error::new(error.kind(), format!("bind {address}: {why}; {hint}"))
    })?;
    // The library has asked for a queue of 128. The call that comes last counts.
    let backlog = Backlog::new(BACKLOG).and_then(|backlog| listen(&listener, backlog));
    backlog.map_err(|errno| failed("listen", errno))?;

    let address = listener.local_addr()?;
    print(format!("Serving HTTP on http://{address}/ ...\n").as_bytes());

    let handler = SigHandler::Handler(reap);
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: reap calls only what a signal handler may call, and restores errno.
    let installed = unsafe { sigaction(Signal::SIGCHLD, &action) };
    installed.map_err(|errno| failed("sigaction", errno))?;

    loop {
        let connection = match accept(&listener) {
            Ok(connection) => connection,
            // The client left while it was still waiting: no reason to stop.
            Err(Errno::ECONNABORTED) => continue,
            // A signal came, and its handler has seen to it.
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(failed("accept", errno)),
        };
        // ANCHOR: fork
        let still = apps::before_fork();
        // SAFETY: this thread is the program's only one, but for those that an
        // interpreter inside has started: and that one is held still by this thread.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                still.after_fork_in_child();
                drop(listener); // the child's copy

                // Its children, if the application has any, are not ours to reap.
                // SAFETY: no function is installed. There is such a signal, so it succeeds.
                let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
                let handled = handle_request(connection, address, &options.limits, application);
                if let Err(error) = handled {
                    complain(format!("request: {error}"));
                }
                // SAFETY: it ends this process and touches no memory.
                unsafe { libc::_exit(0) }
            }
            Ok(ForkResult::Parent { .. }) => {
                still.after_fork_in_parent();
                drop(connection); // the parent's copy
            }
            Err(errno) => return Err(failed("fork", errno)),
        }
        // ANCHOR_END: fork
    }
}

extern "C" fn reap(_: libc::c_int) {
    let errno = Errno::last_raw(); // of the code that the signal interrupted
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            // Those who are left have not ended; or none is left.
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => break,
            _ => {}
        }
    }
    Errno::set_raw(errno);
}

/// The kernel's accept, once. The library's would call it again after a signal.
fn accept(listener: &TcpListener) -> Result<TcpStream, Errno> {
    let connection = socket::accept(listener.as_raw_fd())?;
    // SAFETY: the kernel has opened this descriptor for us, and nothing else owns it.
    Ok(unsafe { TcpStream::from_raw_fd(connection) })
}

fn handle_request(
    connection: TcpStream,
    server: SocketAddr,
    limits: &Limits,
    application: &dyn Application,
) -> gateway::Result<()> {
    let connection = Connection::new(connection)?;
    let log = |head: &[u8]| {
        let pids = format!("child pid {}, parent pid {}\n", getpid(), getppid());
        print(pids.as_bytes());
        print_request(head);
    };
    let (outcome, error) = match connection.read_request(limits, log) {
        Ok(Some(request)) => {
            let mut environ = request.environ(connection.peer(), server, SOFTWARE);
            environ.multiprocess = true;
            environ.run_once = true; // in this process, which ends after it
            let mut outcome = respond(application, environ, connection.clone());
            let error = outcome.error.take();
            (outcome, error)
        }
        Ok(None) => return Ok(()), // the client has left without a word
        Err(error) if Refused::of(&error).is_some() => {
            let outcome = refuse(&error, connection.clone());
            (outcome, Some(error.into()))
        }
        Err(error) => return Err(error.into()),
    };
    connection.close(limits.linger); // the client need not wait for our terminal
    print_response(&outcome);
    error.map_or(Ok(()), Err)
}

fn failed(call: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{call}: {errno}"))
}
