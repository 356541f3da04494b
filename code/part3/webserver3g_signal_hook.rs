//! webserver3g_signal_hook: webserver3g with signal-hook, and no handler of its own.
//!
//!     cargo run --bin webserver3g_signal_hook [ADDRESS]
//!
//! The library's handler writes a byte into a socket whose other end is polled beside
//! the listener, so children are reaped by ordinary code, which may print. Send
//! it 128 clients at once; `strace -e trace=rt_sigaction` shows what the library asked
//! of the kernel. Ctrl-C ends it.

use nix::errno::Errno;
use nix::libc;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{listen, Backlog};
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::{fork, getpid, getppid, ForkResult};
use signal_hook::consts::SIGCHLD;
use signal_hook::low_level::pipe;
use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

const ADDRESS: &str = "127.0.0.1:8888";
const BACKLOG: i32 = libc::SOMAXCONN; // connections that may wait: the most there can be
const REQUEST_SIZE: usize = 1024; // bytes: all that is ever read of a request
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\n\nHello, World!\n";

fn main() -> ExitCode {
    let address = env::args_os().nth(1).unwrap_or_else(|| ADDRESS.into());
    match serve_forever(&address.to_string_lossy()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_forever(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).map_err(|error| {
        let hint = "another address can be the first argument";
        io::Error::new(error.kind(), format!("bind {address}: {error}; {hint}"))
    })?;
    // The library has asked for a queue of 128. The call that comes last counts.
    let backlog = Backlog::new(BACKLOG).and_then(|backlog| listen(&listener, backlog));
    backlog.map_err(|errno| failed("listen", errno))?;

    let address = listener.local_addr()?;
    let mut terminal = io::stdout();
    writeln!(terminal, "Serving HTTP on http://{address}/ ...")?;
    terminal.flush()?;

    let (mut signals, writer) = UnixStream::pair()?;
    signals.set_nonblocking(true)?;
    pipe::register(SIGCHLD, writer)?;
    // Neither may block: what poll has seen can be gone.
    listener.set_nonblocking(true)?;

    loop {
        wait_for_either(&listener, &signals)?;
        reap(&mut signals);
        let (connection, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            // The client left while it was still waiting: no reason to stop.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(io::Error::new(error.kind(), format!("accept: {error}"))),
        };
        // Some systems hand the flag down to it.
        connection.set_nonblocking(false)?;
        // SAFETY: there is one thread, so the child may do whatever its parent might.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                drop(listener); // the child's copy
                if let Err(error) = handle_request(connection) {
                    eprintln!("{peer}: {error}");
                }
                // SAFETY: it ends this process and touches no memory.
                unsafe { libc::_exit(0) }
            }
            Ok(ForkResult::Parent { .. }) => drop(connection), // the parent's copy
            Err(errno) => return Err(failed("fork", errno)),
        }
    }
}

fn wait_for_either(listener: &TcpListener, signals: &UnixStream) -> io::Result<()> {
    let sources = [listener.as_fd(), signals.as_fd()];
    let mut sources = sources.map(|source| PollFd::new(source, PollFlags::POLLIN));
    match poll(&mut sources, PollTimeout::NONE) {
        // No flag makes the kernel restart poll. The byte is there by now.
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(failed("poll", errno)),
    }
}

fn reap(signals: &mut UnixStream) {
    let mut bytes = [0; 64];
    while matches!(signals.read(&mut bytes), Ok(1..)) {}

    let mut terminal = io::stdout();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            // Those who are left have not ended; or none is left.
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
            Ok(WaitStatus::Exited(child, code)) => {
                let _ = writeln!(terminal, "child pid {child} exited with {code}");
            }
            Ok(WaitStatus::Signaled(child, signal, _)) => {
                let _ = writeln!(terminal, "child pid {child} was ended by {signal}");
            }
            _ => {}
        }
    }
}

fn handle_request(mut connection: TcpStream) -> io::Result<()> {
    let mut request = [0; REQUEST_SIZE];
    let received = connection.read(&mut request)?;

    let mut terminal = io::stdout();
    writeln!(terminal, "child pid {}, parent pid {}", getpid(), getppid())?;
    terminal.write_all(&request[..received])?;
    terminal.flush()?;

    connection.write_all(RESPONSE)
}

fn failed(call: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{call}: {errno}"))
}
