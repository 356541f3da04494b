//! A length for a body that came without one.

use gateway::{Environ, Result};
use std::io::{self, BufReader, Seek};
use tempfile::spooled_tempfile;

// ANCHOR: give_length
/// How much of a body is kept in memory; a longer one goes to a temporary file.
const IN_MEMORY: usize = 512 * 1024; // bytes

/// Reads a body that came in chunks to its end, and says how long it was. An
/// application of Python's reads as much as `CONTENT_LENGTH` says.
///
/// # Errors
///
/// What is wrong with the body, and a disk that is full.
pub(super) fn give_length(environ: &mut Environ) -> Result<()> {
    if environ.get("CONTENT_LENGTH").is_some() {
        return Ok(());
    }
    let mut body = spooled_tempfile(IN_MEMORY);
    let length = io::copy(&mut environ.input, &mut body)?;
    if length > 0 {
        body.rewind()?;
        environ.set("CONTENT_LENGTH", length.to_string());
        environ.input = Box::new(BufReader::new(body));
    }
    Ok(())
}
// ANCHOR_END: give_length
