//! Answers on their way to a client, for a server that must not wait until it has read
//! them.
//!
//! ```
//! use gateway::outgoing::Outgoing;
//!
//! let mut outgoing = Outgoing::default();
//! outgoing.push(b"HTTP/1.1 204 No Content\r\n\r\n");
//! outgoing.push(b"HTTP/1.1 204 No Content\r\n\r\n");
//! assert_eq!(outgoing.len(), 54);
//! let mut client = Vec::new(); // takes all there is, in one write
//! assert_eq!(outgoing.send(&mut client)?, 54);
//! assert!(outgoing.is_empty());
//! # Ok::<(), std::io::Error>(())
//! ```

use crate::incoming::has_to_wait;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};

// ANCHOR: outgoing
pub(crate) const LARGE: usize = 16 << 10; // bytes of a chunk that is not copied
const PIECES: usize = 16; // of one write

/// What waits to be sent. Small things stand one behind the other in a piece, and a large
/// chunk is a piece of its own, which is not copied.
#[derive(Default)]
pub struct Outgoing {
    pieces: VecDeque<Vec<u8>>,
    /// So many bytes of the first have been sent.
    sent: usize,
    /// So many of all have not.
    waiting: usize,
}
// ANCHOR_END: outgoing

// ANCHOR: push
impl Outgoing {
    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Adds these bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting += bytes.len();
        match self.pieces.back_mut() {
            Some(last) if last.len() + bytes.len() <= last.capacity().max(LARGE) => {
                last.extend_from_slice(bytes);
            }
            _ => self.pieces.push_back(bytes.to_vec()),
        }
    }
    // ANCHOR_END: push

    // ANCHOR: send
    /// Sends what the client takes now, in one write. How many bytes that was.
    ///
    /// # Errors
    ///
    /// Those of the client, but for the one which says that it takes none.
    pub fn send(&mut self, mut client: impl Write) -> io::Result<usize> {
        if self.is_empty() {
            return Ok(0);
        }
        let (first, second) = self.pieces.as_slices();
        let sent = match (first, second) {
            ([piece], []) => client.write(&piece[self.sent..]),
            _ => {
                let mut slices = [IoSlice::new(b""); PIECES];
                for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                    *slice = IoSlice::new(piece);
                }
                IoSlice::advance_slices(&mut &mut slices[..1], self.sent);
                client.write_vectored(&slices)
            }
        };
        let sent = match sent {
            Err(error) if has_to_wait(&error) => return Ok(0),
            sent => sent?,
        };
        self.waiting -= sent;
        self.sent += sent;
        while let Some(size) = self.pieces.front().map(Vec::len) {
            if self.sent < size {
                break;
            }
            self.sent -= size;
            match &mut self.pieces {
                // The next answer goes there, unless it was a large chunk.
                last if last.len() == 1 && last[0].capacity() <= 8 * LARGE => {
                    last[0].clear();
                    break;
                }
                pieces => drop(pieces.pop_front()),
            }
        }
        Ok(sent)
    }
}
// ANCHOR_END: send

// ANCHOR: output
/// Where an answer is written to. Whatever can be written to is one.
pub trait Output: Send {
    /// Takes all these bytes.
    ///
    /// # Errors
    ///
    /// Those of the client, who has left.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Takes a large chunk, and what stands before and behind it.
    ///
    /// # Errors
    ///
    /// The same.
    fn give(&mut self, before: &[u8], chunk: Vec<u8>, after: &[u8]) -> io::Result<()> {
        self.put(&[before, &chunk, after].concat())
    }
}

impl<W: Write + Send> Output for W {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)?;
        self.flush()
    }
}

impl Output for Outgoing {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.push(bytes);
        Ok(())
    }

    fn give(&mut self, before: &[u8], chunk: Vec<u8>, after: &[u8]) -> io::Result<()> {
        self.push(before);
        self.waiting += chunk.len();
        self.pieces.push_back(chunk);
        self.push(after);
        Ok(())
    }
}
// ANCHOR_END: output
