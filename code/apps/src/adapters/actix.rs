//! The adapter for actix-web.

use super::{boot, fields, peer, runtime, start, target, Chunks};
use actix_http::{Payload, Request};
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{HeaderName, HeaderValue, CONTENT_LENGTH};
use actix_web::http::{Method, Version};
use actix_web::HttpResponse;
use futures_util::stream::{self, StreamExt};
use gateway::http::Refused;
use gateway::{Application, Environ, Result, StartResponse};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

// ANCHOR: application
/// An `App` as an application.
///
/// Both bodies are streamed. What actix makes of an `App` belongs to one thread:
/// a server with several loads the application in each. A task that a handler
/// spawns ends with its answer.
///
/// # Errors
///
/// The `App` could not be made; actix has then logged why.
pub fn application<A, F, B>(app: A) -> Result<impl Application>
where
    A: IntoServiceFactory<F, Request>,
    F: ServiceFactory<
        Request,
        Config = AppConfig,
        Response = ServiceResponse<B>,
        Error = actix_web::Error,
        InitError = (),
    >,
    F::Service: 'static,
    B: MessageBody + 'static,
{
    let made = app.into_factory().new_service(AppConfig::default());
    let made = boot(LocalSet::new().run_until(made))?;
    let service = made.map_err(|()| "actix could not make the App")?;

    Ok(gateway::application(move |mut environ, start_response| {
        let (chunks, refusal) = Chunks::of(&mut environ);
        let chunks = stream::iter(chunks).map(|chunk| chunk.map_err(PayloadError::Io));
        let payload = Payload::Stream {
            payload: chunks.boxed_local(),
        };
        let request = request(&environ, payload)?;

        let (runtime, tasks) = (runtime()?, LocalSet::new());
        let response = match tasks.block_on(&runtime, service.call(request)) {
            Ok(response) => response.into_parts().1.map_into_boxed_body(),
            Err(error) => error.error_response(),
        };
        refusal.check()?;
        answer(response, start_response, runtime, tasks)
    }))
}
// ANCHOR_END: application

// ANCHOR: rest
fn request(environ: &Environ, payload: Payload) -> Result<Request> {
    let mut request = Request::with_payload(payload);
    let head = request.head_mut();
    head.method = Method::from_bytes(environ.get("REQUEST_METHOD").unwrap_or(b"GET"))?;
    head.uri = target(environ, &["PATH_INFO"]).parse()?;
    head.version = match environ.get("SERVER_PROTOCOL") {
        Some(b"HTTP/1.0") => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    head.peer_addr = peer(environ);
    for (name, value) in fields(environ) {
        let name = HeaderName::try_from(name)?;
        head.headers.append(name, HeaderValue::from_bytes(value)?);
    }
    Ok(request)
}

fn answer(
    response: HttpResponse,
    start_response: StartResponse,
    runtime: Rc<Runtime>,
    tasks: LocalSet,
) -> Result<gateway::Body> {
    let (mut head, body) = response.into_parts();
    if let BodySize::Sized(length) = body.size() {
        head.headers_mut().insert(CONTENT_LENGTH, length.into()); // as its server does
    }
    let fields = head.headers().iter();
    let fields = fields.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let reason = Some(head.head().reason());
    start(start_response, head.status().as_u16(), reason, fields)?;
    Ok(gateway::Body::new(Chunked {
        runtime,
        tasks,
        body,
    }))
}

/// The body of an answer.
struct Chunked {
    runtime: Rc<Runtime>,
    tasks: LocalSet,
    body: BoxBody,
}

impl Iterator for Chunked {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        let next = poll_fn(|context| Pin::new(&mut self.body).poll_next(context));
        match self.tasks.block_on(&self.runtime, next)? {
            Ok(chunk) => Some(Ok(chunk.into())),
            // An error of actix may not leave its thread; what it says may.
            Err(error) => Some(Err(match Refused::of(&*error) {
                Some(refused) => (*refused).into(),
                None => error.to_string().into(),
            })),
        }
    }
}

impl Drop for Chunked {
    fn drop(&mut self) {
        let _inside = (self.runtime.enter(), self.tasks.enter());
        self.body = BoxBody::new(());
    }
}
// ANCHOR_END: rest
