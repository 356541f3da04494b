//! A request that comes in pieces is the one that comes whole, whatever the pieces are.

use gateway::http::{Limits, Refused};
use gateway::incoming::{Incoming, Progress};
use std::io::Read;

const LIMITS: Limits = Limits {
    max_line: 40,
    max_head: 100,
    max_body: 20,
    max_chunk_line: 12,
    ..Limits::DEFAULT
};

/// What came of a request: its variables and its body, or what is wrong with either.
fn outcome(progress: std::io::Result<Progress>) -> Option<String> {
    let refused = |error: &std::io::Error| Refused::of(error).map(Refused::to_string);
    match progress {
        Ok(Progress::More | Progress::Expects) => None,
        Ok(Progress::Left) => Some("left".to_string()),
        Ok(Progress::Request(mut environ)) => {
            let mut body = Vec::new();
            let read = environ.input.read_to_end(&mut body);
            let read = read.map_err(|error| refused(&error));
            let variables: Vec<_> = environ.variables().collect();
            Some(format!("{variables:?} {body:?} {read:?}"))
        }
        Err(error) => Some(refused(&error).expect("a request can only be refused")),
    }
}

/// What comes of these pieces, and how many of them it took.
fn of_pieces(pieces: &[&[u8]], ends: bool) -> (String, usize) {
    let mut incoming = Incoming::default();
    assert!(incoming.is_empty());
    for (place, piece) in pieces.iter().enumerate() {
        incoming.push(piece);
        let progress = incoming.progress(false, &LIMITS, |_| {});
        if let Some(outcome) = outcome(progress) {
            return (outcome, place + 1);
        }
        assert!(!incoming.is_empty());
    }
    if !ends {
        return ("more".to_string(), pieces.len());
    }
    let progress = incoming.progress(true, &LIMITS, |_| {});
    (
        outcome(progress).expect("nothing comes after it"),
        pieces.len() + 1,
    )
}

const HEAD: &str = "POST /a?b HTTP/1.1\r\nHost: x\r\n";

fn requests() -> [String; 23] {
    let chunked = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n");
    [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
        "\r\n\nGET / HTTP/1.1\nHost: x\n\n".into(),
        "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n".into(),
        "GET / HTTP/1.1\r\n\r\n".into(),
        "\r\n\r\n".into(),
        "nonsense\r\n\r\n".into(),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(50)),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(90)),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A:\n".repeat(30)),
        format!("{HEAD}Content-Length: 5\r\n\r\n12345"),
        format!("{HEAD}Content-Length: 5\r\n\r\n1234"),
        format!("{HEAD}Content-Length: 5\r\n\r\n1234567"),
        format!("{HEAD}Content-Length: 21\r\n\r\n"),
        format!("{chunked}3\r\n123\r\na;b=c\r\n1234567890\r\n0\r\nX: y\r\n\r\n"),
        format!("{chunked}0\r\n\r\n"),
        format!("{chunked}3\r\n123\r\n0\r\n"),
        format!("{chunked}3\r\n123\r\nx\r\n"),
        format!("{chunked}3\r\n1234\r\n"),
        format!("{chunked}3\r\n123"),
        format!("{chunked}a\r\n1234567890\r\na\r\n1234567890\r\n1\r\n1\r\n0\r\n\r\n"),
        format!("{chunked}15\r\n"),
        format!("{chunked}1;123456789012\r\n"),
        format!("{chunked}3\r\n123\r\n0\r\nX y\r\n\r\n"),
    ]
}

#[test]
fn the_pieces_do_not_matter() {
    for request in requests() {
        let request = request.as_bytes();
        let (whole, _) = of_pieces(&[request], true);
        let bytes: Vec<&[u8]> = request.chunks(1).collect();
        assert_eq!(
            of_pieces(&bytes, true).0,
            whole,
            "{}",
            request.escape_ascii()
        );
        for first in 1..request.len() {
            let (start, rest) = request.split_at(first);
            let (middle, end) = rest.split_at(rest.len() / 2);
            for pieces in [&[start, rest][..], &[start, middle, end]] {
                assert_eq!(
                    of_pieces(pieces, true).0,
                    whole,
                    "{}",
                    request.escape_ascii()
                );
            }
        }
    }
}

/// It does not wait for bytes that need not come.
#[test]
fn it_is_over_with_the_byte_that_decides() {
    for (request, after) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_string(), "\r\n\r\n"),
        (format!("{HEAD}Content-Length: 5\r\n\r\n12345"), "12345"),
        (
            format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\n123\r\n0\r\n\r\n"),
            "0\r\n\r\n",
        ),
        (
            format!("{HEAD}Transfer-Encoding: chunked\r\n\r\nx\r\n3\r\n"),
            "chunked\r\n\r\nx\r\n",
        ),
        (format!("GET /{}", "x".repeat(60)), &"x".repeat(35)[..]),
    ] {
        let place = request.find(after).expect("it is there") + after.len();
        let bytes: Vec<&[u8]> = request.as_bytes().chunks(1).collect();
        let (outcome, took) = of_pieces(&bytes, false);
        assert_eq!(took, place, "{request}: {outcome}");
        assert_eq!(of_pieces(&bytes[..place - 1], false).0, "more");
    }
}
