//! Adapters: applications of our interface that hold an application of a
//! framework.
//!
//! A framework that is asynchronous returns a *future*, which somebody has to
//! run, and its handlers expect a runtime around them. The gateway calls, and
//! waits for the answer. Between the two stands [`runtime`]. What else the
//! adapters share is the translation of a request and of the head of an answer.

// ANCHOR: features
#[cfg(feature = "actix")]
pub mod actix;
#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "cot")]
pub mod cot;
#[cfg(feature = "rocket")]
pub mod rocket;
// ANCHOR_END: features

use bytes::Bytes;
use gateway::http::Refused;
use gateway::{Environ, Header, Input, Result, StartResponse, HOP_BY_HOP};
use percent_encoding::{percent_encode, AsciiSet, CONTROLS};
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::process;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use tokio::runtime::{Builder, Runtime};

// ANCHOR: runtime
thread_local! {
    /// The runtime of this worker, and the process that made it.
    static WORKER: RefCell<Option<(u32, Rc<Runtime>)>> = const { RefCell::new(None) };
}

/// The tokio runtime of this worker, made when it is first asked for. A worker
/// is a process that answers requests, or each of its threads that does.
///
/// It runs while a request is being answered and stands still in between, and
/// so do the tasks that an application has spawned.
///
/// # Errors
///
/// No descriptors for it.
pub fn runtime() -> Result<Rc<Runtime>> {
    WORKER.with_borrow_mut(|worker| {
        match worker.take() {
            Some((process, runtime)) if process == process::id() => {
                *worker = Some((process, Rc::clone(&runtime)));
                return Ok(runtime);
            }
            // Made before the fork: its epoll is shared with the parent. Dropped
            // here, it would deregister the parent's sockets, so it is leaked.
            parents => std::mem::forget(parents),
        }
        let runtime = Rc::new(Builder::new_current_thread().enable_all().build()?);
        *worker = Some((process::id(), Rc::clone(&runtime)));
        Ok(runtime)
    })
}
// ANCHOR_END: runtime

// ANCHOR: boot
/// Runs what an application has to do before its first request, on a runtime
/// that is gone when this returns: nothing of it is left to be forked.
///
/// # Errors
///
/// No descriptors for it.
pub fn boot<F: Future>(future: F) -> Result<F::Output> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(future))
}
// ANCHOR_END: boot

// ANCHOR: sets
/// What a path must not have as it is: RFC 3986, section 3.3.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// And a query, whose percent signs are from the client.
const QUERY: &AsciiSet = &PATH.remove(b'%').remove(b'?');
// ANCHOR_END: sets

// ANCHOR: target
/// The target of the request, put together again. `path` names the variables
/// that it is made of: `PATH_INFO` is the part that an application routes by,
/// `SCRIPT_NAME` the part before it, where the application is mounted.
pub fn target(environ: &Environ, path: &[&str]) -> String {
    let parts = path.iter().filter_map(|name| environ.get(name));
    let mut target: String = parts.flat_map(|part| percent_encode(part, PATH)).collect();
    if target.is_empty() {
        target.push('/');
    }
    match environ.get("QUERY_STRING") {
        None | Some(b"") => {}
        Some(query) => {
            target.push('?');
            target.extend(percent_encode(query, QUERY));
        }
    }
    target
}
// ANCHOR_END: target

// ANCHOR: fields
/// The header fields of the request, with their names as HTTP has them.
pub fn fields(environ: &Environ) -> impl Iterator<Item = (String, &[u8])> {
    environ.variables().filter_map(|(variable, value)| {
        let name = match variable {
            "CONTENT_TYPE" | "CONTENT_LENGTH" => variable,
            _ => variable.strip_prefix("HTTP_")?,
        };
        Some((name.to_ascii_lowercase().replace('_', "-"), value))
    })
}

/// The client's address and port, where the server tells both.
#[cfg(any(feature = "actix", feature = "rocket"))]
pub fn peer(environ: &Environ) -> Option<std::net::SocketAddr> {
    let address = environ.text("REMOTE_ADDR")?.parse().ok()?;
    let port = environ.text("REMOTE_PORT")?.parse().ok()?;
    Some(std::net::SocketAddr::new(address, port))
}
// ANCHOR_END: fields

// ANCHOR: chunks
/// The body of the request as an iterator of chunks, each read when it is asked
/// for. The thread waits for it, and the runtime with the thread.
pub struct Chunks {
    input: Input,
    refused: Arc<OnceLock<Refused>>,
}

impl Chunks {
    /// The body, taken out of `environ`.
    pub fn of(environ: &mut Environ) -> (Chunks, Refusal) {
        let refused = Arc::new(OnceLock::new());
        let refusal = Refusal(Arc::clone(&refused));
        let input = std::mem::replace(&mut environ.input, Box::new(io::empty()));
        (Chunks { input, refused }, refusal)
    }

    fn read(&mut self) -> io::Result<Bytes> {
        let chunk = Bytes::copy_from_slice(self.input.fill_buf()?);
        self.input.consume(chunk.len());
        Ok(chunk)
    }
}

impl Iterator for Chunks {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let chunk = self.read();
        if let Some(refused) = chunk.as_ref().err().and_then(|error| Refused::of(error)) {
            let _ = self.refused.set(*refused); // OnceCell: a later value is ignored
        }
        match chunk {
            Ok(chunk) if chunk.is_empty() => None,
            chunk => Some(chunk),
        }
    }
}
// ANCHOR_END: chunks

// ANCHOR: refusal
/// Why the body of a request could not be read, if the client is to blame.
pub struct Refusal(Arc<OnceLock<Refused>>);

impl Refusal {
    /// An error if the request was refused while the application read it. What
    /// the framework has made of that (most say 400) is then of no interest.
    ///
    /// # Errors
    ///
    /// That [`Refused`].
    pub fn check(&self) -> Result<()> {
        match self.0.get() {
            Some(refused) => Err((*refused).into()),
            None => Ok(()),
        }
    }
}
// ANCHOR_END: refusal

// ANCHOR: start
/// `start_response`, without the fields that the server has to itself. Under
/// another server the application may have been right to set them.
///
/// # Errors
///
/// Those of `start_response`.
pub fn start<'a>(
    mut start_response: StartResponse,
    status: u16,
    reason: Option<&str>,
    fields: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Result<()> {
    let hop_by_hop = |name: &str| HOP_BY_HOP.iter().any(|n| n.eq_ignore_ascii_case(name));
    let fields = fields.filter(|(name, _)| !hop_by_hop(name));
    let headers = fields.map(|(name, value)| -> Header { (name.to_string(), value.into()) });
    let status = format!("{status} {}", reason.unwrap_or_default());
    start_response.start(&status, headers.collect())?;
    Ok(())
}
// ANCHOR_END: start
