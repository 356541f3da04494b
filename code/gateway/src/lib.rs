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
//!     start_response("200 OK", headers([("Content-Type", "text/plain")]), None)?;
//!     Ok(gateway::once("Hello, World!\n"))
//! }
//!
//! let outcome = gateway::respond(&app, Environ::testing_defaults(), std::io::sink());
//! assert!(outcome.head.starts_with(b"HTTP/1.1 200 OK\r\n"));
//! assert_eq!(outcome.body, 14);
//! ```
//!
//! | PEP 3333                              | here                                    |
//! | ------------------------------------- | --------------------------------------- |
//! | `application(environ, start_response)` | the same                               |
//! | `environ`, a `dict`                   | [`Environ`]                             |
//! | `start_response(status, headers, exc_info=None)` | the same: [`StartResponse`]  |
//! | the `write` that it returns           | [`Write`]                               |
//! | an iterable of byte strings           | [`Body`], an iterator                   |
//! | `close()` of the iterable             | `Drop` of the body                      |
//! | `len(iterable) == 1`                  | `size_hint()` of the body               |
//! | an exception                          | [`Error`]                               |
//!
//! The crate opens no socket. What a server needs besides one is here:
//! [`http`] reads a request, [`respond`] runs an application and writes the
//! answer, [`connection`] is what a server does with a connection before and after
//! that, [`log`] says what went on. [`validator`] and [`access_log`] are middleware:
//! applications that hold another.
//!
//! [PEP 3333]: https://peps.python.org/pep-3333/

#![deny(missing_docs)]

mod access_log;
pub mod connection;
mod environ;
pub mod http;
pub mod log;
#[cfg(feature = "clap")]
pub mod options;
mod respond;
mod validator;

pub use access_log::access_log;
pub use environ::{printable, Environ, Errors, Input};
pub use respond::{refuse, respond, Outcome, HOP_BY_HOP};
pub use validator::validator;

use std::fmt;

// ANCHOR: application
/// What a server calls, once for each request.
///
/// Every function and every closure of this shape is an application, and so is
/// a box that holds one.
///
/// # Errors
///
/// An application that fails returns an error, now or from its body. The server
/// answers with 500, unless the answer is already on its way: then the
/// connection ends.
pub trait Application: Fn(Environ, StartResponse) -> Result<Body> {}

impl<F> Application for F where F: Fn(Environ, StartResponse) -> Result<Body> {}
// ANCHOR_END: application

// ANCHOR: start_response
/// `start_response(status, headers, exc_info)`: begins the answer.
///
/// - The status is three digits from 200 on, a space and a reason, in characters
///   of latin-1: `200 OK`. Hop-by-hop fields are left out of the answer.
/// - It may be called late, by the first step of the body, but before the first
///   byte. Nothing leaves until there is one.
/// - It is called once. The third argument is the exception: an application
///   that has failed after its call may call again and give its error. If the
///   head has not left, the new one replaces the old; if it has, the error comes
///   back, and the application passes it on.
///
/// # Errors
///
/// A [`Violation`] by the application; its own error, as just said.
pub type StartResponse = Box<dyn FnMut(&str, Vec<Header>, Option<Error>) -> Result<Write> + Send>;
// ANCHOR_END: start_response

// ANCHOR: write_type
/// The `write` of PEP 3333, for applications that cannot return an iterator. One
/// that can leaves it alone.
pub struct Write(Box<Sender>);

type Sender = dyn FnMut(&[u8]) -> Result<()> + Send;
// ANCHOR_END: write_type

// ANCHOR: body
/// The body of an answer. The server asks for a chunk, sends it, and asks for
/// the next; it never holds more than one. Dropped when the request is over,
/// however it ended.
pub type Body = Box<dyn Iterator<Item = Result<Vec<u8>>>>;

/// A header field: its name, and its value in bytes.
pub type Header = (String, Vec<u8>);
// ANCHOR_END: body

// ANCHOR: error
/// Whatever went wrong in an application.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of everything that an application does.
pub type Result<T> = std::result::Result<T, Error>;
// ANCHOR_END: error

// ANCHOR: write
impl Write {
    /// What a server makes of a way to send, and middleware of another `Write`.
    pub fn new(send: impl FnMut(&[u8]) -> Result<()> + Send + 'static) -> Write {
        Write(Box::new(send))
    }

    /// Sends these bytes of the body at once.
    ///
    /// # Errors
    ///
    /// A client that has left, and a [`Violation`] by the application.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        (self.0)(bytes)
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

/// A body of one chunk. The server sees that it is whole, and counts it.
pub fn once(chunk: impl Into<Vec<u8>>) -> Body {
    Box::new(std::iter::once(Ok(chunk.into())))
}

/// A body without bytes.
pub fn empty() -> Body {
    Box::new(std::iter::empty())
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
// ANCHOR_END: violation

// ANCHOR: violation_says
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
// ANCHOR_END: violation_says

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
