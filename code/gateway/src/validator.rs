//! Middleware that checks both sides of the interface, as Python's
//! `wsgiref.validate` does.

use crate::http::is_token;
use crate::respond::{check_header, hop_by_hop, lock, status_bytes};
use crate::{application_must, server_must};
use crate::{Application, Body, Environ, Header, Input, Result, StartResponse, Write};
use std::io::{self, BufRead, Read};
use std::sync::{Arc, Mutex};

/// `application`, with every rule of PEP 3333 checked that the types leave open.
///
/// A broken rule is an error, a [`Violation`](crate::Violation), which names the
/// side at fault: the server answers with 500, and says why. Put it around an
/// application to try that, and under a server to try the server.
// ANCHOR: validator
pub fn validator(application: impl Application) -> impl Application {
    crate::application(move |mut environ, start_response| {
        check_environ(&environ)?;
        let length = environ.text("CONTENT_LENGTH");
        let length = length.and_then(|length| length.parse().ok());
        let input = std::mem::replace(&mut environ.input, Box::new(io::empty()));
        environ.input = Box::new(Bounded { input, length });

        let answer = Arc::new(Mutex::new(Answer {
            head_only: environ.get("REQUEST_METHOD") == Some(b"HEAD"),
            ..Answer::default()
        }));
        let started = checked_start(start_response, Arc::clone(&answer));
        let body = application.call(environ, started)?;
        let over = false;
        Ok(body.wrapped(|body| Validated { body, answer, over }))
    })
}
// ANCHOR_END: validator

// ANCHOR: check_environ
/// What a server must put into the environ: PEP 3333, "environ Variables".
fn check_environ(environ: &Environ) -> Result<()> {
    let text = |name: &str| environ.text(name).unwrap_or_default();
    let method = environ.get("REQUEST_METHOD").unwrap_or_default();
    server_must(is_token(method), "REQUEST_METHOD is a method")?;
    let name = text("SERVER_NAME");
    server_must(!name.is_empty(), "SERVER_NAME is there and not empty")?;
    server_must(
        !name.contains(':') || name.starts_with('['),
        "an address of IPv6 in SERVER_NAME is in brackets",
    )?;
    let port = text("SERVER_PORT").parse::<u16>();
    server_must(port.is_ok(), "SERVER_PORT is a number")?;
    let protocol = text("SERVER_PROTOCOL");
    server_must(
        protocol.starts_with("HTTP/"),
        "SERVER_PROTOCOL is a version of HTTP",
    )?;

    let (script, path) = (text("SCRIPT_NAME"), text("PATH_INFO"));
    let from_root = |path: &str| path.is_empty() || path.starts_with('/');
    server_must(
        from_root(&script),
        "SCRIPT_NAME begins with a slash, or is empty",
    )?;
    server_must(
        script != "/",
        "SCRIPT_NAME is empty where the application is the root",
    )?;
    server_must(
        from_root(&path),
        "PATH_INFO begins with a slash, or is empty",
    )?;
    server_must(
        !script.is_empty() || environ.get("PATH_INFO").is_some(),
        "PATH_INFO is there where SCRIPT_NAME is empty",
    )?;

    let length = environ.get("CONTENT_LENGTH").unwrap_or(b"0");
    let digits = length.iter().all(u8::is_ascii_digit);
    server_must(digits, "CONTENT_LENGTH is a number, where it is there")?;
    for name in ["HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"] {
        server_must(
            environ.get(name).is_none(),
            "CONTENT_TYPE and CONTENT_LENGTH have no HTTP_",
        )?;
    }
    let known = ["http", "https"].contains(&environ.url_scheme);
    server_must(known, "wsgi.url_scheme is http or https")?;
    server_must(environ.version == (1, 0), "wsgi.version is (1, 0)")
}
// ANCHOR_END: check_environ

// ANCHOR: bounded
/// An input that must end where the request does.
struct Bounded {
    input: Input,
    /// Bytes to come, where `CONTENT_LENGTH` says so.
    length: Option<u64>,
}

impl BufRead for Bounded {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let here = self.input.fill_buf()?;
        let holds = match self.length {
            Some(length) if here.is_empty() => length == 0,
            Some(length) => here.len() as u64 <= length,
            None => true,
        };
        server_must(holds, "wsgi.input ends where CONTENT_LENGTH says")
            .map_err(io::Error::other)?;
        Ok(here)
    }

    fn consume(&mut self, read: usize) {
        self.input.consume(read);
        self.length = self.length.map(|length| length.saturating_sub(read as u64));
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}
// ANCHOR_END: bounded

// ANCHOR: answer
/// What the application has said so far.
#[derive(Default)]
struct Answer {
    /// Whether the request was for the head alone.
    head_only: bool,
    started: bool,
    /// Whether the status is one that has no body.
    bodiless: bool,
    has_type: bool,
    /// Bytes of the body that `Content-Length` promises and that have not come.
    promised: Option<u64>,
    /// Whether a byte has left.
    left: bool,
    /// Whether the body is being asked for chunks.
    iterating: bool,
}
// ANCHOR_END: answer

// ANCHOR: chunk
impl Answer {
    /// The application gives a chunk.
    fn chunk(&mut self, chunk: &[u8]) -> Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        application_must(
            self.started,
            "start_response is called before the first byte",
        )?;
        application_must(!self.bodiless, "204, 205 and 304 have no body")?;
        application_must(self.has_type, "a body has a Content-Type")?;
        self.left = true;
        if let (Some(promised), false) = (self.promised, self.head_only) {
            self.promised = promised.checked_sub(chunk.len() as u64);
            application_must(
                self.promised.is_some(),
                "the body is no longer than Content-Length",
            )?;
        }
        Ok(())
    }

    // ANCHOR_END: chunk
    // ANCHOR: end
    /// The application has given its last.
    fn end(&self) -> Result<()> {
        application_must(
            self.started,
            "start_response is called, also without a body",
        )?;
        let missing = self.promised.is_some_and(|bytes| bytes > 0);
        application_must(
            !missing || self.head_only || self.bodiless,
            "the body is no shorter than Content-Length",
        )
    }
}
// ANCHOR_END: end

// ANCHOR: checked_start
/// `start_response`, and the `write` that it returns, with their rules.
fn checked_start(mut start_response: StartResponse, answer: Arc<Mutex<Answer>>) -> StartResponse {
    StartResponse::new(move |status, headers, error| {
        let started = lock(&answer).started;
        let left = lock(&answer).left;
        application_must(
            !started || error.is_some(),
            "start_response is called once, and again only with an error",
        )?;
        check_status(status)?;
        check_headers(status, &headers)?;
        let late = left && error.is_some();
        let has_type = field(&headers, "Content-Type").is_some();
        let promised = content_length(&headers);

        let mut write = start_response.call(status, headers, error)?;
        server_must(
            !late,
            "start_response gives the error back once bytes have left",
        )?;
        let mut now = lock(&answer);
        now.started = true;
        now.bodiless = is_bodiless(status);
        now.has_type = has_type;
        now.promised = promised;
        drop(now);

        let answer = Arc::clone(&answer);
        Ok(Write::new(move |bytes| {
            application_must(!lock(&answer).iterating, "a body does not call write")?;
            lock(&answer).chunk(bytes)?;
            write.send(bytes)
        }))
    })
}
// ANCHOR_END: checked_start

// ANCHOR: check_headers
/// The statuses that HTTP has (RFC 9110, section 15), with the space before the
/// reason.
fn check_status(status: &str) -> Result<()> {
    let code = status.get(..3).unwrap_or_default();
    application_must(
        ("200".."600").contains(&code)
            && code.bytes().all(|byte| byte.is_ascii_digit())
            && status[3..].starts_with(' '),
        "a status is three digits from 200 to 599, a space, a reason",
    )?;
    status_bytes(status).map(drop)
}

fn check_headers(status: &str, headers: &[Header]) -> Result<()> {
    for (name, value) in headers {
        check_header(name, value)?;
        application_must(
            hop_by_hop(name).is_none(),
            "hop-by-hop header fields are the server's",
        )?;
        application_must(
            !name.eq_ignore_ascii_case("Status"),
            "the status is the first argument and no header field",
        )?;
        application_must(!name.ends_with(['-', '_']), "no name ends in - or _")?;
    }
    for name in ["Content-Type", "Content-Length"] {
        let named = headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        application_must(
            named.count() <= 1,
            "there is one Content-Type and one Content-Length",
        )?;
    }
    let typed = field(headers, "Content-Type").is_some();
    application_must(
        !typed || !is_bodiless(status),
        "204, 205 and 304 have no Content-Type",
    )
}

fn field<'a>(headers: &'a [Header], name: &str) -> Option<&'a [u8]> {
    let mut headers = headers.iter();
    let (_, value) = headers.find(|(n, _)| n.eq_ignore_ascii_case(name))?;
    Some(value)
}

fn content_length(headers: &[Header]) -> Option<u64> {
    let value = field(headers, "Content-Length")?;
    String::from_utf8_lossy(value).parse().ok()
}

fn is_bodiless(status: &str) -> bool {
    ["204", "205", "304"]
        .iter()
        .any(|code| status.starts_with(code))
}
// ANCHOR_END: check_headers

// ANCHOR: validated
/// A body, and whether the server treats it as it should.
struct Validated {
    body: Body,
    answer: Arc<Mutex<Answer>>,
    /// Whether it has given its last, or failed.
    over: bool,
}

impl Iterator for Validated {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        if let Err(violation) = server_must(!self.over, "a body is not asked again after its end") {
            return Some(Err(violation));
        }
        lock(&self.answer).iterating = true;
        let chunk = self.body.next(); // which may call start_response
        let checked = match &chunk {
            Some(Ok(chunk)) => lock(&self.answer).chunk(chunk),
            Some(Err(_)) => Ok(()),
            None => lock(&self.answer).end(),
        };
        self.over = checked.is_err() || !matches!(chunk, Some(Ok(_)));
        match checked {
            Ok(()) => chunk,
            Err(violation) => Some(Err(violation)),
        }
    }
}
// ANCHOR_END: validated
