//! many_visits: a process for each client, and a parent that counts how they ended.
//!
//!     cargo run --bin many_visits

use nix::libc;
use nix::sys::wait::{waitpid, WaitStatus};
use nix::unistd::{fork, ForkResult};
use std::io::{self, Read, Write};
use std::net::TcpStream;

const ADDRESS: &str = "127.0.0.1:8888";
const CLIENTS: u32 = 8;

fn main() -> io::Result<()> {
    let mut clients = Vec::new();
    for _ in 1..=CLIENTS {
        // SAFETY: there is one thread, so no lock is held by one that the child lacks.
        match unsafe { fork() }? {
            ForkResult::Child => {
                let code = i32::from(client().is_err());
                // SAFETY: _exit only ends the process: no destructor and no atexit hook runs.
                unsafe { libc::_exit(code) }
            }
            ForkResult::Parent { child } => clients.push(child),
        }
    }
    let mut answered = 0;
    for client in clients {
        if waitpid(client, None)? == WaitStatus::Exited(client, 0) {
            answered += 1;
        }
    }
    println!("{CLIENTS} clients: {answered} answered");
    Ok(())
}

fn client() -> io::Result<()> {
    let mut connection = ask()?;
    hear(&mut connection)?;
    Ok(())
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
