//! heads_alone: shows the heads in what comes, however it is cut.
//!
//!     cargo run --bin heads_alone -- SIZE < FILE

use gateway::http::{Head, Limits};
use std::env;
use std::io::{self, Read};
use std::process::ExitCode;

fn main() -> ExitCode {
    let size = env::args().nth(1).and_then(|size| size.parse().ok());
    match show(size.unwrap_or(1000)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Shows what comes, in pieces of so many bytes.
fn show(size: usize) -> gateway::Result<()> {
    let mut piece = vec![0; size];
    let mut bytes = Vec::new();
    loop {
        let received = io::stdin().read(&mut piece)?;
        if received == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&piece[..received]);
        loop {
            let (used, event) = read(&bytes)?;
            match event {
                Event::More => break,
                Event::Head(head) => println!("{} {}", head.method, head.target.escape_ascii()),
            }
            bytes.drain(..used);
        }
    }
}

/// What has come of the bytes.
enum Event<'a> {
    /// Nothing yet: more of them are needed.
    More,
    Head(Head<'a>),
}

/// How many of the bytes have been used, and what has come of them.
fn read(bytes: &[u8]) -> gateway::Result<(usize, Event<'_>)> {
    let mut fours = bytes.windows(4);
    let blank = fours.position(|four| four == b"\r\n\r\n");
    let Some(blank) = blank else {
        return Ok((0, Event::More));
    };
    let (head, _) = bytes.split_at(blank + 4);
    let event = Event::Head(Head::parse(head, &Limits::DEFAULT)?);
    Ok((head.len(), event))
}
