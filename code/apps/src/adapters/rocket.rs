//! The adapter for Rocket.

use super::{boot, fields, peer, runtime, start, target};
use gateway::http::Refused;
use gateway::{Application, Environ, Result, StartResponse};
use rocket::fairing::AdHoc;
use rocket::http::uri::Host;
use rocket::http::{Cookie, Header, Method};
use rocket::local::asynchronous::{Client, LocalRequest, LocalResponse};
use rocket::{Build, Rocket};
use std::io::Read;
use std::rc::Rc;
use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;

// ANCHOR: constants
const CHUNK_SIZE: usize = 8 * 1024; // bytes of an answer, at most at a time

/// The longest body of a request, in bytes, whatever the server takes: it is held
/// in memory.
pub const MAX_BODY: u64 = 16 * 1024 * 1024;

const TOO_LARGE: Refused = Refused::new(
    "413 Content Too Large",
    "the body is longer than is held in memory for Rocket",
);
const UNKNOWN_METHOD: Refused = Refused::new("501 Not Implemented", "Rocket has no such method");
// ANCHOR_END: constants

// ANCHOR: application
/// A Rocket as an application.
///
/// The body of an answer is streamed. That of a request is not: the only way into
/// a Rocket 0.5, besides its own server, is the client that it has for tests,
/// and that wants the body whole. So the body is read first, up to
/// [`MAX_BODY`], and held in memory.
///
/// # Errors
///
/// What keeps the Rocket from being launched: colliding routes, for instance.
pub fn application(rocket: Rocket<Build>) -> Result<impl Application + Send + Sync> {
    let rocket = rocket.attach(content_length());
    let client = boot(Client::untracked(rocket))?.map_err(|error| error.to_string())?;
    // Leaked: an answer borrows from the client, and a Body must be 'static. There
    // is one for as long as the process lives.
    let client: &'static Client = Box::leak(Box::new(client));

    Ok(gateway::application(move |mut environ, start_response| {
        let request = request(client, &mut environ)?;
        let runtime = runtime()?;
        let response = runtime.block_on(request.dispatch());
        answer(response, start_response, runtime)
    }))
}
// ANCHOR_END: application

// ANCHOR: content_length
/// What Rocket's own server does last, for the client does not.
fn content_length() -> AdHoc {
    AdHoc::on_response("Content-Length", |_, response| {
        Box::pin(async move {
            if let Some(size) = response.body_mut().size().await {
                response.set_raw_header("Content-Length", size.to_string());
            }
        })
    })
}
// ANCHOR_END: content_length

// ANCHOR: request
fn request(client: &'static Client, environ: &mut Environ) -> Result<LocalRequest<'static>> {
    let mut body = Vec::new();
    let mut input = environ.input.by_ref().take(MAX_BODY + 1);
    input.read_to_end(&mut body)?;
    if body.len() as u64 > MAX_BODY {
        return Err(TOO_LARGE.into());
    }

    let text = |name: &str| environ.text(name).unwrap_or_default();
    let method = text("REQUEST_METHOD").parse::<Method>();
    let method = method.map_err(|_| UNKNOWN_METHOD)?;
    let mut request = client.req(method, target(environ, &["PATH_INFO"]));
    request.set_body(body);
    for (name, value) in fields(environ) {
        // Rocket's own server drops the others, too.
        if let Ok(value) = std::str::from_utf8(value) {
            request.add_header(Header::new(name, value.to_string()));
        }
    }
    // Its server reads these two, and the client leaves them to the test.
    let cookies = Cookie::split_parse_encoded(text("HTTP_COOKIE"));
    let mut request = request.cookies(cookies.flatten());
    if let Ok(host) = Host::parse_owned(text("HTTP_HOST")) {
        request.set_host(host);
    }
    Ok(match peer(environ) {
        Some(peer) => request.remote(peer),
        None => request,
    })
}
// ANCHOR_END: request

// ANCHOR: rest
fn answer(
    response: LocalResponse<'static>,
    start_response: StartResponse,
    runtime: Rc<Runtime>,
) -> Result<gateway::Body> {
    let fields: Vec<Header> = response.headers().iter().collect();
    let fields = fields.iter();
    let fields = fields.map(|field| (field.name().as_str(), field.value().as_bytes()));
    let status = response.status();
    start(start_response, status.code, status.reason(), fields)?;
    let response = Some(response);
    Ok(gateway::Body::new(Chunked { runtime, response }))
}

/// The body of an answer.
struct Chunked {
    runtime: Rc<Runtime>,
    /// There until it is dropped.
    response: Option<LocalResponse<'static>>,
}

impl Iterator for Chunked {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        let mut chunk = Vec::with_capacity(CHUNK_SIZE);
        let response = self.response.as_mut()?;
        match self.runtime.block_on(response.read_buf(&mut chunk)) {
            Ok(0) => None,
            Ok(_) => Some(Ok(chunk)),
            Err(error) => Some(Err(error.into())),
        }
    }
}

impl Drop for Chunked {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        self.response = None;
    }
}
// ANCHOR_END: rest
