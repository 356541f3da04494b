//! What must hold for whatever bytes a client sends. Asked of mutated requests by
//! `tests/suite/properties.rs`, and of whatever libFuzzer finds by `request.rs`.

use gateway::http::{read_head, Framing, Head, Limits, Refused, RequestBody};
use gateway::{refuse, respond};
use httparse::Status;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::net::Ipv6Addr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

const LIMITS: Limits = Limits::DEFAULT;

/// Serves the request that `bytes` begin with as a server would, and checks each
/// step.
///
/// # Panics
///
/// When something does not hold.
pub fn check(bytes: &[u8]) {
    let mut rest = bytes;
    let read = read_head(&mut rest, &LIMITS);
    let size = bytes.len() - rest.len();
    assert!(size as u64 <= LIMITS.max_head, "a head of {size} bytes");
    let head = match read {
        Ok(head) if head.is_empty() => {
            let silence = bytes.iter().all(|byte| b"\r\n".contains(byte));
            return assert!(silence, "a client that spoke was not heard");
        }
        Ok(head) => head,
        Err(error) => return check_refusal(error.into()),
    };
    assert_eq!(head, bytes[..size]);
    assert!(head.ends_with(b"\n\n") || head.ends_with(b"\n\r\n"));

    let parsed = Head::parse(&head, &LIMITS);
    let with_more = Head::parse(bytes, &LIMITS);
    assert_eq!(
        with_more, parsed,
        "what follows the head is taken for a part of it"
    );
    match parsed {
        Ok(parsed) => {
            check_head(&head, &parsed);
            check_fields(&parsed);
            let body = check_body(parsed.framing, rest);
            check_answer(&parsed, rest, body);
        }
        Err(refused) => {
            let mut lines = head.split(|byte| *byte == b'\n');
            let line = lines.find(|line| !matches!(line, [] | [b'\r']));
            let line = line.unwrap_or_default().trim_ascii_start();
            let mut words = line.split(|byte| b" \t\r\x0c".contains(byte));
            assert_eq!(refused.head_only, words.next() == Some(b"HEAD"));
            check_refusal(refused.into());
        }
    }
}

/// Whoever is refused gets one whole answer, which says why; to `HEAD` without
/// the words.
fn check_refusal(error: gateway::Error) {
    let refused = Refused::of(&*error).expect("bytes in memory can be read");
    let refused = *refused;
    let mut output = Vec::new();
    refuse(error, &mut output);
    let (code, body) = whole_answer(&output, refused.head_only);
    assert_eq!(refused.status[..3], code.to_string());
    assert!(refused.head_only || body == format!("{refused}\n").as_bytes());
}

/// httparse takes whatever we take, and reads the same in it. It knows no HTTP/1.2
/// and no target that is not UTF-8.
pub fn check_head(bytes: &[u8], head: &Head) {
    let mut fields = [httparse::EMPTY_HEADER; LIMITS.max_fields];
    let mut theirs = httparse::Request::new(&mut fields);
    match theirs.parse(bytes) {
        Ok(Status::Complete(size)) => assert_eq!(size, bytes.len()),
        Err(httparse::Error::Version) => return,
        Err(_) if std::str::from_utf8(head.target).is_err() => return,
        other => panic!("httparse: {other:?}"),
    }
    assert_eq!(theirs.method, Some(head.method));
    assert_eq!(theirs.path.map(str::as_bytes), Some(head.target));
    let version = theirs.version.map(|minor| format!("HTTP/1.{minor}"));
    assert_eq!(version.as_deref(), Some(head.version));
    let ours = head.fields.iter().copied();
    let theirs = theirs.headers.iter().map(|field| (field.name, field.value));
    assert!(ours.eq(theirs), "{:?}", head.fields);
}

/// What an application finds in `HTTP_HOST` can be taken apart in one way, and a
/// field that has one value has one.
fn check_fields(head: &Head) {
    let environ = head.environ(Box::new(io::empty()));
    let host = environ.text("HTTP_HOST").unwrap_or_default();
    let port = match host.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => port,
        _ => "",
    };
    assert!(port.bytes().all(|byte| byte.is_ascii_digit()), "{host}");
    assert!(port.is_empty() || port.parse::<u16>().is_ok(), "{host}");
    let name = host.strip_suffix(port).unwrap_or_default();
    let name = name.strip_suffix(':').unwrap_or(name);
    assert!(!name.is_empty() || host.is_empty(), "{host}");
    match name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
    {
        Some(address) if address.starts_with(['v', 'V']) => {}
        Some(address) => assert!(address.parse::<Ipv6Addr>().is_ok(), "{host}"),
        None => {
            assert!(
                !name.contains([':', '[', ']', '@', ',', '/', '?', '#', '\\']),
                "{host}"
            );
            let hex = |text: &str| u8::from_str_radix(text, 16).is_ok() && !text.starts_with('+');
            let mut escapes = name.split('%').skip(1);
            assert!(escapes.all(|text| text.get(..2).is_some_and(hex)), "{host}");
        }
    }
    for single in [
        "Host",
        "Content-Length",
        "Content-Type",
        "Authorization",
        "Range",
    ] {
        let named = head
            .fields
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(single));
        assert!(named.count() <= 1, "{single} stands twice");
    }
    let told = head
        .list("Expect")
        .any(|what| what.eq_ignore_ascii_case(b"100-continue"));
    assert_eq!(head.expects_continue(), told && head.version == "HTTP/1.1");
}

/// What reading a body gives: its content or why there is none, whether it says
/// that it has ended, and how many bytes it took.
type BodyRead = (Result<Vec<u8>, Refused>, bool, usize);

fn read_body(framing: Framing, bytes: &[u8], piece: Option<usize>) -> BodyRead {
    let mut rest = bytes;
    let connection: &mut dyn BufRead = match piece {
        Some(size) => &mut BufReader::with_capacity(size, &mut rest),
        None => &mut rest,
    };
    let mut body = RequestBody::new(connection, framing, &LIMITS);
    let ended = body.ended();
    let mut content = Vec::new();
    let read = body.read_to_end(&mut content);
    let content = read.map(|_| content).map_err(|error| {
        let refused = Refused::of(&error).expect("bytes in memory can be read");
        assert_eq!(body.read(&mut [0]).ok(), None, "an error stays");
        *refused
    });
    let ended = ended.load(Ordering::Relaxed);
    (content, ended, bytes.len() - rest.len())
}

/// A body is what its framing says, and its reader leaves alone what is behind
/// it.
fn check_body(framing: Framing, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    let (result, ended, size) = read_body(framing, bytes, None);
    let by_bytes = read_body(framing, bytes, Some(1));
    assert_eq!(
        by_bytes,
        (result.clone(), ended, size),
        "byte by byte is not the same"
    );
    assert_eq!(ended, result.is_ok());

    match (&result, framing) {
        (Ok(content), Framing::Length(length)) => {
            assert_eq!(size as u64, length);
            assert_eq!(content, &bytes[..size]);
        }
        (Ok(content), Framing::Chunked) => assert_eq!(content, &of_chunks(&bytes[..size])),
        (Err(_), Framing::Length(length)) => assert!((bytes.len() as u64) < length),
        (Err(_), Framing::Chunked) => {}
    }
    if let Ok(content) = &result {
        assert!(content.len() as u64 <= LIMITS.max_body);
        for next in [&b""[..], b"GET / HTTP/1.1\r\n\r\n"] {
            let followed = [&bytes[..size], next].concat();
            let read = read_body(framing, &followed, None);
            assert_eq!(
                read,
                (Ok(content.clone()), true, size),
                "what follows matters"
            );
        }
    }
    result
}

/// The content of these chunks, with httparse for their sizes.
pub fn of_chunks(mut bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let zeros = bytes.iter().take_while(|byte| **byte == b'0').count();
        bytes = &bytes[zeros.saturating_sub(1)..]; // httparse takes 16 digits at most
        let Ok(Status::Complete((start, size))) = httparse::parse_chunk_size(bytes) else {
            panic!("httparse finds no chunk");
        };
        if size == 0 {
            let trailers = &bytes[start - 2..]; // from the CRLF before them
            let end = trailers.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            assert_eq!(end, Some(trailers.len() - 4), "the end is somewhere else");
            return content;
        }
        let (chunk, rest) = bytes[start..].split_at(size as usize);
        content.extend_from_slice(chunk);
        bytes = rest.strip_prefix(b"\r\n").expect("CRLF ends a chunk");
    }
}

/// The echo, under the validator, answers once and whole, with what was asked.
fn check_answer(head: &Head, rest: &[u8], body: Result<Vec<u8>, Refused>) {
    let input = RequestBody::new(Cursor::new(rest.to_vec()), head.framing, &LIMITS);
    let mut environ = head.environ(Box::new(input));
    environ.set("SERVER_NAME", "localhost");
    environ.set("SERVER_PORT", "8888");
    environ.set("SERVER_SOFTWARE", "tests");
    environ.set("REMOTE_ADDR", "127.0.0.1");
    let mut echo = Vec::new();
    let mut variables: Vec<(&str, &[u8])> = environ.variables().collect();
    variables.sort();
    for (name, value) in variables {
        echo.extend_from_slice(&[name.as_bytes(), b"=", value, b"\n"].concat());
    }
    echo.push(b'\n');

    let output = Output::default();
    let app = gateway::validator(apps::echoapp::app);
    let outcome = respond(&app, environ, output.clone());
    let output = output
        .0
        .lock()
        .unwrap_or_else(|error| panic!("{error}"))
        .clone();
    let head_only = head.method == "HEAD";
    let (code, text) = whole_answer(&output, head_only);
    assert_eq!(outcome.head, output[..output.len() - text.len()]);
    assert_eq!(outcome.body, text.len() as u64);
    match (body, outcome.error) {
        (Ok(body), None) => {
            assert_eq!(code, 200);
            assert!(
                head_only || text == [&echo[..], &body].concat(),
                "the echo is not true"
            );
        }
        (Err(refused), Some(error)) => {
            let told = Refused::of(&error);
            assert_eq!(told, Some(&refused));
            assert_eq!(code.to_string(), refused.status[..3]);
        }
        (body, error) => panic!("the body: {body:?}; the answer: {error:?}"),
    }
}

/// The status and the body of `output`, which must be one whole answer and no
/// byte more.
fn whole_answer(output: &[u8], head_only: bool) -> (u16, &[u8]) {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let mut answer = httparse::Response::new(&mut fields);
    let Ok(Status::Complete(head)) = answer.parse(output) else {
        panic!("no answer: {:?}", String::from_utf8_lossy(output));
    };
    let value = |name: &str| {
        let mut fields = answer.headers.iter().filter(|field| field.name == name);
        let field = fields.next().unwrap_or_else(|| panic!("{name} is missing"));
        assert!(fields.next().is_none(), "{name} stands twice");
        String::from_utf8_lossy(field.value).into_owned()
    };
    assert_eq!(value("Connection"), "close");
    let body = &output[head..];
    let length = body.len().to_string();
    match head_only {
        true => assert!(body.is_empty(), "HEAD has a body"),
        false => assert_eq!(value("Content-Length"), length),
    }
    (answer.code.expect("a whole answer has a status"), body)
}

/// Where an answer goes.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut output = self.0.lock().unwrap_or_else(|error| panic!("{error}"));
        output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
