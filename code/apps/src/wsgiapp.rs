//! `wsgiapp:app`: the application of the series.

use gateway::{headers, Body, Environ, Result, StartResponse};

// ANCHOR: app
/// Says hello, whatever it is asked.
pub fn app(_environ: Environ, mut start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", headers([("Content-Type", "text/plain")]))?;
    Ok(Body::from("Hello world from a simple WSGI application!\n"))
}
// ANCHOR_END: app
