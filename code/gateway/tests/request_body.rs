//! The body of a request: it is decoded, and ends where the request ends.

use gateway::http::{Framing, Limits, Refused, RequestBody};
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::sync::atomic::Ordering;

const MAX_HEAD: usize = Limits::DEFAULT.max_head as usize;

/// What came of reading a body to its end, however large the pieces were.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    body: Result<Vec<u8>, &'static str>,
    ended: bool,
    /// What stands behind it.
    rest: Vec<u8>,
}

/// Reads the body that `bytes` begin with, in pieces of each size, which must
/// make no difference.
fn read(framing: Framing, bytes: impl AsRef<[u8]>) -> Outcome {
    let all = [1, 2, 3, 7, 8192].map(|size| {
        let mut connection = BufReader::with_capacity(size, bytes.as_ref());
        let mut body = RequestBody::new(&mut connection, framing, &Limits::DEFAULT);
        let ended = body.ended();
        let mut content = Vec::new();
        let result = body.read_to_end(&mut content);
        let body = match result {
            Ok(_) => Ok(content),
            Err(error) => Err(Refused::of(&error).expect("it is a refusal").status),
        };
        let ended = ended.load(Ordering::Relaxed);
        let mut rest = Vec::new();
        connection.read_to_end(&mut rest).unwrap();
        Outcome { body, ended, rest }
    });
    let [first, others @ ..] = all;
    for other in others {
        assert_eq!(other, first);
    }
    first
}

fn whole(body: impl AsRef<[u8]>, rest: impl AsRef<[u8]>) -> Outcome {
    let (body, rest) = (body.as_ref(), rest.as_ref());
    Outcome {
        body: Ok(body.to_vec()),
        ended: true,
        rest: rest.to_vec(),
    }
}

/// The status that a body in chunks is refused with.
fn refused(chunks: impl AsRef<[u8]>) -> &'static str {
    let read = read(Framing::Chunked, chunks);
    assert!(!read.ended);
    read.body.unwrap_err()
}

#[test]
fn a_body_with_a_length_ends_there() {
    assert_eq!(
        read(Framing::Length(5), "12345GET /"),
        whole("12345", "GET /")
    );
    assert_eq!(read(Framing::Length(5), "12345"), whole("12345", ""));
    assert_eq!(read(Framing::Length(0), "GET /"), whole("", "GET /"));
    assert_eq!(
        read(Framing::Length(3), b"\0\xff\nx"),
        whole(b"\0\xff\n", "x")
    );
}

#[test]
fn a_body_that_is_cut_short_is_refused() {
    for bytes in ["", "1234"] {
        let read = read(Framing::Length(5), bytes);
        assert_eq!(read.body, Err("400 Bad Request"));
        assert!(!read.ended);
    }
}

#[test]
fn chunks_are_put_together() {
    for (chunks, body) in [
        ("0\r\n\r\n", ""),
        ("5\r\n12345\r\n0\r\n\r\n", "12345"),
        ("5\r\n12345\r\n3\r\n678\r\n0\r\n\r\n", "12345678"),
        ("a\r\n1234567890\r\n0\r\n\r\n", "1234567890"),
        ("A\r\n1234567890\r\n0\r\n\r\n", "1234567890"),
        ("0005\r\n12345\r\n000\r\n\r\n", "12345"),
        ("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"), // of such bytes as end chunks
        ("3\r\n0\r\n\r\n0\r\n\r\n", "0\r\n"),
    ] {
        let read = read(Framing::Chunked, format!("{chunks}GET /"));
        assert_eq!(read, whole(body, "GET /"), "{chunks:?}");
    }
}

#[test]
fn extensions_and_trailers_are_passed_over() {
    for end in [
        "5;a\r\n12345\r\n0\r\n\r\n",
        "5;a=b;c=\"d e\"\r\n12345\r\n0;f\r\n\r\n",
        "5 ; a\r\n12345\r\n0\r\n\r\n",
        "5\t;a\r\n12345\r\n0 ;\r\n\r\n",
        "5;\r\n12345\r\n0\r\n\r\n",
        "5\r\n12345\r\n0\r\nDigest: x\r\n\r\n",
        "5\r\n12345\r\n0\r\nA: 1\r\nB:\r\nC:\t2 \r\n\r\n",
    ] {
        let read = read(Framing::Chunked, format!("{end}GET /"));
        assert_eq!(read, whole("12345", "GET /"), "{end:?}");
    }
}

#[test]
fn broken_chunks_are_refused() {
    for chunks in [
        "",
        "5",
        "5\r",
        "5\r\n",
        "5\r\n123",
        "5\r\n12345",
        "5\r\n12345\r",
        "5\r\n12345\r\n",
        "5\r\n12345\r\n0",
        "5\r\n12345\r\n0\r\n",
        "5\r\n12345\r\n0\r\nA: 1\r\n",
        // The size.
        "\r\n\r\n",
        ";a\r\n\r\n",
        " 5\r\n12345\r\n0\r\n\r\n",
        "+5\r\n12345\r\n0\r\n\r\n",
        "-5\r\n12345\r\n0\r\n\r\n",
        "0x5\r\n12345\r\n0\r\n\r\n",
        "5h\r\n12345\r\n0\r\n\r\n",
        "g\r\n12345\r\n0\r\n\r\n",
        "5_0\r\n12345\r\n0\r\n\r\n",
        "5 5\r\n12345\r\n0\r\n\r\n",
        "5,5\r\n12345\r\n0\r\n\r\n",
        "٥\r\n12345\r\n0\r\n\r\n",
        // The ends of lines.
        "5\n12345\r\n0\r\n\r\n",
        "5\r12345\r\n0\r\n\r\n",
        "5\r\r\n12345\r\n0\r\n\r\n",
        "5;a\n12345\r\n0\r\n\r\n",
        "5;a\rb\r\n12345\r\n0\r\n\r\n",
        "5;a\0\r\n12345\r\n0\r\n\r\n",
        "5\r\n12345\n0\r\n\r\n",
        "5\r\n123450\r\n\r\n",
        "5\r\n12345\r\r\n0\r\n\r\n",
        "5\r\n123456\r\n0\r\n\r\n",
        "5\r\n1234\r\n0\r\n\r\n",
        "5\r\n12345\r\n0\n\n",
        "5\r\n12345\r\n0\r\n\n",
        // The trailers.
        "0\r\nA\r\n\r\n",
        "0\r\nA: 1\n\r\n",
        "0\r\n folded: 1\r\n\r\n",
        "0\r\nA : 1\r\n\r\n",
        "0\r\nA: \0\r\n\r\n",
        "0\r\nGET / HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(refused(chunks), "400 Bad Request", "{chunks:?}");
    }
}

#[test]
fn lines_between_chunks_have_a_limit() {
    let line = |size: usize| format!("5;{}\r\n", "x".repeat(size - 4));
    let rest = "12345\r\n0\r\n\r\n";
    assert_eq!(read(Framing::Chunked, line(256) + rest), whole("12345", ""));
    assert_eq!(refused(line(257) + rest), "400 Bad Request");

    let zeros = "0".repeat(300);
    assert_eq!(refused(zeros), "400 Bad Request");

    // An endless extension is not waited for.
    let mut connection = BufReader::new(io::repeat(b'x').take(1 << 20));
    let start = Cursor::new("5;").chain(&mut connection);
    let error = RequestBody::new(start, Framing::Chunked, &Limits::DEFAULT)
        .read(&mut [0; 8])
        .unwrap_err();
    assert_eq!(Refused::of(&error).unwrap().status, "400 Bad Request");
    assert!(connection.into_inner().limit() > (1 << 20) - 20_000);
}

#[test]
fn trailers_have_a_limit() {
    let trailers = |size: usize| format!("X: {}\r\n", "x".repeat(size - 5));
    let whole_body = format!("0\r\n{}\r\n", trailers(MAX_HEAD - 2));
    assert_eq!(read(Framing::Chunked, whole_body), whole("", ""));
    assert_eq!(
        refused(format!("0\r\n{}\r\n", trailers(MAX_HEAD - 1))),
        "400 Bad Request"
    );
    let many = "X: y\r\n".repeat(MAX_HEAD / 6 + 1);
    assert_eq!(refused(format!("0\r\n{many}\r\n")), "400 Bad Request");
}

#[test]
fn a_body_in_chunks_has_a_limit() {
    let too_large = "413 Content Too Large";
    assert_eq!(
        refused(format!("{:x}\r\n", Limits::DEFAULT.max_body + 1)),
        too_large
    );
    assert_eq!(refused("ffffffffffffffff\r\n"), too_large);
    assert_eq!(refused("10000000000000000\r\n"), too_large);
    assert_eq!(refused(format!("{}\r\n", "f".repeat(200))), too_large);
    // Also in sum, where the sum does not fit into 64 bits.
    assert_eq!(refused("1\r\nx\r\nffffffffffffffff\r\n"), too_large);

    let kilobyte = "x".repeat(1 << 10);
    let chunk = format!("400\r\n{kilobyte}\r\n");
    let limits = Limits {
        max_body: 16 << 10,
        ..Limits::DEFAULT
    };
    let most = chunk.repeat(16) + "0\r\n\r\n";
    let mut body = RequestBody::new(most.as_bytes(), Framing::Chunked, &limits);
    assert_eq!(body.read_to_end(&mut Vec::new()).unwrap(), 16 << 10);
    let more = chunk.repeat(16) + "1\r\nx\r\n0\r\n\r\n";
    let mut body = RequestBody::new(more.as_bytes(), Framing::Chunked, &limits);
    let error = body.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(Refused::of(&error).unwrap().status, too_large);
}

/// Whoever asks again hears the same, and does not read on where nobody knows
/// what the bytes mean.
#[test]
fn an_error_stays() {
    for (framing, bytes) in [
        (Framing::Chunked, "5\r\n12345xx5\r\n12345\r\n0\r\n\r\n"),
        (Framing::Length(9), "12345"),
    ] {
        let mut connection = bytes.as_bytes();
        let mut body = RequestBody::new(&mut connection, framing, &Limits::DEFAULT);
        let mut content = Vec::new();
        let first = body.read_to_end(&mut content).unwrap_err().to_string();
        assert_eq!(content, b"12345");
        for _ in 0..3 {
            assert_eq!(body.read(&mut [0; 8]).unwrap_err().to_string(), first);
            assert_eq!(body.fill_buf().unwrap_err().to_string(), first);
        }
        let left = connection.len();
        assert_eq!(left, if framing == Framing::Chunked { 15 } else { 0 });
    }
}

/// After the end comes the end.
#[test]
fn the_end_stays() {
    for (framing, bytes) in [
        (Framing::Chunked, "1\r\nx\r\n0\r\n\r\nnext"),
        (Framing::Length(1), "xnext"),
    ] {
        let mut connection = bytes.as_bytes();
        let mut body = RequestBody::new(&mut connection, framing, &Limits::DEFAULT);
        assert_eq!(body.read_to_end(&mut Vec::new()).unwrap(), 1);
        for _ in 0..3 {
            assert_eq!(body.read(&mut [0; 8]).unwrap(), 0);
            assert_eq!(body.fill_buf().unwrap(), b"");
            body.consume(0);
        }
        assert_eq!(connection, b"next");
    }
}

/// True when the last byte has been read, and with chunks when the end has been
/// seen; not before.
#[test]
fn ended_becomes_true_at_the_end() {
    let mut body = RequestBody::new(&b"12345"[..], Framing::Length(5), &Limits::DEFAULT);
    let ended = body.ended();
    body.read_exact(&mut [0; 4]).unwrap();
    assert!(!ended.load(Ordering::Relaxed));
    body.read_exact(&mut [0; 1]).unwrap();
    assert!(ended.load(Ordering::Relaxed));
    assert!(
        RequestBody::new(&b""[..], Framing::Length(0), &Limits::DEFAULT)
            .ended()
            .load(Ordering::Relaxed)
    );

    let mut body = RequestBody::new(
        &b"1\r\nx\r\n0\r\n\r\n"[..],
        Framing::Chunked,
        &Limits::DEFAULT,
    );
    let ended = body.ended();
    body.read_exact(&mut [0; 1]).unwrap();
    assert!(!ended.load(Ordering::Relaxed));
    assert_eq!(body.read(&mut [0; 1]).unwrap(), 0);
    drop(body);
    assert!(ended.load(Ordering::Relaxed));
}

/// A line is what PEP 3333's `readline` gives.
#[test]
fn lines_can_be_read() {
    let body = RequestBody::new(
        &b"3\r\na\nb\r\n3\r\nc\nd\r\n0\r\n\r\n"[..],
        Framing::Chunked,
        &Limits::DEFAULT,
    );
    let lines: Vec<String> = body.lines().map(|line| line.unwrap()).collect();
    assert_eq!(lines, ["a", "bc", "d"]);
}

/// An error of the connection is its own: the client may be slow, not wrong.
#[test]
fn an_error_of_the_connection_is_passed_on() {
    struct Slow;
    impl Read for Slow {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::WouldBlock.into())
        }
    }
    for framing in [Framing::Length(5), Framing::Chunked] {
        let mut body = RequestBody::new(BufReader::new(Slow), framing, &Limits::DEFAULT);
        let error = body.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(Refused::of(&error), None);
    }
}
