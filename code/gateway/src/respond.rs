//! The server's half of the interface: runs an application and writes what it
//! answers.

use crate::http::{is_token, is_value, Refused};
use crate::{application_must, Application, Body, Environ, Error, Header, Result};
use crate::{StartResponse, Write};
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
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
/// where the whole body is known by then. There is no body after `HEAD`, 204 and
/// 304. An application that fails, or panics, before that is answered with 500;
/// one that fails later breaks its answer off.
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
/// answer: with the status of the [`Refused`] in `error`, or with 500.
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
        if response.is_bodiless() && !response.head.is_empty() {
            return Ok(()); // nobody would see the rest
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
        Ok(Write::new(move |bytes| lock(&response).send(bytes, false)))
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
    /// What the application has called `start_response` with.
    started: Option<(String, Vec<Header>)>,
    /// The head as it left; empty until then.
    head: Vec<u8>,
    /// Bytes of the body that have left.
    body: u64,
    /// Bytes of the body that the head promises and that have not left.
    promised: Option<u64>,
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
        }
    }
    // ANCHOR_END: new

    // ANCHOR: start
    /// `start_response`.
    fn start(&mut self, status: &str, headers: Vec<Header>, error: Option<Error>) -> Result<()> {
        match error {
            // Where the client has left, part of a head may have left before.
            Some(error) if !self.head.is_empty() || self.output.is_none() => return Err(error),
            Some(_) => {}
            None => application_must(
                self.started.is_none(),
                "start_response is called once, and again only with an error",
            )?,
        }
        check_status(status)?;
        for (name, value) in &headers {
            check_header(name, value)?;
        }
        application_must(
            lengths(&headers).count() <= 1,
            "there is one Content-Length",
        )?;
        self.started = Some((status.to_string(), headers));
        Ok(())
    }
    // ANCHOR_END: start

    // ANCHOR: send_chunk
    /// Sends a chunk, and the head before the first; `whole` if it is all that
    /// the body has.
    fn send(&mut self, chunk: &[u8], whole: bool) -> Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        let length = chunk.len() as u64;
        let mut head = Vec::new();
        if self.head.is_empty() {
            head = self.make_head(whole.then_some(length))?;
        }
        let chunk = if self.is_bodiless() { &[] } else { chunk };
        if let (Some(promised), false) = (self.promised, self.is_bodiless()) {
            let rest = promised.checked_sub(length);
            application_must(rest.is_some(), "the body is no longer than Content-Length")?;
            self.promised = rest;
        }
        self.write(head, chunk)
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
        let mut head = Vec::with_capacity(1024); // more than most have
        let line = [b"HTTP/1.1 ", status.as_bytes(), b"\r\n"];
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
        for (name, value) in headers {
            let length = name.eq_ignore_ascii_case("Content-Length");
            if !length || !status.starts_with("204") {
                add(name, value); // RFC 9110, section 8.6: a 204 has no length
            }
        }
        // After HEAD, no bytes say nothing of how many GET would have brought.
        let counts = !self.is_bodiless() || self.head_only && length != Some(0);
        if let (Some(length), true, false) = (length, counts, has("Content-Length")) {
            add("Content-Length", length.to_string().as_bytes());
        }
        add("Connection", b"close");
        head.extend_from_slice(b"\r\n");

        self.promised = lengths(headers).next().or(length);
        Ok(head)
        // ANCHOR_END: length
    }

    // ANCHOR: is_bodiless
    /// Whether the answer has no body, whatever the application returns: after
    /// `HEAD`, and with these two statuses (RFC 9112, section 6.3).
    fn is_bodiless(&self) -> bool {
        let status = self.started.as_ref().map_or("", |(status, _)| status);
        self.head_only || status.starts_with("204") || status.starts_with("304")
    }
    // ANCHOR_END: is_bodiless

    // ANCHOR: apologize
    /// Answers for an application that has failed, if there is still time.
    fn apologize(&mut self, error: &(dyn std::error::Error + 'static)) {
        if !self.head.is_empty() {
            return;
        }
        let refused = Refused::of(error);
        let status = refused.map_or("500 Internal Server Error", |refused| refused.status);
        let text = match refused {
            Some(refused) => format!("{refused}\n"),
            None => format!("{status}\n"), // why is not the client's business
        };
        let headers = crate::headers([("Content-Type", "text/plain; charset=utf-8")]);
        self.started = Some((status.to_string(), headers));
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
/// Three digits, a space, a reason (RFC 9112, section 4); the interim statuses
/// are the server's.
pub(crate) fn check_status(status: &str) -> Result<()> {
    let (code, rest) = status.as_bytes().split_at(3.min(status.len()));
    let digits = code.len() == 3 && code.iter().all(u8::is_ascii_digit);
    let holds = digits && rest.starts_with(b" ") && (b'2'..=b'5').contains(&code[0]);
    application_must(
        holds,
        "a status is three digits from 200 to 599, a space, a reason",
    )?;
    application_must(
        is_value(status.as_bytes()),
        "a status has no control characters",
    )
}
// ANCHOR_END: check_status

// ANCHOR: check_header
pub(crate) fn check_header(name: &str, value: &[u8]) -> Result<()> {
    application_must(
        is_token(name.as_bytes()),
        "the name of a header field is a token",
    )?;
    application_must(is_value(value), "a header field has no control characters")?;
    let hop_by_hop = HOP_BY_HOP.iter().any(|n| name.eq_ignore_ascii_case(n));
    application_must(!hop_by_hop, "hop-by-hop header fields are the server's")?;
    let length = name.eq_ignore_ascii_case("Content-Length");
    let number = !value.is_empty() && value.len() < 20 && value.iter().all(u8::is_ascii_digit);
    application_must(!length || number, "a Content-Length is a number")
}
// ANCHOR_END: check_header

// ANCHOR: lengths
/// The lengths that an application has given.
fn lengths(headers: &[Header]) -> impl Iterator<Item = u64> + '_ {
    let named = |(name, _): &&Header| name.eq_ignore_ascii_case("Content-Length");
    let lengths = headers.iter().filter(named);
    lengths.filter_map(|(_, value)| String::from_utf8_lossy(value).parse().ok())
}
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
// ANCHOR_END: hop_by_hop
