//! `echoapp`: what an application gets to see.

use gateway::{headers, Body, Environ, Result, StartResponse};
use std::io::Read;

// ANCHOR: app
/// Answers with the variables of the environ, a line for each, then an empty
/// line and the body of the request, byte for byte.
pub fn app(mut environ: Environ, mut start_response: StartResponse) -> Result<Body> {
    let mut answer = Vec::new();
    let mut variables: Vec<(&str, &[u8])> = environ.variables().collect();
    variables.sort();
    for (name, value) in variables {
        answer.extend_from_slice(name.as_bytes());
        answer.extend_from_slice(b"=");
        answer.extend_from_slice(value);
        answer.extend_from_slice(b"\n");
    }
    answer.extend_from_slice(b"\n");
    environ.input.read_to_end(&mut answer)?;

    let binary = headers([("Content-Type", "application/octet-stream")]);
    start_response.start("200 OK", binary)?;
    Ok(Body::from(answer))
}
// ANCHOR_END: app

// ANCHOR: body
/// Answers with the body of the request, byte for byte, and nothing else.
pub fn body(mut environ: Environ, mut start_response: StartResponse) -> Result<Body> {
    let mut body = Vec::new();
    environ.input.read_to_end(&mut body)?;

    let binary = headers([("Content-Type", "application/octet-stream")]);
    start_response.start("200 OK", binary)?;
    Ok(Body::from(body))
}
// ANCHOR_END: body
