//! reports_by_pipe: one_pipe with several connections for each client.
//!
//!     cargo run --bin reports_by_pipe

use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::{fork, ForkResult};
use std::io::{self, BufRead, BufReader, PipeWriter, Read, Write};
use std::net::TcpStream;

const ADDRESS: &str = "127.0.0.1:8888";
const CLIENTS: u32 = 8;
const CONNECTIONS: u32 = 4; // of each client

fn main() -> io::Result<()> {
    let (reports, report) = io::pipe()?;
    let mut clients = Vec::new();
    for _ in 1..=CLIENTS {
        // SAFETY: there is one thread, so no lock is held by one that the child lacks.
        match unsafe { fork() }? {
            ForkResult::Child => {
                drop(reports);
                client(report);
                // SAFETY: _exit only ends the process: no destructor and no atexit hook runs.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => clients.push(child),
        }
    }
    drop(report); // read returns 0 only when every writing end is closed
    let mut answered = 0;
    for line in BufReader::new(reports).lines() {
        if line? == "answered" {
            answered += 1;
        }
    }
    for client in clients {
        waitpid(client, None)?;
    }
    println!("{CLIENTS} x {CONNECTIONS} connections: {answered} answered");
    Ok(())
}

/// Holds its connections, and reports on each.
fn client(mut report: PipeWriter) {
    let mut say = |line: &str| {
        // One write of at most PIPE_BUF bytes is atomic: no other line comes between.
        let _ = report.write_all(format!("{line}\n").as_bytes());
    };
    let mut connections = Vec::new();
    for _ in 1..=CONNECTIONS {
        match ask() {
            Ok(connection) => connections.push(connection),
            Err(_) => say("failed"),
        }
    }
    for connection in &mut connections {
        match hear(connection) {
            Ok(answer) if answer.is_empty() => say("closed"),
            Ok(_) => say("answered"),
            Err(_) => say("failed"),
        }
    }
}

fn ask() -> io::Result<TcpStream> {
    let mut connection = TcpStream::connect(ADDRESS)?;
    let request = format!("GET /hello HTTP/1.1\r\nHost: {ADDRESS}\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    Ok(connection)
}

/// The whole answer, up to the server's close.
fn hear(connection: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match connection.read(&mut chunk) {
            Ok(0) => return Ok(answer),
            Ok(read) => answer.extend_from_slice(&chunk[..read]),
            Err(error) => return Err(error),
        }
    }
}
