//! hangs_up: accepts, and ends the connection.
//!
//!     cargo run --bin hangs_up [ADDRESS]

use std::env;
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

fn main() -> ExitCode {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8888".to_string());
    match serve_forever(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_forever(address: &str) -> gateway::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("Serving HTTP on http://{}/ ...", listener.local_addr()?);
    loop {
        let (connection, peer) = listener.accept()?;
        if let Err(error) = converse(connection) {
            eprintln!("{peer}: {error}");
        }
    }
}

/// Reads and answers, until one side has had enough.
fn converse(connection: TcpStream) -> gateway::Result<()> {
    println!("{}", connection.peer_addr()?);
    Ok(())
}
