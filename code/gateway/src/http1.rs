//! HTTP/1.1 as a server speaks it (RFC 9112), without a socket and without a clock.
//!
//! A [`Machine`] stands for one connection. Whoever owns the socket hands it the bytes
//! that have come, and the time; it says what they mean, an [`Event`] at a time, and how
//! many of them it has used. An [`Answer`] puts the other direction into the form that
//! the request allows. And [`Machine::deadline`] says until when to wait.
//!
//! The bytes stay with the caller, and events are places in them. What has not been used
//! comes again at the beginning of the next call, with more behind it: a part of a head
//! or of a line between two chunks, or requests whose turn has not come.
//!
//! ```
//! use gateway::http::Limits;
//! use gateway::http1::{Event, Machine, Patience};
//! use std::time::Instant;
//!
//! let now = Instant::now();
//! let mut machine = Machine::new(&Limits::DEFAULT, &Patience::DEFAULT, now);
//! let mut bytes = &b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHo"[..];
//! let mut sent = Vec::new();
//! loop {
//!     let (used, event) = machine.read(bytes, now);
//!     bytes = &bytes[used..];
//!     match event {
//!         Event::Head(head) => assert_eq!(head.target, b"/a"),
//!         Event::Body(_) => {} // a GET has none
//!         Event::End(_) => {
//!             let mut answer = machine.answer().ok_or("answered already")?;
//!             sent.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n");
//!             sent.extend_from_slice(answer.begin(200, Some(3)).as_bytes());
//!             sent.extend_from_slice(b"\r\n");
//!             answer.piece(b"Hi\n", &mut sent);
//!             answer.end(&[], &mut sent)?;
//!             machine.answered(answer, now);
//!         }
//!         Event::More => break, // of the second request, the rest is on its way
//!         Event::Paused | Event::Refused(_) | Event::Closed => unreachable!(),
//!     }
//! }
//! assert_eq!(sent, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nHi\n");
//! assert_eq!(bytes, b"GET /b HTTP/1.1\r\nHo");
//! # Ok::<(), gateway::Error>(())
//! ```

mod answer;
mod lines;
mod patience;

pub use answer::Answer;
pub use patience::Patience;

use crate::http::{bad_request, chunk_size, is_value, Field, Framing, Head, Limits};
use crate::http::{Refused, HEAD_TOO_LARGE, TARGET_TOO_LONG, TOO_LARGE};
use answer::Form;
use lines::{trailers, Lines};
use patience::Wait;
use std::time::{Duration, Instant};

// ANCHOR: event
/// What has come of the bytes that were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Nothing yet: more bytes are needed.
    More,
    /// A request begins. Its end comes in any case, also if it has no body.
    Head(Head<'a>),
    /// A piece of its body, decoded; how large the pieces are is chance.
    Body(&'a [u8]),
    /// The request is whole. Behind a body in chunks there may be fields (section
    /// 7.1.2).
    End(Vec<Field<'a>>),
    /// The request is whole, and what comes now is read once it has been answered. Or it
    /// was refused while its answer was being made: then what comes now is thrown away.
    Paused,
    /// The request is the client's mistake, or comes too slowly, and there is none
    /// after it. Whether it may still be answered, [`Machine::answer`] knows.
    Refused(Refused),
    /// The conversation is over: send what waits, then close in stages (section 9.6), or
    /// at once: see [`Machine::at_once`]. From [`Machine::late`]: close at once.
    Closed,
}
// ANCHOR_END: event

// ANCHOR: machine
/// One side of a conversation: reads requests, one after the other, and knows whether
/// the next may come.
#[derive(Debug)]
pub struct Machine {
    limits: Limits,
    patience: Patience,
    phase: Phase,
    /// What is known of the bytes that were not used.
    lines: Lines,
    /// Bytes of all chunks of this body so far.
    total: u64,
    turn: Turn,
    /// The form of the answer to this request.
    form: Form,
    /// The client waits to be told that its body is wanted.
    waits: bool,
    /// A request has been answered, and nothing of the next has come.
    idle: bool,
    /// No request begins any more.
    stops: bool,
    /// And nothing comes any more, not even what nobody would read.
    silent: bool,
    /// The client has said that nothing will come, and has kept to it so far.
    last: bool,
    /// Bytes that were sent.
    sent: usize,
    /// The wait for what is read next.
    reading: Wait,
    /// The wait for room to send what is there, if there is something.
    sending: Option<Wait>,
}
// ANCHOR_END: machine

// ANCHOR: phase
/// What is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Head,
    /// So many bytes of a body with a length.
    Length(u64),
    /// The size of a chunk (section 7.1).
    Size,
    /// So many bytes of a chunk, more than none.
    Chunk(u64),
    /// The CRLF behind it.
    ChunkEnd,
    /// The fields behind the last chunk, and an empty line.
    Trailers,
    /// Nothing before the answer is over.
    Whole,
    /// Nothing any more.
    Over,
}
// ANCHOR_END: phase

// ANCHOR: turn
/// How far the answer to this request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// There is no request, or only a part of its head.
    None,
    /// It may be answered.
    Due,
    /// It is being answered.
    Given,
    /// It has been answered, and the rest of its body is passed over.
    Done,
}
// ANCHOR_END: turn

// ANCHOR: refusals
type Read<T> = Result<T, Refused>;

const TOO_LATE: Refused = Refused::new("408 Request Timeout", "the request comes too slowly");
/// So many bytes are sent before any has been acknowledged (RFC 6928).
const AT_ONCE: usize = 10 * 1460;
const CHUNK_BROKEN: Refused = bad_request("a chunk does not end where it should");
// ANCHOR_END: refusals

// ANCHOR: new
impl Machine {
    /// The machine of a connection that has been accepted now.
    pub fn new(limits: &Limits, patience: &Patience, now: Instant) -> Machine {
        Machine {
            limits: *limits,
            patience: *patience,
            phase: Phase::Head,
            lines: Lines::default(),
            total: 0,
            turn: Turn::None,
            form: Form::default(),
            waits: false,
            idle: false,
            stops: false,
            silent: false,
            last: false,
            sent: 0,
            reading: Wait(now, 0),
            sending: None,
        }
    }
    // ANCHOR_END: new

    // ANCHOR: read
    /// Reads on. `bytes` are those that earlier calls have left unused, and what has
    /// come since. The answer says how many have been used now, from their beginning,
    /// and what they mean. To be called again, with the rest, until it says
    /// [`Event::More`], [`Event::Paused`] or [`Event::Closed`].
    ///
    /// A line is searched for its end once, however few bytes come at a time. What is
    /// left unused before `More` is shorter than `max_head` or `max_chunk_line`.
    pub fn read<'b>(&mut self, bytes: &'b [u8], now: Instant) -> (usize, Event<'b>) {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let (size, event) = match self.step(rest, now) {
                Ok(step) => step,
                Err(refused) => (rest.len(), Some(self.refuse(refused, now))),
            };
            used += size;
            match event {
                // The rest of a request that has been answered.
                Some(Event::Body(_)) if self.turn == Turn::Done => {}
                Some(Event::End(_)) if self.turn == Turn::Done => self.next(now),
                Some(event) => return (used, event),
                None => {}
            }
        }
    }
    // ANCHOR_END: read

    // ANCHOR: step
    /// Reads one thing: how many bytes it took, and the event, if it is one.
    fn step<'b>(&mut self, bytes: &'b [u8], now: Instant) -> Read<(usize, Option<Event<'b>>)> {
        const MORE: Read<(usize, Option<Event>)> = Ok((0, Some(Event::More)));
        let (used, phase, event) = match self.phase {
            // The server stops, and no request has begun.
            Phase::Head if self.stops && !self.lines.begun() => {
                return Ok((bytes.len(), Some(self.close(now))))
            }
            Phase::Head => return self.head(bytes, now),
            Phase::Whole => return Ok((0, Some(Event::Paused))),
            Phase::Over if self.answering() => return Ok((bytes.len(), Some(Event::Paused))),
            Phase::Over => {
                self.last &= bytes.is_empty();
                return Ok((bytes.len(), Some(Event::Closed)));
            }
            Phase::Length(0) => (0, Phase::Whole, Some(Event::End(Vec::new()))),
            _ if bytes.is_empty() => return MORE,
            // ANCHOR_END: step
            // ANCHOR: body
            Phase::Length(left) | Phase::Chunk(left) => {
                let size = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                let phase = match (self.phase, left - size as u64) {
                    (Phase::Chunk(_), 0) => Phase::ChunkEnd,
                    (Phase::Chunk(_), left) => Phase::Chunk(left),
                    (_, left) => Phase::Length(left),
                };
                (size, phase, Some(Event::Body(&bytes[..size])))
            }
            // ANCHOR_END: body
            // ANCHOR: chunk_line
            Phase::ChunkEnd | Phase::Size => {
                let (begins, size) = (self.phase == Phase::Size, self.limits.max_chunk_line);
                let limit = if begins { size } else { 2 };
                let Some(end) = self.lines.end(bytes, [(limit, CHUNK_BROKEN); 2], true)? else {
                    return MORE;
                };
                // A bare line feed does not end it: others do not take it for an end.
                let line = bytes[..end].strip_suffix(b"\r\n");
                let line = line.filter(|line| is_value(line)).ok_or(CHUNK_BROKEN)?;
                let phase = match begins {
                    true => self.chunk(chunk_size(line)?)?,
                    false => Phase::Size,
                };
                (end, phase, None)
            }
            // ANCHOR_END: chunk_line
            // ANCHOR: trailers
            Phase::Trailers => {
                let limits = [(self.limits.max_head, CHUNK_BROKEN); 2];
                let Some(end) = self.lines.end(bytes, limits, false)? else {
                    return MORE;
                };
                let fields = trailers(&bytes[..end])?;
                (end, Phase::Whole, Some(Event::End(fields)))
            }
        };
        self.phase = phase;
        self.waits &= used == 0; // it has begun
        self.reading.moved(used, self.patience.pace, now);
        Ok((used, event))
    }
    // ANCHOR_END: trailers

    // ANCHOR: head
    /// A head, if it has come. Empty lines before it are passed over (section 2.2).
    fn head<'b>(&mut self, bytes: &'b [u8], now: Instant) -> Read<(usize, Option<Event<'b>>)> {
        let mut head = bytes;
        while let (false, [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..]) =
            (self.lines.begun(), head)
        {
            head = rest;
        }
        let empty = bytes.len() - head.len();
        if matches!(head, [] | b"\r") {
            return Ok((empty, Some(Event::More)));
        }
        if std::mem::take(&mut self.idle) {
            self.reading = Wait(now, 0);
        }
        let (first, all) = (self.limits.max_line, self.limits.max_head);
        let limits = [(first, TARGET_TOO_LONG), (all, HEAD_TOO_LARGE)];
        let end = self.lines.end(head, limits, false);
        let Some(end) = end.map_err(|refused| refused.of_request(head))? else {
            return Ok((empty, Some(Event::More)));
        };
        let head = Head::parse(&head[..end], &self.limits)?;
        self.begin(&head, now);
        Ok((empty + end, Some(Event::Head(head))))
    }
    // ANCHOR_END: head

    // ANCHOR: begin
    /// What a head says about the connection (section 9.3).
    fn begin(&mut self, head: &Head, now: Instant) {
        self.form = Form::of(head);
        self.phase = match head.framing {
            Framing::Length(length) => Phase::Length(length),
            Framing::Chunked => Phase::Size,
        };
        self.waits = head.expects_continue() && head.framing != Framing::Length(0);
        (self.turn, self.total, self.reading) = (Turn::Due, 0, Wait(now, 0));
    }
    // ANCHOR_END: begin

    // ANCHOR: chunk
    /// What follows the size of a chunk: that of the last is 0.
    fn chunk(&mut self, size: u64) -> Read<Phase> {
        self.total = self.total.saturating_add(size);
        match size {
            _ if self.total > self.limits.max_body => Err(TOO_LARGE),
            0 => Ok(Phase::Trailers),
            size => Ok(Phase::Chunk(size)),
        }
    }
    // ANCHOR_END: chunk

    // ANCHOR: eof
    /// The client has closed its side, and [`Machine::read`] wants more than the
    /// `bytes` that are left. [`Event::Paused`]: it may still read its answer. To be told
    /// again when that is over, and when what was left has been read.
    pub fn eof(&mut self, bytes: &[u8], now: Instant) -> Event<'static> {
        let breaks = ["the head breaks off", "the body breaks off"];
        self.give_up(bytes, breaks.map(bad_request), now)
    }

    /// What comes of waiting, with the `bytes` that are left: [`Event::More`] before the
    /// deadline.
    pub fn late(&mut self, bytes: &[u8], now: Instant) -> Event<'static> {
        match self.deadline() {
            Some(deadline) if deadline <= now && self.sending.is_some() => self.close(now),
            Some(deadline) if deadline <= now => self.give_up(bytes, [TOO_LATE; 2], now),
            _ => Event::More,
        }
    }

    /// The rest does not come: of a head, or of a body.
    fn give_up(&mut self, bytes: &[u8], why: [Refused; 2], now: Instant) -> Event<'static> {
        match self.phase {
            _ if self.answering() => Event::Paused,
            Phase::Head if self.lines.begun() => self.refuse(why[0].of_request(bytes), now),
            Phase::Head | Phase::Whole | Phase::Over => {
                self.silent = true;
                self.close(now)
            }
            _ => self.refuse(why[1], now),
        }
    }
    // ANCHOR_END: eof

    // ANCHOR: refuse
    /// There is no request after this one.
    fn refuse(&mut self, mut refused: Refused, now: Instant) -> Event<'static> {
        let turn = self.turn;
        self.close(now);
        self.turn = match turn {
            Turn::Done => return Event::Closed, // nobody is left to be told
            Turn::None => Turn::Due,
            Turn::Due | Turn::Given => turn,
        };
        refused.head_only |= self.form.head_only;
        self.form.head_only = refused.head_only;
        Event::Refused(refused)
    }

    /// Ends the conversation: after an answer that was lost on its way, say. There is no
    /// answer any more.
    pub fn close(&mut self, now: Instant) -> Event<'static> {
        (self.phase, self.turn, self.waits) = (Phase::Over, Turn::Done, false);
        self.reading = Wait(now, 0);
        Event::Closed
    }

    /// Whether the answer to a request that is over is still to come.
    fn answering(&self) -> bool {
        let over = matches!(self.phase, Phase::Whole | Phase::Over);
        over && matches!(self.turn, Turn::Due | Turn::Given)
    }
    // ANCHOR_END: refuse

    // ANCHOR: stop
    /// This server stops. A request that has begun is answered, with `Connection: close`
    /// (section 9.6), and none after it. If there is none, [`Machine::read`] says now that
    /// the conversation is over.
    pub fn stop(&mut self) {
        self.stops = true;
    }
    // ANCHOR_END: stop

    // ANCHOR: answer
    /// The form of the answer to this request, or to its refusal. To be asked for once:
    /// a request has one answer.
    ///
    /// It may be asked for before the request is whole. An answer to a client that still
    /// waits to send its body says that the connection closes: nobody knows whether the
    /// body comes (RFC 9110, section 10.1.1).
    pub fn answer(&mut self) -> Option<Answer> {
        if self.turn != Turn::Due {
            return None;
        }
        self.turn = Turn::Given;
        let keeps = self.form.keeps && !self.stops && !self.waits && self.phase != Phase::Over;
        Some(Answer::new(Form { keeps, ..self.form }))
    }

    /// The answer is over, or nothing more of it will come. What is left of the request
    /// is passed over, and the next may come, unless the answer was broken off or has
    /// said that the connection closes.
    pub fn answered(&mut self, answer: Answer, now: Instant) {
        self.turn = Turn::Done;
        if !answer.keeps() || self.phase == Phase::Over {
            self.last = self.phase == Phase::Whole && !self.form.keeps;
            self.close(now);
        } else if self.phase == Phase::Whole {
            self.next(now);
        }
    }

    /// Of a conversation that is over: whether nothing can come any more, so that the
    /// connection may be closed at once. The client has closed its side, or was too late.
    /// Or it has said so with its last request: then what it sends nevertheless can cost
    /// it no answer that has left, with so many bytes that still wait.
    pub fn at_once(&self, waiting: usize) -> bool {
        self.silent || self.last && self.sent.saturating_add(waiting) <= AT_ONCE
    }

    fn next(&mut self, now: Instant) {
        (self.turn, self.phase, self.form) = (Turn::None, Phase::Head, Form::default());
        (self.idle, self.reading) = (true, Wait(now, 0));
    }
    // ANCHOR_END: answer

    // ANCHOR: go_on
    /// What to send before waiting for a body: the interim answer that its client waits
    /// for (RFC 9110, section 10.1.1), or nothing. Not behind the beginning of an answer.
    pub fn go_on(&mut self, now: Instant) -> &'static [u8] {
        if !std::mem::take(&mut self.waits) {
            return b"";
        }
        self.resume(now);
        b"HTTP/1.1 100 Continue\r\n\r\n"
    }

    /// The server reads again after a pause of its own, in which it took nothing from the
    /// client: while an application was busy, say. The client's time begins again.
    pub fn resume(&mut self, now: Instant) {
        self.reading = Wait(now, 0);
    }
    // ANCHOR_END: go_on

    // ANCHOR: sent
    /// So many bytes have been sent, and so many still wait, because the client reads
    /// slowly. To be told after each attempt.
    pub fn sent(&mut self, bytes: usize, waiting: usize, now: Instant) {
        self.sent = self.sent.saturating_add(bytes);
        match &mut self.sending {
            Some(_) if waiting == 0 => (self.sending, self.reading) = (None, Wait(now, 0)),
            Some(wait) => wait.moved(bytes, self.patience.pace, now),
            None if waiting == 0 => {}
            None => self.sending = Some(Wait(now, 0)),
        }
    }
    // ANCHOR_END: sent

    // ANCHOR: deadline
    /// Until when to wait for the client; none while it waits for its answer, or to be
    /// told that its body is wanted, and where that time is beyond what the clock can count.
    pub fn deadline(&self) -> Option<Instant> {
        let began = self.sending.unwrap_or(self.reading).0;
        began.checked_add(self.patience()?)
    }

    /// How long that wait is in all: one of the few times that all connections have.
    pub fn patience(&self) -> Option<Duration> {
        Some(match self.phase {
            _ if self.sending.is_some() => self.patience.send_timeout,
            _ if self.waits || self.answering() => return None,
            Phase::Head if self.idle => self.patience.keep_alive,
            Phase::Head => self.patience.head_timeout,
            Phase::Over => self.limits.linger,
            _ => self.patience.body_timeout,
        })
    }
}
// ANCHOR_END: deadline
