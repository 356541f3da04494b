// ANCHOR: about
//! webserver1: a web server on one page.
//!
//!     cargo run --bin webserver1 [ADDRESS]
//!
//! It listens on 127.0.0.1:8888, or on ADDRESS, and gives every request the
//! same answer. Visit http://127.0.0.1:8888/hello with a browser or with curl
//! and watch this terminal: it shows what the client sent, byte for byte.
//! One client at a time, one read for each. Ctrl-C ends it.
// ANCHOR_END: about

// ANCHOR: head
use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

const ADDRESS: &str = "127.0.0.1:8888";
const REQUEST_SIZE: usize = 1024; // bytes: all that is ever read of a request
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\n\nHello, World!\n";
// ANCHOR_END: head

// ANCHOR: main
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
// ANCHOR_END: main

// ANCHOR: bind
fn serve_forever(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).map_err(|error| {
        let hint = "another address can be the first argument";
        io::Error::new(error.kind(), format!("bind {address}: {error}; {hint}"))
    })?;

    let address = listener.local_addr()?;
    let mut terminal = io::stdout();
    writeln!(terminal, "Serving HTTP on http://{address}/ ...")?;
    terminal.flush()?;
    // ANCHOR_END: bind

    // ANCHOR: accept
    loop {
        match listener.accept() {
            Ok((connection, peer)) => {
                if let Err(error) = handle_request(connection) {
                    eprintln!("{peer}: {error}");
                }
            }
            // The client left while it was still waiting: no reason to stop.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(io::Error::new(error.kind(), format!("accept: {error}"))),
        }
    }
}
// ANCHOR_END: accept

// ANCHOR: handle_request
fn handle_request(mut connection: TcpStream) -> io::Result<()> {
    let mut request = [0; REQUEST_SIZE];
    let received = connection.read(&mut request)?;

    let mut terminal = io::stdout();
    terminal.write_all(&request[..received])?;
    terminal.flush()?;

    connection.write_all(RESPONSE)
}
// ANCHOR_END: handle_request
