//! patience: webserver1 that does not wait for ever.
//!
//!     cargo run --bin patience [ADDRESS]
//!
//! Connect with nc, type nothing, and ask with curl from another terminal: curl is
//! answered when the patience for the silent client has run out.
use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

const ADDRESS: &str = "127.0.0.1:8888";
const REQUEST_SIZE: usize = 1024; // bytes: all that is ever read of a request
const PATIENCE: Duration = Duration::from_millis(500); // for each read and each write
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
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let mut request = [0; REQUEST_SIZE];
    let received = connection.read(&mut request)?;

    let mut terminal = io::stdout();
    terminal.write_all(&request[..received])?;
    terminal.flush()?;

    connection.write_all(RESPONSE)
}
