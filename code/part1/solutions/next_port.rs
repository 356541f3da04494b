//! next_port: webserver1 that takes the next port when one is taken.
//!
//!     cargo run --bin next_port [ADDRESS]
//!
//! Start it twice: the second one serves on port 8889, and says so.

use std::env;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const ADDRESS: &str = "127.0.0.1:8888";
const USAGE: &str = concat!("usage: ", module_path!(), " [ADDRESS]");
const PAUSE: Duration = Duration::from_millis(100); // after an accept that failed
const REQUEST_SIZE: usize = 1024; // bytes: all that is ever read of a request
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\n\nHello, World!\n";

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
    let mut address: SocketAddr = address.parse().map_err(|error| {
        let kind = io::ErrorKind::InvalidInput;
        io::Error::new(kind, format!("bind {address}: {error}; {USAGE}"))
    })?;
    let listener = loop {
        match TcpListener::bind(address) {
            Ok(listener) => break listener,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() < u16::MAX => {
                address.set_port(address.port() + 1);
            }
            Err(error) => {
                let message = format!("bind {address}: {error}; {USAGE}");
                return Err(io::Error::new(error.kind(), message));
            }
        }
    };

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
