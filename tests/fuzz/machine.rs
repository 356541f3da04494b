//! What must hold for whatever bytes come on a connection: the machine without input and
//! output reads in them what Part 2's reader does, one request after the other, however
//! they are cut.

use super::invariants::{check_head, of_chunks};
use gateway::http::{read_head, Framing, Head, Limits, Refused, RequestBody};
use gateway::http1::{Event, Machine, Patience};
use std::io::Read;
use std::time::Instant;

const LIMITS: Limits = Limits::DEFAULT;

/// What came on a connection: its requests, and the status of the refusal behind them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Conversation {
    requests: Vec<Request>,
    refused: Option<&'static str>,
}

/// A request, as far as it came.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub target: Vec<u8>,
    /// Everything that the head says.
    pub head: String,
    pub body: Vec<u8>,
    /// The fields behind the body, their names in small letters.
    pub trailers: Vec<(String, Vec<u8>)>,
    pub whole: bool,
}

impl Request {
    fn of(head: &Head) -> Request {
        Request {
            method: head.method.to_string(),
            target: head.target.to_vec(),
            head: format!("{head:?}"),
            body: Vec::new(),
            trailers: Vec::new(),
            whole: false,
        }
    }
}

/// The requests that have come whole, and whether something else came behind them.
#[allow(dead_code)] // where hyper reads nothing
pub fn requests(bytes: &[u8]) -> (Vec<Request>, bool) {
    let seen = by_machine(&[bytes]);
    let mut requests = seen.requests;
    requests.retain(|request| request.whole);
    (requests, seen.refused.is_some())
}

/// Reads all requests that `bytes` begin with, and checks each.
///
/// # Panics
///
/// When something does not hold.
pub fn check(bytes: &[u8]) {
    let whole = by_machine(&[bytes]);
    let mut pulled = by_reader(bytes);
    for (request, by_machine) in pulled.requests.iter_mut().zip(&whole.requests) {
        request.trailers = by_machine.trailers.clone(); // it passes over them
    }
    assert_eq!(whole, pulled, "the two readers differ");
    let size = 1 + bytes.len() % 13;
    let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
    assert_eq!(by_machine(&pieces), whole, "in pieces of {size}");
    if bytes.len() < 2_000 {
        let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(by_machine(&pieces), whole, "byte by byte");
    }
}

/// The same bytes, cut at these places.
///
/// # Panics
///
/// When that makes a difference.
pub fn check_cut(bytes: &[u8], mut places: Vec<usize>) {
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for place in places {
        pieces.push(&bytes[start..place]);
        start = place;
    }
    pieces.push(&bytes[start..]);
    assert_eq!(
        by_machine(&pieces),
        by_machine(&[bytes]),
        "in {} pieces",
        pieces.len()
    );
}

/// What the machine reads in these pieces, each request answered once it is whole.
fn by_machine(pieces: &[&[u8]]) -> Conversation {
    let now = Instant::now();
    let mut machine = Machine::new(&LIMITS, &Patience::DEFAULT, now);
    let mut seen = Conversation::default();
    let mut left = Vec::new();
    for piece in pieces {
        left.extend_from_slice(piece);
        let mut start = 0;
        loop {
            let (used, event) = machine.read(&left[start..], now);
            start += used;
            match event {
                Event::More | Event::Closed => break,
                event => take(&mut machine, &mut seen, event, now),
            }
        }
        left.drain(..start);
        assert!(
            (left.len() as u64) < LIMITS.max_head,
            "{} bytes are kept",
            left.len()
        );
    }
    match machine.eof(&left, now) {
        Event::Closed => {}
        event => take(&mut machine, &mut seen, event, now),
    }
    let late = machine.read(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", now);
    assert_eq!(late, (27, Event::Closed), "a request behind the end");
    seen
}

fn take(machine: &mut Machine, seen: &mut Conversation, event: Event, now: Instant) {
    assert_eq!(seen.refused, None, "something comes behind a refusal");
    match event {
        Event::Head(head) => {
            assert!(seen.requests.last().is_none_or(|request| request.whole));
            seen.requests.push(Request::of(&head));
            return;
        }
        Event::Refused(refused) => seen.refused = Some(refused.status),
        event => {
            let request = seen.requests.last_mut().expect("a body has a head");
            assert!(!request.whole, "a request has one end");
            match event {
                Event::Body(piece) => return request.body.extend_from_slice(piece),
                Event::End(fields) => {
                    let fields = fields.iter();
                    let fields = fields.map(|(name, value)| (name.to_lowercase(), value.to_vec()));
                    request.trailers = fields.collect();
                    request.whole = true;
                }
                event => panic!("{event:?}"),
            }
        }
    }
    let mut answer = machine.answer().expect("one answer to each request");
    assert!(machine.answer().is_none(), "and no second");
    answer.begin(200, Some(0));
    answer
        .end(&[], &mut Vec::new())
        .expect("there are no fields");
    assert!(seen.refused.is_none() || !answer.keeps());
    machine.answered(answer, now);
}

/// What the reader of Part 2 reads in them, as long as the connection is kept.
fn by_reader(bytes: &[u8]) -> Conversation {
    let mut seen = Conversation::default();
    let mut rest = bytes;
    loop {
        // It counts empty lines as a part of the head, and the machine does not.
        while let [b'\n', more @ ..] | [b'\r', b'\n', more @ ..] = rest {
            rest = more;
        }
        if matches!(rest, [] | b"\r") {
            return seen;
        }
        let read = read_head(&mut rest, &LIMITS);
        let read = read.map_err(|error| *Refused::of(&error).expect("bytes can be read"));
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(refused) => return refuse(seen, refused),
        };
        let head = match Head::parse(&bytes, &LIMITS) {
            Ok(head) => head,
            Err(refused) => return refuse(seen, refused),
        };
        check_head(&bytes, &head);
        let mut body = Vec::new();
        let before = rest;
        let read = RequestBody::new(&mut rest, head.framing, &LIMITS).read_to_end(&mut body);
        let whole = read.is_ok();
        if whole && head.framing == Framing::Chunked {
            let chunks = &before[..before.len() - rest.len()];
            assert_eq!(body, of_chunks(chunks), "httparse reads other chunks");
        }
        let says = |option: &[u8]| {
            head.list("Connection")
                .any(|is| is.eq_ignore_ascii_case(option))
        };
        let keeps = match head.version {
            _ if says(b"close") => false,
            "HTTP/1.1" => true,
            _ => says(b"keep-alive"),
        };
        let mut request = Request::of(&head);
        (request.body, request.whole) = (body, whole);
        seen.requests.push(request);
        match read {
            Err(error) => return refuse(seen, *Refused::of(&error).expect("bytes can be read")),
            Ok(_) if !keeps => return seen,
            Ok(_) => {}
        }
    }
}

fn refuse(seen: Conversation, refused: Refused) -> Conversation {
    let refused = Some(refused.status);
    Conversation { refused, ..seen }
}
