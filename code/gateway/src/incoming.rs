//! A request that comes in pieces, for a server that must not wait for the next.
//!
//! The rules are those of [`http`](crate::http), which only reads: here it reads what
//! has come, and where that ends it gets the error of a socket with nothing to read.
//!
//! ```
//! use gateway::http::Limits;
//! use gateway::incoming::{Incoming, Progress};
//!
//! let (mut incoming, limits) = (Incoming::default(), Limits::DEFAULT);
//! for piece in ["GET /hello HTTP/1.1\r\nHo", "st: localhost\r\n\r"] {
//!     incoming.push(piece.as_bytes());
//!     let progress = incoming.progress(false, &limits, |_| {})?;
//!     assert!(matches!(progress, Progress::More));
//! }
//! incoming.push(b"\n");
//! let progress = incoming.progress(false, &limits, |_| {})?;
//! assert!(matches!(progress, Progress::Request(_)));
//! # Ok::<(), gateway::Error>(())
//! ```

use crate::http::{read_head, Framing, Head, Limits, RequestBody};
use crate::respond::{lock, respond};
use crate::{Application, Environ, Outcome};
use std::io::{self, BufRead, Cursor, ErrorKind, Read, Write};
use std::mem::take;
use std::sync::{Arc, Mutex};

// ANCHOR: incoming
/// What has come of a request. One of which nothing has come has no memory but this.
#[derive(Default)]
pub struct Incoming {
    /// What has come and has no other place yet.
    received: Vec<u8>,
    /// So many of these bytes do not hold the end of the head.
    looked: usize,
    /// The head, once it is whole.
    head: Option<(Vec<u8>, Framing)>,
    /// The chunks of the body that are whole, decoded.
    chunks: Vec<u8>,
}

/// How far a request is.
pub enum Progress {
    /// More has to come.
    More,
    /// Its head has come, and the client waits to be told that its body is wanted.
    Expects,
    /// All of it is here, or will never be: then its body fails as it is read. What only a
    /// server knows is still missing.
    Request(Environ),
    /// There is none: the client has left without a word.
    Left,
}
// ANCHOR_END: incoming

// ANCHOR: progress
impl Incoming {
    /// Adds what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// Whether nothing has come.
    pub fn is_empty(&self) -> bool {
        self.received.is_empty() && self.head.is_none()
    }

    /// Looks at what has come since the last look; `ended` if nothing comes after it.
    /// The head is shown to `log` as it came.
    ///
    /// # Errors
    ///
    /// A [`Refused`](crate::http::Refused) request.
    pub fn progress(
        &mut self,
        ended: bool,
        limits: &Limits,
        log: impl FnOnce(&[u8]),
    ) -> io::Result<Progress> {
        let mut expects = false;
        if self.head.is_none() {
            if !(ended || self.may_hold_a_head(limits)) {
                return Ok(Progress::More);
            }
            let bytes = match read_head(&mut Arrived(&self.received, ended), limits) {
                Err(error) if has_to_wait(&error) => return Ok(Progress::More),
                bytes => bytes?,
            };
            if bytes.is_empty() {
                return Ok(Progress::Left);
            }
            log(&bytes);
            let head = Head::parse(&bytes, limits)?;
            self.received.drain(..bytes.len());
            expects = head.expects_continue() && self.received.is_empty();
            let framing = head.framing;
            self.head = Some((bytes, framing));
        }
        let Some((bytes, framing)) = self.head.take() else {
            return Ok(Progress::More);
        };
        if !self.has_body(framing, ended, limits) {
            self.head = Some((bytes, framing));
            return Ok(match expects {
                true => Progress::Expects,
                false => Progress::More,
            });
        }
        let limits_of_rest = less(limits, self.chunks.len());
        let rest = Cursor::new(take(&mut self.received));
        let rest = RequestBody::new(rest, framing, &limits_of_rest);
        let body = Cursor::new(take(&mut self.chunks)).chain(rest);
        let head = Head::parse(&bytes, limits)?;
        Ok(Progress::Request(head.environ(Box::new(body))))
    }
    // ANCHOR_END: progress

    // ANCHOR: may_hold
    /// Whether it is worth while to read the head. Where it ends now, there is an empty
    /// line in the bytes that are new; and where it is too long, it has become so now.
    fn may_hold_a_head(&mut self, limits: &Limits) -> bool {
        let (before, now) = (self.looked, self.received.len());
        self.looked = now;
        let new = &self.received[before.saturating_sub(2)..];
        let passes = |limit: u64| (before as u64..=now as u64).contains(&limit);
        new.windows(2).any(|end| end == b"\n\n")
            || new.windows(3).any(|end| end == b"\n\r\n")
            || passes(limits.max_line)
            || passes(limits.max_head)
    }
    // ANCHOR_END: may_hold

    // ANCHOR: has_body
    /// Whether the body is here, or broken. Chunks that are whole are decoded, and are
    /// not looked at again.
    fn has_body(&mut self, framing: Framing, ended: bool, limits: &Limits) -> bool {
        if let Framing::Length(length) = framing {
            return ended || self.received.len() as u64 >= length;
        }
        let received = &mut self.received;
        let mut start = 0; // of the first chunk that is not whole
        let over = loop {
            let limits = less(limits, self.chunks.len());
            let mut arrived = Arrived(&received[start..], ended);
            let here = match RequestBody::new(&mut arrived, framing, &limits).fill_buf() {
                Ok([]) => break true, // the last chunk
                Ok(here) => here.len(),
                Err(error) => break !has_to_wait(&error),
            };
            let bytes = received.len() - arrived.0.len();
            let end = bytes + here;
            match received.get(end..end + 2) {
                Some(b"\r\n") => self.chunks.extend_from_slice(&received[bytes..end]),
                Some(_) => break true,
                None => break ended,
            }
            start = end + 2;
        };
        received.drain(..start);
        over
    }
}

/// The limits for what is left of a body of which so many bytes have come.
fn less(limits: &Limits, bytes: usize) -> Limits {
    let max_body = limits.max_body.saturating_sub(bytes as u64);
    Limits {
        max_body,
        ..*limits
    }
}
// ANCHOR_END: has_body

// ANCHOR: arrived
/// The bytes that have come, and whether they are the last. Behind them it has the error
/// of a socket with nothing to read.
struct Arrived<'a>(&'a [u8], bool);

impl BufRead for Arrived<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Arrived([], false) => Err(ErrorKind::WouldBlock.into()),
            Arrived(bytes, _) => Ok(bytes),
        }
    }

    fn consume(&mut self, read: usize) {
        self.0 = &self.0[read..];
    }
}

impl Read for Arrived<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// Whether a call can be made again, with better luck, when there is something to do.
pub fn has_to_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
// ANCHOR_END: arrived

// ANCHOR: collected
/// Calls `application` and collects all of its answer, as [`respond`] would have sent it.
pub fn collect(application: &dyn Application, environ: Environ) -> (Vec<u8>, Outcome) {
    let collected = Collected::default();
    let outcome = respond(application, environ, collected.clone());
    let bytes = take(&mut *lock(&collected.0));
    (bytes, outcome)
}

#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<u8>>>);

impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
// ANCHOR_END: collected
