//! looks_again: counts how often it looks at a byte.
//!
//!     cargo run --bin looks_again -- SIZE < FILE

use gateway::http::{Framing, Head, Limits};
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
    let mut machine = Machine::default();
    let mut bytes = Vec::new();
    loop {
        let received = io::stdin().read(&mut piece)?;
        if received == 0 {
            println!("{} bytes looked at", machine.looks);
            return Ok(());
        }
        bytes.extend_from_slice(&piece[..received]);
        loop {
            let (used, event) = machine.read(&bytes)?;
            match event {
                Event::More => break,
                Event::Head(head) => println!("{} {}", head.method, head.target.escape_ascii()),
                Event::Body(piece) => println!("  {:?}", String::from_utf8_lossy(piece)),
                Event::End => println!("  whole"),
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
    /// A piece of a body.
    Body(&'a [u8]),
    /// The request is whole.
    End,
}

/// What is read next.
#[derive(Default)]
enum Phase {
    #[default]
    Head,
    /// So many bytes of a body.
    Body(u64),
}

/// All that has to be known of a conversation.
#[derive(Default)]
struct Machine {
    phase: Phase,
    looks: usize,
}

impl Machine {
    /// How many of the bytes have been used, and what has come of them.
    fn read<'a>(&mut self, bytes: &'a [u8]) -> gateway::Result<(usize, Event<'a>)> {
        match self.phase {
            Phase::Head => self.head(bytes),
            Phase::Body(0) => {
                self.phase = Phase::Head;
                Ok((0, Event::End))
            }
            Phase::Body(_) if bytes.is_empty() => Ok((0, Event::More)),
            Phase::Body(left) => {
                let size = left.min(bytes.len() as u64) as usize;
                self.phase = Phase::Body(left - size as u64);
                Ok((size, Event::Body(&bytes[..size])))
            }
        }
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> gateway::Result<(usize, Event<'a>)> {
        let mut fours = bytes.windows(4);
        let blank = fours.position(|four| four == b"\r\n\r\n");
        self.looks += blank.map_or(bytes.len(), |blank| blank + 4);
        let Some(blank) = blank else {
            return Ok((0, Event::More));
        };
        let (bytes, _) = bytes.split_at(blank + 4);
        let head = Head::parse(bytes, &Limits::DEFAULT)?;
        self.phase = match head.framing {
            Framing::Length(length) => Phase::Body(length),
            Framing::Chunked => return Err("this machine reads no chunks yet".into()),
        };
        Ok((bytes.len(), Event::Head(head)))
    }
}
