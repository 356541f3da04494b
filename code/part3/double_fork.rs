//! double_fork: no_zombies that asks for its children, and gives its grandchildren away.
//!
//!     cargo run --bin double_fork [ADDRESS]
//!
//! The child forks once more and ends at once, and the server waits for it on the
//! spot. The grandchild, which serves the client, has lost its parent: it prints that
//! of its new one, process 1 as a rule, which reaps it. Ctrl-C ends them all.

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{self, listen, Backlog};
use nix::sys::wait::waitpid;
use nix::unistd::{fork, getpid, getppid, ForkResult};
use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::{self, ExitCode};

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

    loop {
        let connection = match accept(&listener) {
            Ok(connection) => connection,
            // The error is that connection's, and the next may be better.
            Err(errno) if LOST.contains(&errno) => continue,
            Err(errno) => return Err(failed("accept", errno)),
        };
        // SAFETY: there is one thread, so no lock is held by one that the child lacks.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                drop(listener); // the child's copy

                // SAFETY: there is still one thread.
                let grandchild = unsafe { fork() };
                if let Err(errno) = grandchild {
                    let _ = writeln!(io::stderr(), "fork: {errno}");
                }
                if !matches!(grandchild, Ok(ForkResult::Child)) {
                    // SAFETY: _exit only ends the process, and the server waits for that.
                    unsafe { libc::_exit(0) }
                }
                if let Err(error) = handle_request(connection) {
                    let _ = writeln!(io::stderr(), "request: {error}");
                }
                // SAFETY: _exit only ends the process: no destructor and no atexit hook runs.
                unsafe { libc::_exit(0) }
            }
            Ok(ForkResult::Parent { child }) => {
                drop(connection); // the parent's copy
                match waitpid(child, None) {
                    // Started by somebody who ignores SIGCHLD, it has no zombies to reap.
                    Ok(_) | Err(Errno::ECHILD) => {}
                    Err(errno) => return Err(failed("waitpid", errno)),
                }
            }
            Err(errno) => return Err(failed("fork", errno)),
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
