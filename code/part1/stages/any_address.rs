//! any_address: serves where its first argument says.
//!
//!     cargo run --bin any_address [ADDRESS]

use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

const ADDRESS: &str = "127.0.0.1:8888";
const PAUSE: Duration = Duration::from_millis(100); // after an accept that failed
const REQUEST_SIZE: usize = 1024; // bytes: all that is ever read of a request
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\n\nHello, World!\n";

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| ADDRESS.into());
    serve_forever(&address)
}

fn serve_forever(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;

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
