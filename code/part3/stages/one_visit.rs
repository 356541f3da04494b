//! one_visit: a client that asks once, and hears the answer to its end.
//!
//!     cargo run --bin one_visit

use std::io::{self, Read, Write};
use std::net::TcpStream;

const ADDRESS: &str = "127.0.0.1:8888";

fn main() -> io::Result<()> {
    let mut connection = ask()?;
    let answer = hear(&mut connection)?;
    println!("{} bytes, and the end", answer.len());
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
