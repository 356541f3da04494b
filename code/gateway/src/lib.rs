//! The interface between a web server and an application: Python's [PEP 3333]
//! in Rust's terms.
//!
//! An [`Application`] is a function. A server calls it once for each request
//! with an [`Environ`] and a [`StartResponse`], and sends what it returns, a
//! [`Body`], chunk by chunk. Neither side knows anything else of the other.
//!
//! ```
//! use gateway::{headers, Body, Environ, Result, StartResponse};
//!
//! fn app(_environ: Environ, mut start_response: StartResponse) -> Result<Body> {
//!     start_response.start("200 OK", headers([("Content-Type", "text/plain")]))?;
//!     Ok(Body::from("Hello, World!\n"))
//! }
//!
//! let outcome = gateway::respond(&app, Environ::testing_defaults(), std::io::sink());
//! assert!(outcome.head.starts_with(b"HTTP/1.1 200 OK\r\n"));
//! assert_eq!(outcome.body, 14);
//! ```
//!
//! | PEP 3333                              | here                                    |
//! | ------------------------------------- | --------------------------------------- |
//! | `application(environ, start_response)` | [`Application`]                        |
//! | `environ`, a `dict`                   | [`Environ`]                             |
//! | `start_response(status, headers)`     | [`StartResponse::start`]                |
//! | `start_response(status, headers, exc_info)` | [`StartResponse::restart`]        |
//! | the `write` that it returns           | [`Write`]                               |
//! | an iterable of byte strings           | [`Body`], an iterator                   |
//! | `close()` of the iterable             | `Drop` of the body                      |
//! | `len(iterable) == 1`                  | [`Body::length`]                        |
//! | an exception                          | [`Error`]                               |
//!
//! The crate opens no socket. What a server needs besides one is here:
//! [`http`] reads a request, [`respond`] runs an application and writes the
//! answer, [`connection`] is what a server does with a connection before and after
//! that, [`incoming`] is a request for a server that must not wait for it, [`log`] says
//! what went on. [`validator`] and [`access_log`] are middleware: applications that hold
//! another.
//!
//! [PEP 3333]: https://peps.python.org/pep-3333/

#![deny(missing_docs)]

mod access_log;
pub mod connection;
mod environ;
pub mod http;
pub mod http1;
pub mod incoming;
pub mod log;
#[cfg(feature = "clap")]
pub mod options;
mod respond;
mod validator;

pub use access_log::access_log;
pub use environ::{printable, Environ, Errors, Input};
pub use respond::{refuse, respond, Failure, Outcome, HOP_BY_HOP};
pub use validator::validator;

use respond::Answer;
use std::fmt;
use std::sync::Arc;

// ANCHOR: application
/// What a server calls, once for each request.
///
/// Every function and every closure of this shape is an application. So is a
/// struct with a `call` of its own, and a box with an application in it.
pub trait Application {
    /// `application(environ, start_response)`.
    ///
    /// # Errors
    ///
    /// An application that fails returns an error, now or from its body. The
    /// server answers with 500, unless the answer is already on its way: then the
    /// connection ends.
    fn call(&self, environ: Environ, start_response: StartResponse) -> Result<Body>;
}

impl<F> Application for F
where
    F: Fn(Environ, StartResponse) -> Result<Body>,
{
    fn call(&self, environ: Environ, start_response: StartResponse) -> Result<Body> {
        self(environ, start_response)
    }
}
// ANCHOR_END: application

// ANCHOR: application_of
/// The same function. A closure that is written as its argument needs no types for
/// its parameters.
///
/// ```
/// let app = gateway::application(|_environ, mut start_response| {
///     start_response.start("404 Not Found", Vec::new())?;
///     Ok(gateway::Body::empty())
/// });
/// let outcome = gateway::respond(&app, gateway::Environ::testing_defaults(), std::io::sink());
/// assert!(outcome.head.starts_with(b"HTTP/1.1 404 Not Found\r\n"));
/// ```
pub fn application<F>(function: F) -> F
where
    F: Fn(Environ, StartResponse) -> Result<Body>,
{
    function
}
// ANCHOR_END: application_of

// ANCHOR: boxed
impl Application for Box<dyn Application + '_> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Result<Body> {
        (**self).call(environ, start_response)
    }
}

/// One that several threads may call at once.
impl Application for Box<dyn Application + Send + Sync + '_> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Result<Body> {
        (**self).call(environ, start_response)
    }
}

/// A reference, for middleware that is there for one request.
impl Application for &(dyn Application + '_) {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Result<Body> {
        (**self).call(environ, start_response)
    }
}
// ANCHOR_END: boxed

// ANCHOR: start_response
/// Begins the answer.
///
/// - The status is three digits from 200 on, a space and a reason, in characters
///   of latin-1: `200 OK`. Hop-by-hop fields are left out of the answer.
/// - It may be called late, by the first step of the body, but before the first
///   byte. Nothing leaves until there is one.
pub struct StartResponse(Starter);

enum Starter {
    /// The server's own.
    Server(Arc<dyn Answer>),
    /// That of middleware, or of a test.
    Other(Box<Start>),
}

type Start = dyn FnMut(&str, Vec<Header>, Option<Error>) -> Result<Write> + Send;

impl StartResponse {
    /// `start_response(status, headers)`, which is called once.
    ///
    /// # Errors
    ///
    /// A [`Violation`] by the application.
    pub fn start(&mut self, status: &str, headers: Vec<Header>) -> Result<Write> {
        self.call(status, headers, None)
    }

    /// `start_response(status, headers, exc_info)`: an application that has failed
    /// after its call may call again, and gives its error. If the head has not left,
    /// the new one replaces the old.
    ///
    /// # Errors
    ///
    /// That error, if the head has left: the application passes it on.
    pub fn restart(
        &mut self,
        status: &str,
        headers: Vec<Header>,
        error: impl Into<Error>,
    ) -> Result<Write> {
        self.call(status, headers, Some(error.into()))
    }
}
// ANCHOR_END: start_response

// ANCHOR: call
impl StartResponse {
    /// One of middleware that changes what an application says, or of a test.
    pub fn new<F>(start: F) -> StartResponse
    where
        F: FnMut(&str, Vec<Header>, Option<Error>) -> Result<Write> + Send + 'static,
    {
        StartResponse(Starter::Other(Box::new(start)))
    }

    /// Either of the two calls, as middleware passes it on.
    ///
    /// # Errors
    ///
    /// Theirs.
    pub fn call(
        &mut self,
        status: &str,
        headers: Vec<Header>,
        error: Option<Error>,
    ) -> Result<Write> {
        match &mut self.0 {
            Starter::Server(answer) => {
                answer.start(status, headers, error)?;
                Ok(Write(Sender::Server(Arc::clone(answer))))
            }
            Starter::Other(start) => start(status, headers, error),
        }
    }
}
// ANCHOR_END: call

// ANCHOR: write_type
/// The `write` of PEP 3333, for applications that cannot return an iterator. One
/// that can leaves it alone.
pub struct Write(Sender);

enum Sender {
    Server(Arc<dyn Answer>),
    Other(Box<Sending>),
}

type Sending = dyn FnMut(&[u8]) -> Result<()> + Send;
// ANCHOR_END: write_type

// ANCHOR: body
/// The body of an answer. The server asks for a chunk, sends it, and asks for
/// the next; it never holds more than one. Dropped when the request is over,
/// however it ended.
pub struct Body {
    chunks: Chunks,
    /// Bytes to come, where that is known.
    length: Option<u64>,
}

enum Chunks {
    Whole(Option<Vec<u8>>),
    Made(Box<dyn Iterator<Item = Result<Vec<u8>>>>),
}

/// A header field: its name, and its value in bytes.
pub type Header = (String, Vec<u8>);
// ANCHOR_END: body

// ANCHOR: bodies
impl Body {
    /// A body of these chunks. The server does not know how long it is.
    pub fn new(chunks: impl IntoIterator<Item = Result<Vec<u8>>> + 'static) -> Body {
        Body {
            chunks: Chunks::Made(Box::new(chunks.into_iter())),
            length: None,
        }
    }

    /// A body without bytes.
    pub fn empty() -> Body {
        Body::from(Vec::new())
    }

    /// The same body, of so many bytes. The server promises them to the client.
    pub fn with_length(self, length: u64) -> Body {
        let length = Some(length);
        Body { length, ..self }
    }

    /// How many bytes are to come, where that is known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// What middleware makes of a body whose bytes it leaves as they are: chunks
    /// that hold this body, and are as long.
    ///
    /// ```
    /// let body = gateway::Body::from("Hello").wrapped(|body| body.inspect(|_| {}));
    /// assert_eq!(body.length(), Some(5));
    /// ```
    pub fn wrapped<I>(self, wrapper: impl FnOnce(Body) -> I) -> Body
    where
        I: IntoIterator<Item = Result<Vec<u8>>> + 'static,
    {
        let length = self.length;
        let chunks = Body::new(wrapper(self));
        Body { length, ..chunks }
    }
}

/// From text or bytes: a body of one chunk.
impl<T: Into<Vec<u8>>> From<T> for Body {
    fn from(bytes: T) -> Body {
        let bytes = bytes.into();
        Body {
            length: Some(bytes.len() as u64),
            chunks: Chunks::Whole(Some(bytes)),
        }
    }
}
// ANCHOR_END: bodies

// ANCHOR: chunks
impl Iterator for Body {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        let chunk = match &mut self.chunks {
            Chunks::Whole(chunk) => chunk.take().filter(|bytes| !bytes.is_empty()).map(Ok),
            Chunks::Made(chunks) => chunks.next(),
        };
        if let (Some(length), Some(Ok(bytes))) = (&mut self.length, &chunk) {
            *length = length.saturating_sub(bytes.len() as u64);
        }
        chunk
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.chunks {
            Chunks::Whole(chunk) => (0, Some(chunk.iter().len())),
            Chunks::Made(chunks) => chunks.size_hint(),
        }
    }
}
// ANCHOR_END: chunks

// ANCHOR: error
/// Whatever went wrong in an application.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of everything that an application does.
pub type Result<T> = std::result::Result<T, Error>;
// ANCHOR_END: error

// ANCHOR: write
impl Write {
    /// One of middleware, which may hold another, or of a test.
    pub fn new(send: impl FnMut(&[u8]) -> Result<()> + Send + 'static) -> Write {
        Write(Sender::Other(Box::new(send)))
    }

    /// Sends these bytes of the body at once.
    ///
    /// # Errors
    ///
    /// A client that has left, and a [`Violation`] by the application.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.0 {
            Sender::Server(answer) => answer.send(bytes),
            Sender::Other(send) => send(bytes),
        }
    }
}
// ANCHOR_END: write

// ANCHOR: helpers
/// Header fields from text.
///
/// ```
/// let headers = gateway::headers([("Content-Type", "text/plain")]);
/// assert_eq!(headers, [("Content-Type".to_string(), b"text/plain".to_vec())]);
/// ```
pub fn headers<const N: usize>(fields: [(&str, &str); N]) -> Vec<Header> {
    let owned = fields.map(|(name, value)| (name.to_string(), value.into()));
    owned.into()
}
// ANCHOR_END: helpers

// ANCHOR: violation
/// A rule of PEP 3333 that was broken, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The side at fault.
    pub side: Side,
    /// The rule.
    pub rule: &'static str,
}

/// One side of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The server, or middleware that stands in for it.
    Server,
    /// The application, or middleware that stands in for it.
    Application,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Server => "server",
            Side::Application => "application",
        };
        write!(f, "the {side} broke a rule of PEP 3333: {}", self.rule)
    }
}

impl std::error::Error for Violation {}
// ANCHOR_END: violation

// ANCHOR: breaks
/// An error if the application has broken `rule`.
pub(crate) fn application_must(holds: bool, rule: &'static str) -> Result<()> {
    must(Side::Application, holds, rule)
}

/// An error if the server has broken `rule`.
pub(crate) fn server_must(holds: bool, rule: &'static str) -> Result<()> {
    must(Side::Server, holds, rule)
}

fn must(side: Side, holds: bool, rule: &'static str) -> Result<()> {
    match holds {
        true => Ok(()),
        false => Err(Violation { side, rule }.into()),
    }
}
// ANCHOR_END: breaks
