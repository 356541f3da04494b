//! Answers that come in several chunks, in each of the ways that the interface
//! has for it.

use gateway::{headers, Body, Environ, Result, StartResponse};
use std::thread;
use std::time::Duration;

// ANCHOR: constants
const PAUSE: Duration = Duration::from_millis(100); // before each chunk but the first
const LARGE: usize = 1_000_000; // bytes
const CHUNKS: usize = 5;
// ANCHOR_END: constants

// ANCHOR: app
/// `streamapp:app`: counts to five, and takes its time.
pub fn app(_environ: Environ, mut start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", headers([("Content-Type", "text/plain")]))?;
    Ok(Body::new((1..=CHUNKS).map(|number| Ok(chunk(number)))))
}

fn chunk(number: usize) -> Vec<u8> {
    if number > 1 {
        thread::sleep(PAUSE);
    }
    format!("{number}\n").into_bytes()
}
// ANCHOR_END: app

// ANCHOR: late
/// `streamapp:late`: the same, and calls `start_response` only when it is asked
/// for the first chunk, as a Python generator does.
pub fn late(_environ: Environ, mut start_response: StartResponse) -> Result<Body> {
    Ok(Body::new((1..=CHUNKS).map(move |number| {
        if number == 1 {
            start_response.start("200 OK", headers([("Content-Type", "text/plain")]))?;
        }
        Ok(chunk(number))
    })))
}
// ANCHOR_END: late

// ANCHOR: write
/// `streamapp:write`: the same, through `write`.
pub fn write(_environ: Environ, mut start_response: StartResponse) -> Result<Body> {
    let mut write = start_response.start("200 OK", headers([("Content-Type", "text/plain")]))?;
    for number in 1..=CHUNKS {
        write.send(&chunk(number))?;
    }
    Ok(Body::empty())
}
// ANCHOR_END: write

// ANCHOR: large
/// `streamapp:large`: a million bytes in one chunk.
pub fn large(_environ: Environ, mut start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", headers([("Content-Type", "text/plain")]))?;
    Ok(Body::from(vec![b'x'; LARGE]))
}
// ANCHOR_END: large
