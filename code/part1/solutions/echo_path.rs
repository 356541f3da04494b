//! echo_path: webserver1 that names the path it was asked for.
//!
//!     cargo run --bin echo_path [ADDRESS]
//!
//! Ask for http://127.0.0.1:8888/any/path and the answer greets that path.
//! A request without a second word gets the greeting of webserver1.
use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

const ADDRESS: &str = "127.0.0.1:8888";
const REQUEST_SIZE: usize = 1024; // bytes: all that is ever read of a request
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
    let received = connection.read(&mut request)?;

    let mut terminal = io::stdout();
    terminal.write_all(&request[..received])?;
    terminal.flush()?;

    let request = String::from_utf8_lossy(&request[..received]);
    let path = request.split_whitespace().nth(1).unwrap_or("World");
    let response = format!("HTTP/1.1 200 OK\n\nHello, {path}!\n");
    connection.write_all(response.as_bytes())
}
