//! The adapter for axum.

use super::{fields, runtime, start, target, Chunks};
use axum::body::Body;
use axum::extract::OriginalUri;
use axum::response::Response;
use axum::Router;
use futures_util::stream;
use gateway::{Application, Environ, Result, StartResponse};
use http::{Request, Version};
use http_body_util::BodyExt;
use std::rc::Rc;
use tokio::runtime::Runtime;
use tower::ServiceExt;

// ANCHOR: application
/// A router as an application.
///
/// Both bodies are streamed: that of the request is read when a handler asks
/// for more of it, that of the answer is made when the server asks. Trailers are
/// left out: the interface has no place for them.
pub fn application(router: Router) -> impl Application + Send + Sync {
    gateway::application(move |mut environ, start_response| {
        let (chunks, refusal) = Chunks::of(&mut environ);
        let request = request(&environ, Body::from_stream(stream::iter(chunks)))?;

        let runtime = runtime()?;
        let Ok(response) = runtime.block_on(router.clone().oneshot(request));
        refusal.check()?;
        answer(response, start_response, runtime)
    })
}
// ANCHOR_END: application

// ANCHOR: request
fn request(environ: &Environ, body: Body) -> Result<Request<Body>> {
    let mut request = Request::builder()
        .method(environ.get("REQUEST_METHOD").unwrap_or(b"GET"))
        .uri(target(environ, &["PATH_INFO"]))
        .version(match environ.get("SERVER_PROTOCOL") {
            Some(b"HTTP/1.0") => Version::HTTP_10,
            _ => Version::HTTP_11,
        });
    for (name, value) in fields(environ) {
        request = request.header(name, value);
    }
    let whole = target(environ, &["SCRIPT_NAME", "PATH_INFO"]);
    let request = request.extension(OriginalUri(whole.parse()?));
    Ok(request.body(body)?)
}
// ANCHOR_END: request

// ANCHOR: answer
fn answer(
    response: Response,
    start_response: StartResponse,
    runtime: Rc<Runtime>,
) -> Result<gateway::Body> {
    let (head, body) = response.into_parts();
    let fields = head.headers.iter();
    let fields = fields.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let (code, reason) = (head.status.as_u16(), head.status.canonical_reason());
    start(start_response, code, reason, fields)?;
    Ok(gateway::Body::new(Frames { runtime, body }))
}
// ANCHOR_END: answer

// ANCHOR: frames
/// The body of an answer, frame by frame.
struct Frames {
    runtime: Rc<Runtime>,
    body: Body,
}

impl Iterator for Frames {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        loop {
            match self.runtime.block_on(self.body.frame())? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data.into()));
                    } // else it is trailers
                }
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

impl Drop for Frames {
    /// What the body holds may need its runtime for the last time.
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        self.body = Body::empty();
    }
}
// ANCHOR_END: frames
