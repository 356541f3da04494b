// ANCHOR: main
//! from_memory: the server of Part 1, written once more.
//!
//!     cargo run --bin from_memory [ADDRESS]
//!
//! It does what webserver1 does, told in another order: `main` keeps the loop, and
//! everything that may go wrong ends up there.

use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const USAGE: &str = concat!("usage: ", module_path!(), " [ADDRESS]");

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let address = match &arguments[..] {
        [] => "127.0.0.1:8888".into(),
        [address] => address.to_string_lossy(),
        _ => return fail(2, USAGE),
    };
    let listener = match listen(&address) {
        Ok(listener) => listener,
        Err(why) => return fail(1, &format!("bind {address}: {why}; {USAGE}")),
    };
    loop {
        match listener.accept() {
            Ok((connection, peer)) => {
                if let Err(error) = serve(connection) {
                    complain(&format!("{peer}: {error}"));
                }
            }
            Err(error) => {
                complain(&format!("accept: {error}"));
                thread::sleep(Duration::from_millis(100)); // it may last
            }
        }
    }
}
// ANCHOR_END: main

// ANCHOR: rest
/// A listener, when its address has been printed; or why there is none.
fn listen(address: &str) -> Result<TcpListener, String> {
    if address.starts_with(':') {
        return Err("no host before the port".to_string());
    }
    let listener = TcpListener::bind(address).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    print(format!("Serving HTTP on http://{address}/ ...\n").as_bytes());
    Ok(listener)
}

fn serve(mut connection: TcpStream) -> io::Result<()> {
    let mut request = [0; 1024];
    let received = connection.read(&mut request)?;
    print(&request[..received]);
    connection.write_all(b"HTTP/1.1 200 OK\n\nHello, World!\n")
}

/// Nobody need be there to read it.
fn print(bytes: &[u8]) {
    let mut terminal = io::stdout();
    let _ = terminal.write_all(bytes).and_then(|()| terminal.flush());
}

fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn fail(code: u8, line: &str) -> ExitCode {
    complain(line);
    ExitCode::from(code)
}
// ANCHOR_END: rest
