//! A server that forks for each request, for tests of applications that have an
//! interpreter inside.
//!
//!     forking module:callable [--warm PATH] [ADDRESS]
//!
//! It reads a request and answers it, and leaves everything else that a server
//! should do to others.

use gateway::http::{read_head, Head, RequestBody};
use nix::libc;
use nix::sys::signal::{sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::{fork, ForkResult};
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

fn main() {
    if let Err(error) = run() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run() -> gateway::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or("which application?")?;
    let mut address = "127.0.0.1:8888".to_string();
    let application = apps::load(&name)?;
    while let Some(argument) = arguments.next() {
        if argument == "--warm" {
            let path = arguments.next().ok_or("--warm what?")?;
            let status = apps::warm(&application, &path)?;
            eprintln!("warmed up with GET {path}: {status}");
        } else {
            address = argument;
        }
    }
    serve_forever(&address, &application)
}

fn serve_forever(address: &str, application: &dyn gateway::Application) -> gateway::Result<()> {
    let listener = TcpListener::bind(address)?;
    let server = listener.local_addr()?;
    println!("Serving HTTP on http://{server}/ ...");
    io::stdout().flush()?;

    let action = SigAction::new(
        SigHandler::Handler(reap),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    // SAFETY: reap calls only what a signal handler may call, and restores errno.
    unsafe { sigaction(Signal::SIGCHLD, &action) }?;

    loop {
        let (connection, peer) = listener.accept()?;
        let still = apps::before_fork();
        // SAFETY: what other threads may hold, above all Python's lock, is held by
        // this thread; the rest of the program has no other thread.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                still.after_fork_in_child();
                drop(listener);
                if let Err(error) = handle_request(connection, peer, server, application) {
                    eprintln!("{peer}: {error}");
                }
                // SAFETY: it ends this process and touches no memory.
                unsafe { libc::_exit(0) }
            }
            Ok(ForkResult::Parent { .. }) => still.after_fork_in_parent(),
            Err(error) => {
                still.after_fork_in_parent();
                eprintln!("fork: {error}");
            }
        }
    }
}

extern "C" fn reap(_: libc::c_int) {
    let errno = nix::errno::Errno::last_raw();
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
    }
    nix::errno::Errno::set_raw(errno);
}

fn handle_request(
    connection: TcpStream,
    peer: SocketAddr,
    server: SocketAddr,
    application: &dyn gateway::Application,
) -> gateway::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let head = read_head(&mut reader)?;
    if head.is_empty() {
        return Ok(());
    }
    let head = Head::parse(&head)?;
    let body = RequestBody::new(reader, head.framing);
    let mut environ = head.environ(Box::new(body));
    environ.set("SERVER_NAME", server.ip().to_string());
    environ.set("SERVER_PORT", server.port().to_string());
    environ.set("REMOTE_ADDR", peer.ip().to_string());
    environ.multiprocess = true;
    environ.run_once = true;
    let outcome = gateway::respond(application, environ, connection);
    outcome.error.map_or(Ok(()), Err)
}
