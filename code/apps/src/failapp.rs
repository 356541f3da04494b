//! Applications that fail, each at another moment.

use gateway::{headers, Body, Environ, Result, StartResponse};

// ANCHOR: early
/// `failapp:early`: fails after `start_response` and before its first byte, and
/// says so in the way of PEP 3333: the second call replaces the first.
pub fn early(_environ: Environ, mut start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", headers([("Content-Type", "text/html")]))?;
    let error = "the database is on fire";
    let plain = headers([("Content-Type", "text/plain")]);
    start_response.restart("503 Service Unavailable", plain, error)?;
    Ok(Body::from("Come back later.\n"))
}
// ANCHOR_END: early

// ANCHOR: late
/// `failapp:late`: fails after its first byte, when it is too late to say
/// anything else: the same call gives the error back.
pub fn late(_environ: Environ, mut start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", headers([("Content-Type", "text/plain")]))?;
    let mut chunks = 0;
    Ok(Body::new(std::iter::from_fn(move || {
        chunks += 1;
        if chunks == 1 {
            return Some(Ok(b"All is w".to_vec()));
        }
        let error = "the database is on fire";
        let plain = headers([("Content-Type", "text/plain")]);
        let again = start_response.restart("503 Service Unavailable", plain, error);
        Some(again.map(|_| b"Come back later.\n".to_vec()))
    })))
}
// ANCHOR_END: late

// ANCHOR: panic
/// `failapp:panic`: has a bug, which shows when the query is empty.
pub fn panic(environ: Environ, mut start_response: StartResponse) -> Result<Body> {
    let query = environ.text("QUERY_STRING").unwrap_or_default();
    let first = query.as_bytes()[0];
    start_response.start("200 OK", headers([("Content-Type", "text/plain")]))?;
    Ok(Body::from(vec![first]))
}
// ANCHOR_END: panic
