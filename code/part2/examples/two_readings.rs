//! One request, and what comes after it, for two readers.
//!
//!     cargo run -p part2 --example two_readings

// ANCHOR: program
use gateway::http::{read_head, Framing, Limits, RequestBody};
use std::io;

const BYTES: &[u8] = b"POST /public HTTP/1.1\r\nHost: x\r\n\
    Content-Length: 38\r\nTransfer-Encoding: chunked\r\n\r\n\
    0\r\n\r\nGET /secret HTTP/1.1\r\nHost: x\r\n\r\n";

/// The line that comes next, for a server that has answered the first request.
fn next_line(framing: Framing) -> io::Result<String> {
    let limits = Limits::DEFAULT;
    let mut connection = BYTES;
    read_head(&mut connection, &limits)?;
    let mut body = RequestBody::new(&mut connection, framing, &limits);
    io::copy(&mut body, &mut io::sink())?; // reads it to its end
    let next = read_head(&mut connection, &limits)?;
    Ok(String::from_utf8_lossy(&next)
        .lines()
        .next()
        .unwrap_or_default()
        .to_string())
}

fn main() -> io::Result<()> {
    println!("by length: {:?}", next_line(Framing::Length(38))?);
    println!("by chunks: {:?}", next_line(Framing::Chunked)?);
    Ok(())
}
// ANCHOR_END: program
