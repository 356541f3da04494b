//! echoes_bodies: in_time, which answers with the body that came.
//!
//!     cargo run --bin echoes_bodies [ADDRESS]

use gateway::http::Limits;
use gateway::http1::{Event, Machine, Patience};
use std::env;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const PATIENCE: Patience = Patience {
    head_timeout: Duration::from_secs(1),
    keep_alive: Duration::from_secs(1),
    ..Patience::DEFAULT
};
const SHORTEST: Duration = Duration::from_millis(1); // that a socket takes for a time
const TEXT: &[u8] = b"Hello, World!\n";

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
    let mut body = Vec::new();
    loop {
        connection.write_all(machine.go_on(Instant::now()))?;
        let now = Instant::now();
        let left = |deadline: Instant| deadline.saturating_duration_since(now).max(SHORTEST);
        connection.set_read_timeout(machine.deadline().map(left))?;
        let received = match connection.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                match machine.late(&bytes, Instant::now()) {
                    Event::More => continue,
                    Event::Refused(refused) => {
                        let text = refused.why.as_bytes();
                        connection.write_all(&answer(&mut machine, refused.status, text)?)?;
                        return Ok(());
                    }
                    _ => return Ok(()),
                }
            }
            received => received?,
        };
        bytes.extend_from_slice(&buffer[..received]);
        let (mut more, mut open) = (true, received > 0);
        while more {
            let (used, event) = machine.read(&bytes, Instant::now());
            let mut said = None;
            match event {
                Event::Head(head) => println!("{} {}", head.method, head.target.escape_ascii()),
                Event::Body(piece) => body.extend_from_slice(piece),
                Event::End(_) if body.is_empty() => said = Some(("200 OK", TEXT.to_vec())),
                Event::End(_) => said = Some(("200 OK", std::mem::take(&mut body))),
                Event::Refused(refused) => said = Some((refused.status, refused.why.into())),
                Event::More => more = false,
                Event::Paused | Event::Closed => (more, open) = (false, false),
            }
            bytes.drain(..used);
            if let Some((status, text)) = said {
                connection.write_all(&answer(&mut machine, status, &text)?)?;
            }
        }
        if !open {
            return Ok(());
        }
    }
}

/// The bytes of an answer.
fn answer(machine: &mut Machine, status: &str, text: &[u8]) -> gateway::Result<Vec<u8>> {
    let mut out = Vec::new();
    let Some(mut answer) = machine.answer() else {
        return Ok(out);
    };
    let length = text.len() as u64;
    write!(out, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n")?;
    out.extend_from_slice(answer.begin(status[..3].parse()?, Some(length)).as_bytes());
    out.extend_from_slice(b"\r\n");
    answer.piece(text, &mut out);
    answer.end(&[], &mut out)?;
    machine.answered(answer, Instant::now());
    Ok(out)
}
