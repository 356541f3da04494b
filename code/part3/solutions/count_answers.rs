//! count_answers: webserver3g that counts what its children have answered.
//!
//!     cargo run --bin count_answers [ADDRESS]
//!
//! Each child writes a byte into a pipe after its answer, and the parent, which holds
//! the other end, counts the bytes when a child has ended. A client that resets its
//! connection gets no answer, and is not counted. Ctrl-C ends it.

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::libc;
use nix::sys::signal::{sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};
use nix::sys::socket::{self, listen, Backlog};
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::{fork, getpid, getppid, pipe, ForkResult};
use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
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

    let handler = SigHandler::Handler(reap);
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: reap calls only what a signal handler may call, and restores errno.
    let installed = unsafe { sigaction(Signal::SIGCHLD, &action) };
    installed.map_err(|errno| failed("sigaction", errno))?;

    let (reader, writer) = pipe().map_err(|errno| failed("pipe", errno))?;
    let nonblocking = FcntlArg::F_SETFL(OFlag::O_NONBLOCK);
    fcntl(&reader, nonblocking).map_err(|errno| failed("fcntl", errno))?;
    let mut answers = Answers {
        reader: File::from(reader),
        count: 0,
    };
    let mut writer = File::from(writer);
    loop {
        answers.count_new()?;
        let connection = match accept(&listener) {
            Ok(connection) => connection,
            // The client left while it was still waiting: no reason to stop.
            Err(Errno::ECONNABORTED) => continue,
            // A signal came, and its handler has seen to it.
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(failed("accept", errno)),
        };
        // SAFETY: there is one thread, so the child may do whatever its parent might.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                drop(listener); // the child's copy
                let answered = handle_request(connection);
                if let Err(error) = answered.and_then(|()| writer.write_all(b"+")) {
                    eprintln!("request: {error}");
                }
                // SAFETY: it ends this process and touches no memory.
                unsafe { libc::_exit(0) }
            }
            Ok(ForkResult::Parent { .. }) => drop(connection), // the parent's copy
            Err(errno) => return Err(failed("fork", errno)),
        }
    }
}

struct Answers {
    reader: File,
    count: usize,
}

impl Answers {
    /// Counts what is in the pipe, and prints the count if it has grown.
    fn count_new(&mut self) -> io::Result<()> {
        let before = self.count;
        let mut bytes = [0; 512];
        while let Ok(new @ 1..) = self.reader.read(&mut bytes) {
            self.count += new;
        }
        if self.count > before {
            writeln!(io::stdout(), "answers: {}", self.count)?;
        }
        Ok(())
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
