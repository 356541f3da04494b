//! last_request: my_machine, which reads nothing behind the last request.
//!
//!     cargo run --bin last_request -- SIZE < FILE

use gateway::http::{Framing, Head, Limits, Refused};
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
            return Ok(());
        }
        bytes.extend_from_slice(&piece[..received]);
        loop {
            let (used, event) = machine.read(&bytes);
            match event {
                Event::More => break,
                Event::Head(head) => println!("{} {}", head.method, head.target.escape_ascii()),
                Event::Body(piece) => println!("  {:?}", String::from_utf8_lossy(piece)),
                Event::End => println!("  whole"),
                Event::Refused(refused) => println!("  {refused}"),
                Event::Closed => return Ok(()),
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
    /// The request is the client's mistake, and there is none after it.
    Refused(Refused),
    Closed,
}

const NO_CHUNKS: Refused = Refused::new("501 Not Implemented", "this machine reads no chunks yet");

/// What is read next.
#[derive(Default)]
enum Phase {
    #[default]
    Head,
    /// So many bytes of a body.
    Body(u64),
    /// Nothing any more.
    Over,
}

/// All that has to be known of a conversation.
#[derive(Default)]
struct Machine {
    phase: Phase,
    /// Of the bytes that were not used, how many have been looked at.
    looked: usize,
    /// Whether this request is the last.
    last: bool,
}

impl Machine {
    /// How many of the bytes have been used, and what has come of them.
    fn read<'a>(&mut self, bytes: &'a [u8]) -> (usize, Event<'a>) {
        self.step(bytes).unwrap_or_else(|refused| {
            self.phase = Phase::Over;
            (bytes.len(), Event::Refused(refused))
        })
    }

    fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, Event<'a>), Refused> {
        match self.phase {
            Phase::Over => Ok((bytes.len(), Event::Closed)),
            Phase::Head => self.head(bytes),
            Phase::Body(0) => {
                self.phase = match self.last {
                    true => Phase::Over,
                    false => Phase::Head,
                };
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

    fn head<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, Event<'a>), Refused> {
        // The blank line may begin in what was looked at.
        let from = self.looked.saturating_sub(3);
        let mut fours = bytes[from..].windows(4);
        let blank = fours.position(|four| four == b"\r\n\r\n");
        let Some(blank) = blank else {
            self.looked = bytes.len();
            return Ok((0, Event::More));
        };
        self.looked = 0;
        let (bytes, _) = bytes.split_at(from + blank + 4);
        let head = Head::parse(bytes, &Limits::DEFAULT)?;
        let says = |option: &str| {
            let mut options = head.list("Connection");
            options.any(|other| other.eq_ignore_ascii_case(option.as_bytes()))
        };
        self.last = says("close") || head.version == "HTTP/1.0" && !says("keep-alive");
        self.phase = match head.framing {
            Framing::Length(length) => Phase::Body(length),
            Framing::Chunked => return Err(NO_CHUNKS),
        };
        Ok((bytes.len(), Event::Head(head)))
    }
}
