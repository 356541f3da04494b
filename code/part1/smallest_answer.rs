//! smallest_answer: webserver1 with the smallest answer that a client can be sure of.
//!
//!     cargo run --bin smallest_answer [ADDRESS]
//!
//! Ask for http://127.0.0.1:8888/ with curl -v: the length is there, and every line
//! of the head ends with CRLF.

use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const ADDRESS: &str = "127.0.0.1:8888";
const USAGE: &str = concat!("usage: ", module_path!(), " [ADDRESS]");
const PAUSE: Duration = Duration::from_millis(100); // after an accept that failed
const REQUEST_SIZE: usize = 1024; // bytes: all that is ever read of a request
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Content-Length: 14\r\n\
    Connection: close\r\n\
    \r\n\
    Hello, World!\n";

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

    let address = listener.local_addr()?;
    let mut terminal = io::stdout();
    let _ = writeln!(terminal, "Serving HTTP on http://{address}/ ...");
    let _ = terminal.flush();

    loop {
        match listener.accept() {
            Ok((connection, peer)) => {
                if let Err(error) = handle_request(connection) {
                    let _ = writeln!(io::stderr(), "{peer}: {error}");
                }
            }
            // Often the trouble of one client alone. The pause is for what lasts.
            Err(error) => {
                let _ = writeln!(io::stderr(), "accept: {error}");
                thread::sleep(PAUSE);
            }
        }
    }
}

fn handle_request(mut connection: TcpStream) -> io::Result<()> {
    let mut request = [0; REQUEST_SIZE];
    let received = connection.read(&mut request)?;

    let mut terminal = io::stdout();
    // Whoever reads our output may have gone: no reason not to answer.
    let _ = terminal.write_all(&request[..received]);
    let _ = terminal.flush();

    connection.write_all(RESPONSE)
}
