//! What a server sends: the form of an answer.

use crate::http::{is_value, Head};
use crate::respond::{check_header, hop_by_hop};
use crate::{application_must, Header, Result};
use std::io::Write;

// ANCHOR: form
/// What a request says about the form of its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// The request is of HTTP/1.0.
    pub http_1_0: bool,
    /// The method was `HEAD`.
    pub head_only: bool,
    /// Another request may follow it.
    pub keeps: bool,
}

impl Form {
    /// Section 9.3: HTTP/1.1 keeps a connection unless it is told to close it, HTTP/1.0
    /// closes it unless it is told to keep it.
    pub fn of(head: &Head) -> Form {
        let (mut close, mut keep) = (false, false);
        for option in head.list("Connection") {
            close |= option.eq_ignore_ascii_case(b"close");
            keep |= option.eq_ignore_ascii_case(b"keep-alive");
        }
        let http_1_0 = head.version == "HTTP/1.0";
        Form {
            http_1_0,
            head_only: head.method == "HEAD",
            keeps: !close && (keep || !http_1_0),
        }
    }
}
// ANCHOR_END: form

// ANCHOR: state
/// The form of an answer: what its head says about the connection, and what stands
/// between the pieces of its body (sections 6.3 and 7.1). It may go to another thread
/// than the machine that made it, and comes back with
/// [`Machine::answered`](super::Machine::answered).
#[derive(Debug)]
#[must_use = "a connection whose answer is lost cannot be kept"]
pub struct Answer {
    form: Form,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The head has not left.
    New,
    /// There is no body, whatever comes.
    Bodiless,
    /// So many bytes are to come.
    Length(u64),
    Chunked,
    /// The end of the connection ends the body.
    UntilClose,
    Over,
}
// ANCHOR_END: state

// ANCHOR: interim
impl Answer {
    pub(super) fn new(form: Form) -> Answer {
        let state = State::New;
        Answer { form, state }
    }

    /// An interim answer, such as `103 Early Hints` (RFC 9110, section 15.2), before the
    /// head; a client of HTTP/1.0 knows none.
    ///
    /// # Errors
    ///
    /// A status or a field that may not stand in a head; then nothing is written.
    pub fn interim(&self, status: &str, fields: &[Header], out: &mut Vec<u8>) -> Result<()> {
        let announces = matches!(
            status.as_bytes(),
            [b'1', b'0', b'0' | b'2'..=b'9', b' ', ..]
        );
        let announces = announces && is_value(status.as_bytes());
        application_must(announces, "an interim status is below 200, and not 101")?;
        check(fields)?;
        if !self.form.http_1_0 && self.state == State::New {
            out.extend_from_slice(b"HTTP/1.1 ");
            out.extend_from_slice(status.as_bytes());
            out.extend_from_slice(b"\r\n");
            lines(fields, out);
        }
        Ok(())
    }
    // ANCHOR_END: interim

    // ANCHOR: begin
    /// The fields that the head of this answer needs, besides `Content-Length`, each
    /// with its CRLF: for a status with this code, and a body of `length` bytes, as
    /// `Content-Length` says, or one that is not known yet. A code below 200 is no end of
    /// waiting for the client, so nothing can follow such an answer.
    pub fn begin(&mut self, code: u16, length: Option<u64>) -> &'static str {
        self.state = match length {
            _ if self.form.head_only || matches!(code, 100..=199 | 204 | 304) => State::Bodiless,
            Some(length) => State::Length(length),
            None if self.form.http_1_0 => State::UntilClose,
            None => State::Chunked,
        };
        self.form.keeps &= self.state != State::UntilClose && code >= 200;
        match (self.state, self.form.keeps, self.form.http_1_0) {
            (State::Chunked, true, _) => "Transfer-Encoding: chunked\r\n",
            (State::Chunked, false, _) => "Transfer-Encoding: chunked\r\nConnection: close\r\n",
            (_, true, true) => "Connection: keep-alive\r\n",
            (_, true, false) => "",
            (_, false, _) => "Connection: close\r\n",
        }
    }
    // ANCHOR_END: begin

    // ANCHOR: piece
    /// What stands before a piece of the body of so many bytes, and how many of them
    /// may be sent: none if there is no body, and none beyond the length. Behind the
    /// piece stands [`Answer::after`]. For whoever sends it from where it is.
    pub fn before(&mut self, length: usize, out: &mut Vec<u8>) -> usize {
        match &mut self.state {
            State::Length(left) => {
                let size = usize::try_from(*left).map_or(length, |left| left.min(length));
                *left -= size as u64;
                size
            }
            State::Chunked if length > 0 => {
                // A vector takes whatever is written to it.
                write!(out, "{length:x}\r\n").unwrap_or_default();
                length
            }
            State::Chunked | State::UntilClose => length,
            State::New | State::Bodiless | State::Over => 0,
        }
    }

    /// What stands behind a piece that has bytes.
    pub fn after(&self) -> &'static [u8] {
        match self.state {
            State::Chunked => b"\r\n",
            _ => b"",
        }
    }

    /// A piece of the body, with what stands around it. One without bytes adds nothing:
    /// a chunk of none would be the end.
    pub fn piece(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let size = self.before(bytes.len(), out);
        if size > 0 {
            out.extend_from_slice(&bytes[..size]);
            out.extend_from_slice(self.after());
        }
    }
    // ANCHOR_END: piece

    // ANCHOR: end
    /// The end of the body; behind chunks, with these fields (section 7.1.2), which are
    /// for a client that has asked for them with `TE: trailers`. Without this call, and
    /// with fewer bytes than were promised, the answer is broken off, and the client
    /// learns it from the end of the connection.
    ///
    /// # Errors
    ///
    /// A field that may not stand there; then the answer is broken off.
    pub fn end(&mut self, trailers: &[Header], out: &mut Vec<u8>) -> Result<()> {
        check(trailers)?;
        if self.state == State::Chunked {
            out.extend_from_slice(b"0\r\n");
            lines(trailers, out);
        }
        if !matches!(self.state, State::New | State::Length(1..)) {
            self.state = State::Over;
        }
        Ok(())
    }

    /// Whether it is whole, and has not said that the connection closes.
    pub fn keeps(&self) -> bool {
        self.form.keeps && self.state == State::Over
    }
}
// ANCHOR_END: end

// ANCHOR: lines
/// What says where an answer ends stands in its head: not before it, and not behind its
/// body (RFC 9110, section 6.5.1).
fn check(fields: &[Header]) -> Result<()> {
    for (name, value) in fields {
        check_header(name, value)?;
        let frames = name.eq_ignore_ascii_case("Content-Length") || hop_by_hop(name).is_some();
        application_must(!frames, "what frames an answer stands in its head")?;
    }
    Ok(())
}

/// Fields, and the empty line behind them.
fn lines(fields: &[Header], out: &mut Vec<u8>) {
    for (name, value) in fields {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}
// ANCHOR_END: lines
