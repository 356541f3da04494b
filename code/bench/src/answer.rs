//! Asks a server once, and looks at the whole answer.

use crate::steady;
use crate::table::{Connection, Row};
use anyhow::{ensure, Context, Result};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a part of the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than this is not read of an answer, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Asks for the row's path, over HTTP as the row's load tool speaks it.
///
/// # Errors
///
/// No connection; an answer without an end; another status than 200, another
/// body than the row's.
pub fn check(address: SocketAddr, row: &Row) -> Result<()> {
    let answer = ask(address, row).with_context(|| format!("ask {} for {}", row.name, row.path))?;
    let (head, body) = split(&answer);
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let status = line.split_whitespace().nth(1).unwrap_or_default();
    ensure!(
        line.starts_with("HTTP/1.") && status == "200",
        "{} answers {} with `{}` where 200 is expected",
        row.name,
        row.path,
        line.trim_end()
    );
    ensure!(
        body == row.body.as_bytes(),
        "{} answers {} with the body {:?} where {:?} is expected",
        row.name,
        row.path,
        shortened(body),
        shortened(row.body.as_bytes())
    );
    let length = steady::length(&answer)?.unwrap_or(answer.len());
    ensure!(
        length == answer.len(),
        "{} promises {length} bytes in all and sends {}",
        row.name,
        answer.len()
    );
    Ok(())
}

fn ask(address: SocketAddr, row: &Row) -> Result<Vec<u8>> {
    let version = match row.connection {
        Connection::Close => "1.0",
        Connection::KeepAlive | Connection::Pipelined => "1.1",
    };
    let mut connection = TcpStream::connect_timeout(&address, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let path = &row.path;
    let head = format!("GET {path} HTTP/{version}\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    connection.take(LARGEST).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The head and the body, whether the blank line has carriage returns or not.
fn split(answer: &[u8]) -> (&[u8], &[u8]) {
    for end in 1..=answer.len() {
        let head = &answer[..end];
        if head.ends_with(b"\n\n") || head.ends_with(b"\n\r\n") {
            return answer.split_at(end);
        }
    }
    (answer, &[])
}

fn shortened(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}
