//! The server's half of the interface: runs an application and writes what it
//! answers.

use crate::http::{is_token, is_value, Refused};
use crate::http1::Answer;
use crate::outgoing::{Output, LARGE};
use crate::{application_must, Application, Body, Environ, Error, Header, Result};
use crate::{StartResponse, Starter, Violation};
use nix::libc::{self, time_t};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

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
    pub error: Option<Failure>,
}
// ANCHOR_END: outcome

// ANCHOR: failure
/// What went wrong with a request, and so whose affair it is.
#[derive(Debug)]
pub enum Failure {
    /// The request was the client's mistake: it holds a [`Refused`].
    Refused(Error),
    /// The client has left, and this is how the server learned of it.
    ClientLeft(Error),
    /// The application or the server has broken a rule of the interface.
    Broken(Violation),
    /// The application has failed, and says why.
    Failed(Error),
    /// The application panicked.
    Panicked,
}
// ANCHOR_END: failure

// ANCHOR: failure_of
impl Failure {
    /// The kind of this error; `left` if the client could not be written to.
    fn of(error: Error, left: bool) -> Failure {
        match error.downcast_ref::<Violation>() {
            _ if left => Failure::ClientLeft(error),
            _ if Refused::of(&*error).is_some() => Failure::Refused(error),
            Some(violation) => Failure::Broken(*violation),
            None => Failure::Failed(error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused(error) | Failure::ClientLeft(error) => error.fmt(f),
            Failure::Failed(error) => error.fmt(f),
            Failure::Broken(violation) => violation.fmt(f),
            Failure::Panicked => f.write_str("the application panicked"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Failure::Refused(error) | Failure::ClientLeft(error) => Some(&**error),
            Failure::Failed(error) => Some(&**error),
            Failure::Broken(violation) => Some(violation),
            Failure::Panicked => None,
        }
    }
}
// ANCHOR_END: failure_of

/// Calls `application` and writes its answer to `output`, chunk by chunk as it
/// comes, in the form of a server that closes the connection after it.
///
/// The head leaves with the first byte of the body. `Date`, `Server` (from
/// `SERVER_SOFTWARE`) and `Connection` are added to it, and `Content-Length`
/// where the length of the body is known by then. There is no body after `HEAD`,
/// 204, 205 and 304, and nothing of it beyond `Content-Length`. An application that
/// fails, or panics, before the first byte is answered with 500; one that fails
/// later breaks its answer off.
// ANCHOR: respond
pub fn respond<W>(application: &dyn Application, environ: Environ, output: W) -> Outcome
where
    W: io::Write + Send + 'static,
{
    let head_only = environ.get("REQUEST_METHOD") == Some(b"HEAD");
    let answer = Answer::closing(head_only);
    let mut responding = Responding::begin(application, environ, output, answer);
    while responding.step() {}
    responding.end().0
}
// ANCHOR_END: respond

// ANCHOR: responding
/// An application's answer on its way, for a server that has other things to do between
/// two of its chunks.
pub struct Responding<W> {
    response: Arc<Mutex<Response<W>>>,
    /// What is left of the body; none when the answer is over.
    body: Option<Body>,
    /// Bytes of all of it, where that is known.
    length: Option<u64>,
    failure: Option<Failure>,
}

impl<W: Output> Responding<W> {
    /// Calls `application`. Its answer will have the form of `answer`.
    pub fn begin(
        application: &dyn Application,
        environ: Environ,
        output: W,
        answer: Answer,
    ) -> Responding<W>
    where
        W: 'static,
    {
        let mut response = Response::new(output, answer);
        response.software = environ.get("SERVER_SOFTWARE").unwrap_or_default().into();
        let response = Arc::new(Mutex::new(response));
        let starter = response.clone();
        let mut responding = Responding::new(response);
        responding.body = responding.attempt(|_| {
            let body = application.call(environ, StartResponse(Starter::Server(starter)))?;
            Ok(Some(body))
        });
        responding.length = responding.body.as_ref().and_then(Body::length);
        responding
    }

    /// Answers a request that could not be read: see [`refuse`].
    pub fn refuse(error: impl Into<Error>, output: W, answer: Answer) -> Responding<W> {
        let response = Response::new(output, answer);
        let mut responding = Responding::new(Arc::new(Mutex::new(response)));
        let error = error.into();
        responding.attempt(|_| Err(error));
        responding
    }

    fn new(response: Arc<Mutex<Response<W>>>) -> Responding<W> {
        Responding {
            response,
            body: None,
            length: None,
            failure: None,
        }
    }

    /// Asks the body for a chunk, and writes it, if the answer is not over. Whether
    /// there may be more.
    pub fn step(&mut self) -> bool {
        if let Some(body) = self.body.take() {
            let length = self.length;
            self.body = self.attempt(|response| send(body, length, response));
        }
        self.body.is_some()
    }

    /// Does what an application may fail in, and apologizes if it does.
    fn attempt(
        &mut self,
        what: impl FnOnce(&Mutex<Response<W>>) -> Result<Option<Body>>,
    ) -> Option<Body> {
        let attempted = catch_unwind(AssertUnwindSafe(|| what(&self.response)));
        let mut response = lock(&self.response);
        let failure = match attempted {
            Ok(Ok(body)) => return body,
            Ok(Err(error)) => Failure::of(error, response.output.is_none()),
            Err(_) => Failure::Panicked,
        };
        response.apologize(&failure);
        self.failure = Some(failure);
        None
    }

    /// What it is written to; none if that has failed.
    pub fn output<T>(&mut self, with: impl FnOnce(&mut W) -> T) -> Option<T> {
        lock(&self.response).output.as_mut().map(with)
    }

    /// What came of the request; what is left of the form, for
    /// [`Machine::answered`](crate::http1::Machine::answered); and the output.
    pub fn end(self) -> (Outcome, Answer, Option<W>) {
        drop(self.body);
        let mut response = lock(&self.response);
        let output = response.output.take(); // disables a `write` that the application still holds
        let answer = std::mem::replace(&mut response.answer, Answer::closing(false));
        (response.outcome(self.failure), answer, output)
    }
}
// ANCHOR_END: responding

// ANCHOR: refuse
/// Answers a request that could not be read, with the status of the [`Refused`] in
/// `error`, or with 500; without a text, if that says that the request was `HEAD`.
pub fn refuse(error: impl Into<Error>, output: impl io::Write + Send) -> Outcome {
    Responding::refuse(error, output, Answer::closing(false))
        .end()
        .0
}
// ANCHOR_END: refuse

// ANCHOR: send
/// Asks the body for a chunk and sends it; gives back a body that may have more. Where
/// none is promised any more, it is asked to its end. Dropped here, in every other case.
fn send<W: Output>(
    mut body: Body,
    length: Option<u64>,
    response: &Mutex<Response<W>>,
) -> Result<Option<Body>> {
    while let Some(chunk) = body.next() {
        let mut response = lock(response);
        response.send(chunk?.into(), length)?;
        if response.is_complete() {
            break; // HEAD, 204, 205, 304, or more than Content-Length: nothing is sent
        }
        if body.length() != Some(0) {
            return Ok(Some(body));
        }
    }
    lock(response).finish()?;
    Ok(None)
}
// ANCHOR_END: send

// ANCHOR: closures
/// What `start_response` and `write` do to an answer, wherever that goes.
pub(crate) trait Answering: Send + Sync {
    fn start(&self, status: &str, headers: Vec<Header>, error: Option<Error>) -> Result<()>;
    fn send(&self, bytes: &[u8]) -> Result<()>;
}

impl<W: Output> Answering for Mutex<Response<W>> {
    fn start(&self, status: &str, headers: Vec<Header>, error: Option<Error>) -> Result<()> {
        lock(self).start(status, headers, error)
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        lock(self).push(bytes)
    }
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
    software: Vec<u8>,
    /// Its form.
    answer: Answer,
    /// Whether the request was for the head alone.
    head_only: bool,
    /// The code of the status that the application has given.
    started: Option<[u8; 3]>,
    /// The head so far, then as it left.
    head: Vec<u8>,
    /// Whether it has left.
    left: bool,
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
impl<W: Output> Response<W> {
    fn new(output: W, answer: Answer) -> Response<W> {
        Response {
            head_only: answer.head_only(),
            answer,
            output: Some(output),
            software: Vec::new(),
            started: None,
            head: Vec::with_capacity(1000), // more than most have
            left: false,
            body: 0,
            promised: None,
            counted: false,
            excess: false,
        }
    }
    // ANCHOR_END: new

    // ANCHOR: start
    /// `start_response`: checks all that the application says, and writes it down.
    fn start(
        &mut self,
        status: &str,
        mut headers: Vec<Header>,
        error: Option<Error>,
    ) -> Result<()> {
        match error {
            // A failed write may have sent a part of the head: no second one.
            Some(error) if self.left || self.output.is_none() => return Err(error),
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
        self.write_head(&status, &headers);
        Ok(())
    }
    // ANCHOR_END: start

    // ANCHOR: fields
    /// The head, but for what the first byte of the body decides.
    fn write_head(&mut self, status: &[u8], headers: &[Header]) {
        let has = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let code = [status[0], status[1], status[2]];
        self.started = Some(code);
        self.promised = lengths(headers).next();
        self.head.clear();
        self.line(b"HTTP/1.1 ", status);
        if !has("Date") {
            self.line(b"Date: ", &date());
        }
        if !has("Server") && !self.software.is_empty() {
            let software = std::mem::take(&mut self.software);
            self.line(b"Server: ", &software);
            self.software = software;
        }
        for (name, value) in headers {
            let length = name.eq_ignore_ascii_case("Content-Length");
            if !length || !matches!(&code, b"204" | b"205") {
                self.head.extend_from_slice(name.as_bytes());
                self.line(b": ", value);
            }
        }
    }

    fn line(&mut self, start: &[u8], rest: &[u8]) {
        self.head.extend_from_slice(start);
        self.head.extend_from_slice(rest);
        self.head.extend_from_slice(b"\r\n");
    }
    // ANCHOR_END: fields

    // ANCHOR: length
    /// The rest of the head, for a body of `length` bytes, where that is known.
    fn end_head(&mut self, length: Option<u64>) -> Result<()> {
        let Some(code) = self.started else {
            return application_must(false, "start_response is called before the first byte");
        };
        let counted = match &code {
            b"204" | b"304" => None, // RFC 9110, section 8.6
            b"205" => Some(0),       // and section 15.3.6
            _ if self.promised.is_some() => None,
            // HEAD: an empty body does not tell the length that GET would have.
            _ if self.head_only && length == Some(0) => None,
            _ => length,
        };
        if let Some(length) = counted {
            let mut digits = itoa::Buffer::new();
            self.line(b"Content-Length: ", digits.format(length).as_bytes());
        }
        self.counted = self.promised.is_none();
        self.promised = self.promised.or(length);
        let length = if &code == b"205" {
            Some(0)
        } else {
            self.promised
        };
        let code = code
            .iter()
            .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        self.head
            .extend_from_slice(self.answer.begin(code, length).as_bytes());
        self.head.extend_from_slice(b"\r\n");
        Ok(())
    }
    // ANCHOR_END: length

    // ANCHOR: send_chunk
    /// Sends a chunk, and the head before the first; `length` is that of the whole
    /// body. Of what is more than was promised, nothing is sent.
    fn send(&mut self, mut chunk: Cow<[u8]>, length: Option<u64>) -> Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        if !self.left {
            self.end_head(length)?;
        }
        if self.is_bodiless() {
            return self.write(Cow::default(), false);
        }
        let room = self.promised.unwrap_or(u64::MAX);
        let size = usize::try_from(room).map_or(chunk.len(), |room| room.min(chunk.len()));
        self.promised = self.promised.map(|bytes| bytes - size as u64);
        if size < chunk.len() {
            self.excess = true;
            chunk = chunk[..size].to_vec().into();
        }
        self.write(chunk, false)
    }

    /// The `write` of PEP 3333, which says so where it went too far.
    fn push(&mut self, chunk: &[u8]) -> Result<()> {
        self.send(chunk.into(), None)?;
        application_must(!self.excess, TOO_LONG)
    }
    // ANCHOR_END: send_chunk

    // ANCHOR: finish
    /// The end of the body.
    fn finish(&mut self) -> Result<()> {
        if !self.left {
            self.end_head(Some(0))?;
        }
        let missing = self.promised.is_some_and(|bytes| bytes > 0);
        application_must(
            !missing || self.is_bodiless(),
            "the body is no shorter than Content-Length",
        )?;
        application_must(!(self.excess && self.counted), TOO_LONG)?;
        self.write(Cow::default(), true)
    }
    // ANCHOR_END: finish

    // ANCHOR: write
    /// In one piece, so that a small answer is one packet.
    fn write(&mut self, chunk: Cow<[u8]>, last: bool) -> Result<()> {
        let Some(output) = &mut self.output else {
            return Err("the client has left, or its answer is over".into());
        };
        let end = self.head.len();
        let start = if self.left { end } else { 0 };
        let body = chunk.len() as u64;
        let written = match chunk {
            Cow::Owned(chunk) if chunk.len() >= LARGE => {
                self.answer.before(chunk.len(), &mut self.head);
                output.give(&self.head[start..], chunk, self.answer.after())
            }
            chunk => {
                self.answer.piece(&chunk, &mut self.head);
                if last {
                    self.answer.end(&[], &mut self.head)?;
                }
                output.put(&self.head[start..])
            }
        };
        self.head.truncate(end);
        if let Err(error) = written {
            self.output = None;
            return Err(error.into());
        }
        self.body += body;
        self.left = true;
        Ok(())
    }
    // ANCHOR_END: write

    // ANCHOR: is_bodiless
    /// Whether the answer has no body, whatever the application returns: after
    /// `HEAD`, and with these three statuses (RFC 9110, sections 9.3.2 and 15).
    fn is_bodiless(&self) -> bool {
        self.head_only || matches!(self.started.as_ref(), Some(b"204" | b"205" | b"304"))
    }

    /// Whether the client has got all that it can get.
    fn is_complete(&self) -> bool {
        self.left && (self.is_bodiless() || self.excess)
    }
    // ANCHOR_END: is_bodiless

    // ANCHOR: apologize
    /// Answers for an application that has failed, if there is still time.
    fn apologize(&mut self, failure: &Failure) {
        if self.left {
            return;
        }
        let refused = match failure {
            Failure::Refused(error) => Refused::of(&**error),
            _ => None,
        };
        self.head_only |= refused.is_some_and(|refused| refused.head_only);
        let status = refused.map_or("500 Internal Server Error", |refused| refused.status);
        let text = match refused {
            Some(refused) => format!("{refused}\n"),
            None => format!("{status}\n"), // the cause goes to the log, not to the client
        };
        let headers = crate::headers([("Content-Type", "text/plain; charset=utf-8")]);
        self.write_head(status.as_bytes(), &headers);
        let _ = self.send(text.as_bytes().into(), Some(text.len() as u64));
        let _ = self.write(Cow::default(), true);
    }
    // ANCHOR_END: apologize

    // ANCHOR: over
    fn outcome(&mut self, error: Option<Failure>) -> Outcome {
        if !self.left {
            self.head.clear();
        }
        Outcome {
            head: std::mem::take(&mut self.head),
            body: self.body,
            error,
        }
    }
    // ANCHOR_END: over
}

// ANCHOR: date
/// The date of now, as HTTP writes it. It is made once a second: each thread keeps
/// the last one, so that there is no lock for a `fork` to leave locked.
fn date() -> [u8; 29] {
    thread_local! {
        static LAST: Cell<(time_t, [u8; 29])> = const { Cell::new((-1, [0; 29])) };
    }
    // SAFETY: with a null pointer it writes nowhere.
    let second = unsafe { libc::time(ptr::null_mut()) };
    let (of, mut date) = LAST.get();
    if of != second {
        let since_1970 = Duration::from_secs(second.try_into().unwrap_or(0));
        let text = httpdate::fmt_http_date(UNIX_EPOCH + since_1970);
        date.copy_from_slice(text.as_bytes()); // the format has 29 characters
        LAST.set((second, date));
    }
    date
}
// ANCHOR_END: date

// ANCHOR: check_status
/// The bytes of a status: three digits, a space, a reason (RFC 9112, section 4),
/// in latin-1, which is what PEP 3333 means by text. Those below 200 announce
/// another answer, so none of them can be the answer.
pub(crate) fn status_bytes(status: &str) -> Result<Cow<'_, [u8]>> {
    let mut bytes = Cow::Borrowed(status.as_bytes());
    if !status.is_ascii() {
        let latin_1: Option<Vec<u8>> = status.chars().map(|c| u8::try_from(c).ok()).collect();
        application_must(
            latin_1.is_some(),
            "a status is of the characters of latin-1",
        )?;
        bytes = latin_1.unwrap_or_default().into();
    }
    if bytes.len() == 3 {
        bytes.to_mut().push(b' '); // the reason may be missing, and the space may not
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
