//! in_chunks: my_machine, which reads a body in chunks too.
//!
//!     cargo run --bin in_chunks -- SIZE < FILE

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
                Event::More => {
                    bytes.drain(..used); // lines between two chunks
                    break;
                }
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

const LONGEST_LINE: usize = 256; // bytes, between two chunks
const BROKEN: Refused = Refused::new("400 Bad Request", "a chunk is not what it should be");

/// What is read next.
#[derive(Default)]
enum Phase {
    #[default]
    Head,
    /// So many bytes of a body.
    Body(u64),
    /// The size of a chunk.
    Size,
    /// So many bytes of a chunk, more than none.
    Chunk(u64),
    /// The end of the line behind them.
    ChunkEnd,
    /// Fields behind the last chunk, and an empty line.
    Trailers,
    /// Nothing any more.
    Over,
}

/// All that has to be known of a conversation.
#[derive(Default)]
struct Machine {
    phase: Phase,
    /// Of the bytes that were not used, how many have been looked at.
    looked: usize,
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
                self.phase = Phase::Head;
                Ok((0, Event::End))
            }
            Phase::Body(_) | Phase::Chunk(_) if bytes.is_empty() => Ok((0, Event::More)),
            Phase::Body(left) => {
                let size = left.min(bytes.len() as u64) as usize;
                self.phase = Phase::Body(left - size as u64);
                Ok((size, Event::Body(&bytes[..size])))
            }
            Phase::Chunk(left) => {
                let size = left.min(bytes.len() as u64) as usize;
                self.phase = match left - size as u64 {
                    0 => Phase::ChunkEnd,
                    left => Phase::Chunk(left),
                };
                Ok((size, Event::Body(&bytes[..size])))
            }
            Phase::Size | Phase::ChunkEnd | Phase::Trailers => {
                let mut used = 0;
                while matches!(self.phase, Phase::Size | Phase::ChunkEnd | Phase::Trailers) {
                    let Some(line) = line(&bytes[used..])? else {
                        return Ok((used, Event::More));
                    };
                    self.phase = self.behind(line)?;
                    used += line.len() + 2; // with its CRLF
                }
                let (more, event) = self.step(&bytes[used..])?;
                Ok((used + more, event))
            }
        }
    }

    /// What is read behind this line, which is none of a head.
    fn behind(&self, line: &[u8]) -> Result<Phase, Refused> {
        match self.phase {
            Phase::ChunkEnd if line.is_empty() => Ok(Phase::Size),
            Phase::Trailers if line.is_empty() => Ok(Phase::Body(0)),
            Phase::Trailers => Ok(Phase::Trailers),
            Phase::Size => match size(line).ok_or(BROKEN)? {
                0 => Ok(Phase::Trailers),
                size => Ok(Phase::Chunk(size)),
            },
            _ => Err(BROKEN),
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
        self.phase = match head.framing {
            Framing::Length(length) => Phase::Body(length),
            Framing::Chunked => Phase::Size,
        };
        Ok((bytes.len(), Event::Head(head)))
    }
}

/// The first line of the bytes, without the CRLF that must end it, if it has come.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Refused> {
    let bytes = &bytes[..bytes.len().min(LONGEST_LINE)];
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => bytes[..end].strip_suffix(b"\r").map(Some).ok_or(BROKEN),
        None if bytes.len() == LONGEST_LINE => Err(BROKEN),
        None => Ok(None),
    }
}

/// The size of a chunk, in hexadecimal digits, before any extensions.
fn size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii_end();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
