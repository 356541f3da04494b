//! Lines, of which the end may not have come yet.

use super::{Read, CHUNK_BROKEN};
use crate::http::{field, Field, Refused};
use std::io::BufRead;
use std::mem::take;

// ANCHOR: lines
/// How far the bytes have been searched that were left unused.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// So many of them have been looked at.
    looked: usize,
    /// And there the line begins that the next ones go on with.
    line: usize,
}

/// So many bytes, and what is said of more.
type Limit = (u64, Refused);

impl Lines {
    /// Whether something was left unused.
    pub(super) fn begun(&self) -> bool {
        self.looked > 0
    }

    /// The end of one line, or of lines up to and with an empty one, if it has come. The
    /// first, and all together, are at most so long. Goes on where the last call ended.
    pub(super) fn end(
        &mut self,
        bytes: &[u8],
        limits: [Limit; 2],
        one: bool,
    ) -> Read<Option<usize>> {
        loop {
            let (limit, too_long) = limits[usize::from(self.line > 0)];
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let room = &bytes[..bytes.len().min(limit)];
            let mut rest = room.get(self.looked..).unwrap_or_default();
            self.looked += rest.skip_until(b'\n').unwrap_or(0); // bytes can be read
            match room.get(self.line..self.looked) {
                Some(line) if line.ends_with(b"\n") => {
                    self.line = self.looked;
                    if one || matches!(line, b"\n" | b"\r\n") {
                        self.line = 0;
                        return Ok(Some(take(&mut self.looked)));
                    }
                }
                _ if room.len() == limit => return Err(too_long),
                _ => return Ok(None),
            }
        }
    }
}
// ANCHOR_END: lines

// ANCHOR: fields
/// The fields behind the last chunk, each on a line that ends with CRLF.
pub(super) fn trailers(lines: &[u8]) -> Read<Vec<Field<'_>>> {
    let lines = lines.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r\n").ok_or(CHUNK_BROKEN));
    let fields = lines.filter(|line| *line != Ok(b""));
    fields.map(|line| field(line?)).collect()
}
// ANCHOR_END: fields
