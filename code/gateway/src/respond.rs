//! The server's half of the interface: runs an application and writes what it
//! answers.

use crate::http::{is_token, is_value, Refused};
use crate::{application_must, Application, Body, Environ, Error, Header, Result};
use crate::{StartResponse, Write};
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

// ANCHOR: outcome
/// What came of a request.
#[derive(Debug)]
pub struct Outcome {
    /// The head of the answer as it left, up to and with the empty line; no
    /// bytes if nothing left.
    pub head: Vec<u8>,
    /// How many bytes of the body left after it.
    pub body: u64,
    /// What went wrong. The client may have been told, with a status of 500, or
    /// be the reason.
    pub error: Option<Error>,
}
// ANCHOR_END: outcome

/// Calls `application` and writes its answer to `output`, chunk by chunk as it
/// comes, in the form of a server that closes the connection after it.
///
/// The head leaves with the first byte of the body. `Date`, `Server` (from
/// `SERVER_SOFTWARE`) and `Connection` are added to it, and `Content-Length`
/// where the whole body is known by then. There is no body after `HEAD`, 204, 205
/// and 304, and nothing of it beyond `Content-Length`. An application that fails,
/// or panics, before the first byte is answered with 500; one that fails later
/// breaks its answer off.
// ANCHOR: respond
pub fn respond<W>(application: &dyn Application, environ: Environ, output: W) -> Outcome
where
    W: io::Write + Send + 'static,
{
    let mut response = Response::new(output);
    response.head_only = environ.get("REQUEST_METHOD") == Some(b"HEAD");
    response.software = environ.text("SERVER_SOFTWARE");
    let response = Arc::new(Mutex::new(response));

    let answered = catch_unwind(AssertUnwindSafe(|| {
        let body = application(environ, start_response(&response))?;
        send(body, &response)
    }));
    let answered = answered.unwrap_or_else(|_| Err("the application panicked".into()));

    let mut response = lock(&response);
    if let Err(error) = &answered {
        response.apologize(&**error);
    }
    response.outcome(answered.err())
}
// ANCHOR_END: respond

// ANCHOR: refuse
/// Answers a request that could not be read, or that nobody should have to
/// answer: with the status of the [`Refused`] in `error`, or with 500; without a
/// text, if that says that the request was `HEAD`.
pub fn refuse(error: impl Into<Error>, output: impl io::Write) -> Outcome {
    let error = error.into();
    let mut response = Response::new(output);
    response.apologize(&*error);
    response.outcome(Some(error))
}
// ANCHOR_END: refuse

// ANCHOR: send
/// Drives the body: asks for a chunk, sends it, asks for the next. Dropped here,
/// in every case.
fn send<W: io::Write>(mut body: Body, response: &Mutex<Response<W>>) -> Result<()> {
    while let Some(chunk) = body.next() {
        let chunk = chunk?;
        let whole = body.size_hint() == (0, Some(0)); // nothing comes after it
        let mut response = lock(response);
        response.send(&chunk, whole)?;
        if response.is_complete() {
            break; // nobody would see the rest
        }
    }
    lock(response).finish()
}
// ANCHOR_END: send

// ANCHOR: closures
/// The two closures that the application is given.
fn start_response<W>(response: &Arc<Mutex<Response<W>>>) -> StartResponse
where
    W: io::Write + Send + 'static,
{
    let response = Arc::clone(response);
    Box::new(move |status, headers, error| {
        lock(&response).start(status, headers, error)?;
        let response = Arc::clone(&response);
        Ok(Write::new(move |bytes| lock(&response).push(bytes)))
    })
}
// ANCHOR_END: closures

// ANCHOR: lock
/// A panic of the application must not become one of the server.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
// ANCHOR_END: lock

// ANCHOR: response
/// An answer on its way.
struct Response<W> {
    /// Where it goes; none once the client cannot be written to any more, or
    /// the answer is over.
    output: Option<W>,
    /// What `Server` says, if anything.
    software: String,
    /// Whether the request was for the head alone.
    head_only: bool,
    /// What the application has called `start_response` with; the status as it
    /// will leave.
    started: Option<(Vec<u8>, Vec<Header>)>,
    /// The head as it left; empty until then.
    head: Vec<u8>,
    /// Bytes of the body that have left.
    body: u64,
    /// Bytes of the body that the head promises and that have not left.
    promised: Option<u64>,
    /// Whether the server has counted them, and the application has not.
    counted: bool,
    /// Whether the application gave more of them.
    excess: bool,
}
// ANCHOR_END: response

// ANCHOR: new
impl<W: io::Write> Response<W> {
    fn new(output: W) -> Response<W> {
        Response {
            output: Some(output),
            software: String::new(),
            head_only: false,
            started: None,
            head: Vec::new(),
            body: 0,
            promised: None,
            counted: false,
            excess: false,
        }
    }
    // ANCHOR_END: new

    // ANCHOR: start
    /// `start_response`.
    fn start(
        &mut self,
        status: &str,
        mut headers: Vec<Header>,
        error: Option<Error>,
    ) -> Result<()> {
        match error {
            // Where the client has left, part of a head may have left before.
            Some(error) if !self.head.is_empty() || self.output.is_none() => return Err(error),
            Some(_) => {}
            None => application_must(
                self.started.is_none(),
                "start_response is called once, and again only with an error",
            )?,
        }
        let status = status_bytes(status)?;
        for (name, value) in &headers {
            check_header(name, value)?;
        }
        headers.retain(|(name, _)| !is_left_out(name));
        application_must(
            lengths(&headers).count() <= 1,
            "there is one Content-Length",
        )?;
        self.started = Some((status, headers));
        Ok(())
    }
    // ANCHOR_END: start

    // ANCHOR: send_chunk
    /// Sends a chunk, and the head before the first; `whole` if it is all that
    /// the body has. Of what is more than was promised, nothing is sent.
    fn send(&mut self, chunk: &[u8], whole: bool) -> Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        let mut head = Vec::new();
        if self.head.is_empty() {
            head = self.make_head(whole.then_some(chunk.len() as u64))?;
        }
        if self.is_bodiless() {
            return self.write(head, &[]);
        }
        let room = self.promised.unwrap_or(u64::MAX);
        let size = usize::try_from(room).map_or(chunk.len(), |room| room.min(chunk.len()));
        self.promised = self.promised.map(|bytes| bytes - size as u64);
        self.excess |= size < chunk.len();
        self.write(head, &chunk[..size])
    }

    /// The `write` of PEP 3333, which says so where it went too far.
    fn push(&mut self, chunk: &[u8]) -> Result<()> {
        self.send(chunk, false)?;
        application_must(!self.excess, TOO_LONG)
    }
    // ANCHOR_END: send_chunk

    // ANCHOR: finish
    /// The end of the body.
    fn finish(&mut self) -> Result<()> {
        let mut head = Vec::new();
        if self.head.is_empty() {
            head = self.make_head(Some(0))?;
        }
        let missing = self.promised.is_some_and(|bytes| bytes > 0);
        application_must(
            !missing || self.is_bodiless(),
            "the body is no shorter than Content-Length",
        )?;
        application_must(!(self.excess && self.counted), TOO_LONG)?;
        self.write(head, &[])
    }
    // ANCHOR_END: finish

    // ANCHOR: write
    /// In one piece, so that a small answer is one packet.
    fn write(&mut self, mut head: Vec<u8>, chunk: &[u8]) -> Result<()> {
        let Some(output) = &mut self.output else {
            return Err("the client has left, or its answer is over".into());
        };
        let end = head.len();
        head.extend_from_slice(chunk);
        let written = output.write_all(&head);
        if let Err(error) = written.and_then(|()| output.flush()) {
            self.output = None;
            return Err(error.into());
        }
        self.body += chunk.len() as u64;
        head.truncate(end);
        if !head.is_empty() {
            self.head = head;
        }
        Ok(())
    }
    // ANCHOR_END: write

    // ANCHOR: make_head
    /// The head, for a body of `length` bytes, where that is known.
    fn make_head(&mut self, length: Option<u64>) -> Result<Vec<u8>> {
        let Some((status, headers)) = &self.started else {
            let rule = "start_response is called before the first byte";
            return application_must(false, rule).map(|()| Vec::new());
        };
        // ANCHOR_END: make_head
        // ANCHOR: fields
        let has = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut head = Vec::with_capacity(1000); // more than most have
        let line = [b"HTTP/1.1 ", &status[..], b"\r\n"];
        line.iter().for_each(|part| head.extend_from_slice(part));
        let mut add = |name: &str, value: &[u8]| {
            let line = [name.as_bytes(), b": ", value, b"\r\n"];
            line.iter().for_each(|part| head.extend_from_slice(part));
        };

        if !has("Date") {
            let now = httpdate::fmt_http_date(SystemTime::now());
            add("Date", now.as_bytes());
        }
        if !has("Server") && !self.software.is_empty() {
            add("Server", self.software.as_bytes());
        }
        // ANCHOR_END: fields
        // ANCHOR: length
        let code = status.get(..3).unwrap_or_default();
        for (name, value) in headers {
            let length = name.eq_ignore_ascii_case("Content-Length");
            if !length || !matches!(code, b"204" | b"205") {
                add(name, value);
            }
        }
        let counted = match code {
            b"204" | b"304" => None, // RFC 9110, section 8.6
            b"205" => Some(0),       // and section 15.3.6
            _ if has("Content-Length") => None,
            // After HEAD, no bytes say nothing of how many GET would have brought.
            _ if self.head_only && length == Some(0) => None,
            _ => length,
        };
        if let Some(length) = counted {
            add("Content-Length", length.to_string().as_bytes());
        }
        add("Connection", b"close");
        head.extend_from_slice(b"\r\n");

        self.promised = lengths(headers).next().or(length);
        self.counted = lengths(headers).next().is_none();
        Ok(head)
        // ANCHOR_END: length
    }

    // ANCHOR: is_bodiless
    /// Whether the answer has no body, whatever the application returns: after
    /// `HEAD`, and with these three statuses (RFC 9110, sections 9.3.2 and 15).
    fn is_bodiless(&self) -> bool {
        let status = self.started.as_ref().map_or(&b""[..], |(status, _)| status);
        let without: [&[u8]; 3] = [b"204", b"205", b"304"];
        self.head_only || without.iter().any(|code| status.starts_with(code))
    }

    /// Whether the client has got all that it can get.
    fn is_complete(&self) -> bool {
        !self.head.is_empty() && (self.is_bodiless() || self.excess)
    }
    // ANCHOR_END: is_bodiless

    // ANCHOR: apologize
    /// Answers for an application that has failed, if there is still time.
    fn apologize(&mut self, error: &(dyn std::error::Error + 'static)) {
        if !self.head.is_empty() {
            return;
        }
        let refused = Refused::of(error);
        self.head_only |= refused.is_some_and(|refused| refused.head_only);
        let status = refused.map_or("500 Internal Server Error", |refused| refused.status);
        let text = match refused {
            Some(refused) => format!("{refused}\n"),
            None => format!("{status}\n"), // why is not the client's business
        };
        let headers = crate::headers([("Content-Type", "text/plain; charset=utf-8")]);
        self.started = Some((status.into(), headers));
        let _ = self.send(text.as_bytes(), true);
    }
    // ANCHOR_END: apologize

    // ANCHOR: over
    fn outcome(&mut self, error: Option<Error>) -> Outcome {
        self.output = None; // an application may still hold a `write`
        Outcome {
            head: std::mem::take(&mut self.head),
            body: self.body,
            error,
        }
    }
    // ANCHOR_END: over
}

// ANCHOR: check_status
/// The bytes of a status: three digits, a space, a reason (RFC 9112, section 4),
/// in latin-1, which is what PEP 3333 means by text. Those below 200 announce
/// another answer, so none of them can be the answer.
pub(crate) fn status_bytes(status: &str) -> Result<Vec<u8>> {
    let bytes: Option<Vec<u8>> = status.chars().map(|c| u8::try_from(c).ok()).collect();
    application_must(bytes.is_some(), "a status is of the characters of latin-1")?;
    let mut bytes = bytes.unwrap_or_default();
    if bytes.len() == 3 {
        bytes.push(b' '); // the reason may be missing, and the space may not
    }
    let holds = matches!(bytes[..], [b'2'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ', ..]);
    application_must(
        holds,
        "a status is three digits from 200 on, a space, a reason",
    )?;
    application_must(is_value(&bytes), "a status has no control characters")?;
    Ok(bytes)
}
// ANCHOR_END: check_status

// ANCHOR: check_header
pub(crate) fn check_header(name: &str, value: &[u8]) -> Result<()> {
    application_must(
        is_token(name.as_bytes()),
        "the name of a header field is a token",
    )?;
    application_must(is_value(value), "a header field has no control characters")?;
    let length = name.eq_ignore_ascii_case("Content-Length");
    let value = value.trim_ascii();
    let number = !value.is_empty() && value.len() < 20 && value.iter().all(u8::is_ascii_digit);
    application_must(!length || number, "a Content-Length is a number")
}
// ANCHOR_END: check_header

// ANCHOR: lengths
/// The lengths that an application has given.
fn lengths(headers: &[Header]) -> impl Iterator<Item = u64> + '_ {
    let named = |(name, _): &&Header| name.eq_ignore_ascii_case("Content-Length");
    let lengths = headers.iter().filter(named);
    lengths.filter_map(|(_, value)| String::from_utf8_lossy(value).trim().parse().ok())
}

const TOO_LONG: &str = "the body is no longer than Content-Length";
// ANCHOR_END: lengths

// ANCHOR: hop_by_hop
/// What concerns one connection and not the message (RFC 2616, section 13.5.1),
/// and so is the server's affair.
pub const HOP_BY_HOP: [&str; 9] = [
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "TE",
    "Trailer",
    "Trailers",
    "Transfer-Encoding",
    "Upgrade",
];

/// The place of a field in that list.
pub(crate) fn hop_by_hop(name: &str) -> Option<usize> {
    let mut names = HOP_BY_HOP.iter();
    names.position(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a field of the application's does not go into the head. Each is told
/// of once for each process, for whoever wonders where it is.
fn is_left_out(name: &str) -> bool {
    static TOLD: AtomicU16 = AtomicU16::new(0);
    let Some(place) = hop_by_hop(name) else {
        return false;
    };
    let bit = 1 << place;
    if TOLD.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
        let name = HOP_BY_HOP[place];
        crate::log::complain(format!(
            "the application's field {name} is left out of its answers: \
             it is about the connection, which is the server's"
        ));
    }
    true
}
// ANCHOR_END: hop_by_hop
