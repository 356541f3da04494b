//! whole_request: webserver1 that reads to the end of the head.
//!
//!     cargo run --bin whole_request [ADDRESS]
//!
//! Send it a request in two parts, or one of 3,000 bytes: it waits for the blank
//! line, up to 8,192 bytes, and the answer arrives whole.
use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

const ADDRESS: &str = "127.0.0.1:8888";
const REQUEST_SIZE: usize = 8192; // bytes: a longer request is read no further
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

    let address = listener.local_addr()?;
    let mut terminal = io::stdout();
    writeln!(terminal, "Serving HTTP on http://{address}/ ...")?;
    terminal.flush()?;
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
fn handle_request(mut connection: TcpStream) -> io::Result<()> {
    let mut request = [0; REQUEST_SIZE];
    let mut received = 0;
    while received < REQUEST_SIZE && !is_whole(&request[..received]) {
        match connection.read(&mut request[received..])? {
            0 => break, // the client will send no more
            more => received += more,
        }
    }

    let mut terminal = io::stdout();
    terminal.write_all(&request[..received])?;
    terminal.flush()?;

    connection.write_all(RESPONSE)
}

fn is_whole(request: &[u8]) -> bool {
    request.windows(4).any(|bytes| bytes == b"\r\n\r\n")
        || request.windows(2).any(|bytes| bytes == b"\n\n")
}
