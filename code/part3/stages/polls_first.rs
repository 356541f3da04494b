//! polls_first: raises_a_flag that waits in poll, and in no other call.
//!
//!     cargo run --bin polls_first [ADDRESS]

use nix::errno::Errno;
use nix::libc;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};
use nix::sys::socket::{self, listen, Backlog};
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::{fork, getpid, getppid, ForkResult};
use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd};
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};

const ADDRESS: &str = "127.0.0.1:8888";
const USAGE: &str = concat!("usage: ", module_path!(), " [ADDRESS]");
const BACKLOG: i32 = libc::SOMAXCONN; // connections that may wait, if the kernel allows as many
const REQUEST_SIZE: usize = 1024; // bytes: all that is ever read of a request
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\n\nHello, World!\n";

/// Errors of the new connection, which accept hands on: see accept(2).
const LOST: &[Errno] = &[
    Errno::ECONNABORTED, // the client left while it was still waiting
    Errno::EPERM,        // a firewall has forbidden it
    Errno::EPROTO,
    Errno::ENOPROTOOPT,
    Errno::EOPNOTSUPP,
    Errno::ENETDOWN,
    Errno::ENETUNREACH,
    Errno::EHOSTDOWN,
    Errno::EHOSTUNREACH,
    Errno::ETIMEDOUT,
    #[cfg(target_os = "linux")]
    Errno::ENONET,
];

static ENDED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let address = arguments.next().unwrap_or_else(|| ADDRESS.into());
    if arguments.next().is_some() {
        let _ = writeln!(io::stderr(), "{USAGE}");
        return ExitCode::from(2);
    }
    match serve_forever(&address.to_string_lossy()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_forever(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).map_err(|error| {
        let why = match address.starts_with(':') {
            true => "no host before the port".to_string(),
            false => error.to_string(),
        };
        io::Error::new(error.kind(), format!("bind {address}: {why}; {USAGE}"))
    })?;
    // std has called listen with 128; a second listen replaces the backlog.
    let backlog = Backlog::new(BACKLOG).and_then(|backlog| listen(&listener, backlog));
    backlog.map_err(|errno| failed("listen", errno))?;

    let address = listener.local_addr()?;
    let mut terminal = io::stdout();
    let _ = writeln!(terminal, "Serving HTTP on http://{address}/ ...");
    let _ = writeln!(terminal, "process {}", process::id());
    let _ = terminal.flush();

    let handler = SigHandler::Handler(note);
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: note stores into an atomic and does nothing else.
    let installed = unsafe { sigaction(Signal::SIGCHLD, &action) };
    installed.map_err(|errno| failed("sigaction", errno))?;
    // The mask is inherited: whoever started us may have blocked it.
    let unblocked = SigSet::from(Signal::SIGCHLD).thread_unblock();
    unblocked.map_err(|errno| failed("pthread_sigmask", errno))?;
    // Non-blocking: the connection that poll reported may be gone before accept.
    listener.set_nonblocking(true)?;

    loop {
        wait_for(&listener)?;
        if ENDED.swap(false, Ordering::Relaxed) {
            reap();
        }
        let connection = match accept(&listener) {
            Ok(connection) => connection,
            // The error is that connection's, and the next may be better.
            Err(errno) if LOST.contains(&errno) => continue,
            // A child has ended, or its signal has come just now.
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            Err(errno) => return Err(failed("accept", errno)),
        };
        // On macOS and the BSDs it inherits O_NONBLOCK from the listener.
        connection.set_nonblocking(false)?;
        // SAFETY: there is one thread, so no lock is held by one that the child lacks.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                drop(listener); // the child's copy
                if let Err(error) = handle_request(connection) {
                    let _ = writeln!(io::stderr(), "request: {error}");
                }
                // SAFETY: _exit only ends the process: no destructor and no atexit hook runs.
                unsafe { libc::_exit(0) }
            }
            Ok(ForkResult::Parent { .. }) => drop(connection), // the parent's copy
            Err(errno) => return Err(failed("fork", errno)),
        }
    }
}

extern "C" fn note(_: libc::c_int) {
    ENDED.store(true, Ordering::Relaxed);
}

fn wait_for(listener: &TcpListener) -> io::Result<()> {
    let mut sources = [listener.as_fd()].map(|source| PollFd::new(source, PollFlags::POLLIN));
    match poll(&mut sources, PollTimeout::NONE) {
        // poll is not restarted, not even with SA_RESTART, and the loop looks.
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(failed("poll", errno)),
    }
}

fn reap() {
    let mut terminal = io::stdout();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            // The children that are left still run, or none is left.
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
            Ok(WaitStatus::Exited(child, code)) => {
                let _ = writeln!(terminal, "child pid {child} exited with {code}");
            }
            Ok(WaitStatus::Signaled(child, signal, _)) => {
                let _ = writeln!(terminal, "child pid {child} was ended by {signal}");
            }
            // It has been reaped, and nix has no name for what ended it.
            Err(Errno::EINVAL) => {
                let _ = writeln!(terminal, "a child was ended by a real-time signal");
            }
            _ => {}
        }
    }
}

/// The kernel's accept without a retry: that of std repeats the call on EINTR.
fn accept(listener: &TcpListener) -> Result<TcpStream, Errno> {
    // CLOEXEC: a program that is started from here does not inherit it.
    #[cfg(not(target_vendor = "apple"))]
    let connection = socket::accept4(listener.as_raw_fd(), socket::SockFlag::SOCK_CLOEXEC)?;
    #[cfg(target_vendor = "apple")] // which has no accept4
    let connection = socket::accept(listener.as_raw_fd())?;
    // SAFETY: the kernel has opened this descriptor for us, and nothing else owns it.
    Ok(unsafe { TcpStream::from_raw_fd(connection) })
}

fn handle_request(mut connection: TcpStream) -> io::Result<()> {
    let mut request = [0; REQUEST_SIZE];
    let received = connection.read(&mut request)?;

    let mut terminal = io::stdout();
    // Whoever reads our output may have gone: no reason not to answer.
    let _ = writeln!(terminal, "child pid {}, parent pid {}", getpid(), getppid());
    let _ = terminal.write_all(&request[..received]);
    let _ = terminal.flush();

    connection.write_all(RESPONSE)
}

fn failed(call: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{call}: {errno}"))
}
