//! webserver3a: webserver1 with a queue of five.
//!
//!     cargo run --bin webserver3a [ADDRESS]
//!
//! An *iterative* server: one client after the other. Hold it with a client that
//! says nothing, bring more, and look at the queue they stand in:
//! `ss -ltn 'sport = :8888'` counts them in Recv-Q and shows its length in Send-Q.
//! Ctrl-C ends it.

use nix::errno::Errno;
use nix::sys::socket::{self, listen, Backlog};
use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::ExitCode;

const ADDRESS: &str = "127.0.0.1:8888";
const BACKLOG: i32 = 5; // connections that may wait for accept
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

    loop {
        let connection = match accept(&listener) {
            Ok(connection) => connection,
            // The client left while it was still waiting: no reason to stop.
            Err(Errno::ECONNABORTED) => continue,
            Err(errno) => return Err(failed("accept", errno)),
        };
        if let Err(error) = handle_request(connection) {
            eprintln!("request: {error}");
        }
    }
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
    terminal.write_all(&request[..received])?;
    terminal.flush()?;

    connection.write_all(RESPONSE)
}

fn failed(call: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{call}: {errno}"))
}
