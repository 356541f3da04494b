//! hears_one: shows the request of a connection, and waits for its answer.
//!
//!     cargo run --bin hears_one [ADDRESS]

use gateway::http::Limits;
use gateway::http1::{Event, Machine, Patience};
use std::env;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Instant;

const PATIENCE: Patience = Patience::DEFAULT;

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
fn converse(mut connection: TcpStream) -> gateway::Result<()> {
    let mut machine = Machine::new(&Limits::DEFAULT, &PATIENCE, Instant::now());
    let mut buffer = [0; 8192];
    let mut bytes = Vec::new();
    loop {
        let received = connection.read(&mut buffer)?;
        bytes.extend_from_slice(&buffer[..received]);
        let (mut more, mut open) = (true, received > 0);
        while more {
            let (used, event) = machine.read(&bytes, Instant::now());
            match event {
                Event::Head(head) => println!("{} {}", head.method, head.target.escape_ascii()),
                Event::Body(_) => {}
                Event::End(_) => println!("  whole"),
                Event::Refused(refused) => println!("  {refused}"),
                Event::More => more = false,
                Event::Paused | Event::Closed => (more, open) = (false, false),
            }
            bytes.drain(..used);
        }
        if !open {
            return Ok(());
        }
    }
}
