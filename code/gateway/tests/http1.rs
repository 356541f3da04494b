//! The machine without input and output: what comes of the bytes, however they come;
//! which connection is kept; what an answer looks like; until when to wait.

use gateway::http::{Limits, Refused};
use gateway::http1::{Answer, Event, Machine, Patience};
use gateway::{headers, refuse};
use std::time::{Duration, Instant};

const LIMITS: Limits = Limits::DEFAULT;
const PATIENCE: Patience = Patience::DEFAULT;

fn machine() -> Machine {
    Machine::new(&LIMITS, &PATIENCE, Instant::now())
}

/// A server with one connection, which notes what the machine says.
struct Server {
    machine: Machine,
    /// What has come and was not used.
    bytes: Vec<u8>,
    /// What was sent.
    sent: Vec<u8>,
    /// What the machine said, in the words of `requests.txt`.
    story: String,
    /// The body of this request so far.
    body: Vec<u8>,
    /// Whether each request is answered when its head is there, or when it is whole.
    early: bool,
    /// How many heads have come.
    heads: usize,
    closed: bool,
    now: Instant,
}

impl Server {
    fn new() -> Server {
        let now = Instant::now();
        Server {
            machine: Machine::new(&LIMITS, &PATIENCE, now),
            bytes: Vec::new(),
            sent: Vec::new(),
            story: String::new(),
            body: Vec::new(),
            early: false,
            heads: 0,
            closed: false,
            now,
        }
    }

    fn receive(&mut self, piece: &[u8]) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.extend_from_slice(piece);
        let mut start = 0;
        loop {
            let (used, event) = self.machine.read(&bytes[start..], self.now);
            let (next, end) = (start + used, bytes.len());
            assert!(next <= end, "{used} bytes used, of {}", end - start);
            start = next;
            match event {
                Event::Head(head) => {
                    self.heads += 1;
                    let version = if head.version == "HTTP/1.0" {
                        " 1.0"
                    } else {
                        ""
                    };
                    let target = head.target.escape_ascii();
                    self.tell(" | ", &format!("{} {target}{version}", head.method));
                    if self.early {
                        self.answer();
                    }
                }
                Event::Body(piece) => {
                    assert!(!piece.is_empty());
                    self.body.extend_from_slice(piece);
                }
                Event::End(fields) => {
                    self.tell_body();
                    self.tell(" ", ".");
                    for (name, value) in fields {
                        self.tell(" ", &format!("{name}={}", value.escape_ascii()));
                    }
                    self.answer();
                }
                Event::Refused(refused) => self.refuse(refused),
                Event::More => break,
                Event::Closed => {
                    assert_eq!(start, bytes.len(), "what comes now is thrown away");
                    self.closed = true;
                    break;
                }
                Event::Paused => panic!("it was answered"),
            }
        }
        let most = LIMITS.max_head.max(LIMITS.max_chunk_line) as usize;
        assert!(
            bytes.len() - start < most,
            "{} bytes are left",
            bytes.len() - start
        );
        bytes.drain(..start);
        self.bytes = bytes;
    }

    fn end(&mut self) {
        match self.machine.eof(&self.bytes, self.now) {
            Event::Closed => {}
            Event::Refused(refused) => {
                self.tell_body();
                let separator = if self.begun() { " " } else { " | " };
                self.tell(separator, "end");
                self.refuse(refused);
            }
            other => panic!("{other:?}"),
        }
        let after = self
            .machine
            .read(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", self.now);
        assert_eq!(after, (27, Event::Closed), "nobody is heard after the end");
    }

    /// Whether the story ends in the middle of a request.
    fn begun(&self) -> bool {
        let last = self.story.rsplit(" | ").next().unwrap_or_default();
        !last.is_empty() && !last.contains(" .")
    }

    fn tell(&mut self, separator: &str, what: &str) {
        if !self.story.is_empty() {
            self.story += separator;
        }
        self.story += what;
    }

    fn tell_body(&mut self) {
        let body = std::mem::take(&mut self.body);
        if !body.is_empty() {
            self.tell(" ", &format!("\"{}\"", body.escape_ascii()));
        }
    }

    fn answer(&mut self) {
        let mut answer = self.machine.answer().expect("a request has an answer");
        assert!(self.machine.answer().is_none(), "and one alone");
        self.sent
            .extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n");
        self.sent
            .extend_from_slice(answer.begin(200, Some(2)).as_bytes());
        self.sent.extend_from_slice(b"\r\n");
        answer.piece(b"ok", &mut self.sent);
        answer.end(&[], &mut self.sent).unwrap();
        if !answer.keeps() {
            self.tell(" ", "close");
        }
        self.machine.answered(answer, self.now);
    }

    /// What comes of a refusal: nothing more is answered.
    fn refuse(&mut self, refused: Refused) {
        self.tell_body();
        let ends = self.story.ends_with("end");
        let separator = if self.begun() || ends { " " } else { " | " };
        self.tell(separator, &format!("!{}", &refused.status[..3]));
        let Some(mut answer) = self.machine.answer() else {
            assert!(self.early, "a refusal has an answer");
            return;
        };
        refuse(refused, &mut self.sent);
        let _ = (answer.begin(400, Some(0)), answer.end(&[], &mut Vec::new()));
        assert!(!answer.keeps());
        self.machine.answered(answer, self.now);
    }
}

/// The story of a connection on which the bytes come in these pieces.
fn story<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut server = Server::new();
    pieces.into_iter().for_each(|piece| server.receive(piece));
    server.end();
    server.story
}

/// Every line of `requests.txt`: the bytes, and what comes of them.
fn corpus() -> Vec<Case> {
    let lines = include_str!("http1/requests.txt").lines();
    let cases = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let cases = cases.map(|line| {
        let (text, story) = line.rsplit_once(" => ").expect(line);
        let story = String::from_utf8(repeated(story, |text| text.into())).unwrap();
        (line, repeated(text, bytes), story)
    });
    cases.collect()
}

/// What this stands for, with {text*times} written out.
fn repeated(text: &str, bytes: fn(&str) -> Vec<u8>) -> Vec<u8> {
    let Some((before, rest)) = text.split_once('{') else {
        return bytes(text);
    };
    let (repeat, rest) = rest.split_once('}').unwrap();
    let (piece, times) = repeat.split_once('*').unwrap();
    let piece = bytes(piece).repeat(times.parse().unwrap());
    [bytes(before), piece, repeated(rest, bytes)].concat()
}

fn bytes(text: &str) -> Vec<u8> {
    let signs = [
        ("¶", "\r\n"),
        ("↵", "\n"),
        ("␍", "\r"),
        ("→", "\t"),
        ("␀", "\0"),
    ];
    let mut text = text.to_string();
    for (sign, stands_for) in signs {
        text = text.replace(sign, stands_for);
    }
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

#[test]
fn what_comes_of_each_request() {
    let corpus = corpus();
    assert!(corpus.len() >= 300, "{} requests", corpus.len());
    let mut wrong = Vec::new();
    for (line, bytes, wanted) in &corpus {
        let story = story([&bytes[..]]);
        if story != *wanted {
            wrong.push(format!("{line}\n  {story}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A short one cut in two at each place, a long one in three at some, and in small pieces.
#[test]
fn however_they_come() {
    let mut dice = Dice(9112);
    let (long, short): (Vec<_>, Vec<_>) = corpus().into_iter().partition(is_long);
    for case in &short {
        in_two_pieces(case, 0..=case.1.len());
        in_pieces_of(case, &[1, 7]);
    }
    for case in &long {
        in_three_pieces(case, 4, &mut dice);
        in_pieces_of(case, &[1000]);
    }
    assert!(short.len() >= 200, "{} short requests", short.len());
}

/// The rest: a long one cut in two near both of its ends, all of them in three pieces
/// and in pieces of each small size.
#[test]
#[ignore = "takes a second: .ci/run fuzz"]
fn cut_anywhere() {
    let mut dice = Dice(9112);
    for case in corpus() {
        let length = case.1.len();
        if is_long(&case) {
            in_two_pieces(&case, (0..60).chain(length - 60..=length));
        }
        in_three_pieces(&case, 100, &mut dice);
        in_pieces_of(&case, &[1, 2, 3, 5, 7, 11, 64, 1000]);
    }
}

/// A line of `requests.txt`, what comes, and the story of that.
type Case = (&'static str, Vec<u8>, String);

fn is_long((_, bytes, _): &Case) -> bool {
    bytes.len() > 2_000
}

fn in_two_pieces((line, bytes, wanted): &Case, places: impl IntoIterator<Item = usize>) {
    for cut in places {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(story([first, second]), *wanted, "{line}\ncut at {cut}");
    }
}

/// As many times, cut in two other places: half of them are near its beginning or its end.
fn in_three_pieces((line, bytes, wanted): &Case, times: usize, dice: &mut Dice) {
    let length = bytes.len();
    for _ in 0..times {
        let mut cuts = [0, 0].map(|_| match dice.below(4) {
            0 => dice.below(length.min(60) + 1),
            1 => length - dice.below(length.min(60) + 1),
            _ => dice.below(length + 1),
        });
        cuts.sort_unstable();
        let [first, second] = cuts;
        let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
        assert_eq!(story(pieces), *wanted, "{line}\ncut at {cuts:?}");
    }
}

/// Numbers that look like chance, and are the same in each run.
struct Dice(u64);

impl Dice {
    /// A number below this one. (Knuth's generator: the upper half of its bits is good.)
    fn below(&mut self, end: usize) -> usize {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

fn in_pieces_of((line, bytes, wanted): &Case, sizes: &[usize]) {
    for size in sizes {
        let story = story(bytes.chunks(*size));
        assert_eq!(story, *wanted, "{line}\nin pieces of {size}");
    }
}

/// Of short ones, each of the ways to cut them.
#[test]
#[ignore = "takes three seconds: .ci/run fuzz"]
fn with_every_set_of_cuts() {
    let short = [
        ("¶G / HTTP/1.0↵↵", "G / 1.0 . close"),
        ("G / HTTP/1.0¶A↵", "end !400"),
        ("␍x /¶¶GET /a", "!400"),
    ];
    for (text, wanted) in short {
        let bytes = bytes(text);
        for cuts in 0..1_u32 << (bytes.len() - 1) {
            let pieces = pieces(&bytes, |place| cuts >> (place - 1) & 1 == 1);
            assert_eq!(story(pieces), wanted, "{text}, {cuts:b}");
        }
    }
    let head = bytes("G / HTTP/1.1¶Host:¶Transfer-Encoding:chunked¶¶");
    for (text, wanted) in [
        ("2¶ab¶0¶¶¶G", "G / \"ab\" . | end !400"),
        ("2;x¶ab¶0¶A:¶¶", "G / \"ab\" . A="),
        ("1¶a¶1¶b␍a¶0¶", "G / \"ab\" !400"),
        ("0¶A:↵¶2¶ab¶0¶", "G / !400"),
    ] {
        let body = bytes(text);
        for cuts in 0..1_u32 << (body.len() - 1) {
            let pieces = pieces(&body, |place| cuts >> (place - 1) & 1 == 1);
            let all = std::iter::once(&head[..]).chain(pieces);
            assert_eq!(story(all), wanted, "{text}, {cuts:b}");
        }
    }
}

/// The pieces between the places that are cut.
fn pieces(bytes: &[u8], cut: impl Fn(usize) -> bool) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for place in 1..bytes.len() {
        if cut(place) {
            pieces.push(&bytes[start..place]);
            start = place;
        }
    }
    pieces.push(&bytes[start..]);
    pieces
}

/// A server that answers before it has read the body passes over it: the next request
/// is the same, and there are no more of them.
#[test]
fn a_body_that_nobody_reads_never_becomes_a_request() {
    for case in corpus() {
        let small = if is_long(&case) { 1000 } else { 1 };
        let (line, bytes, wanted) = case;
        for size in [small, 4 * small, bytes.len().max(1)] {
            let mut server = Server::new();
            server.early = true;
            bytes.chunks(size).for_each(|piece| server.receive(piece));
            server.machine.eof(&server.bytes, server.now);
            let requests = |story: &str| -> Vec<String> {
                let heads = story.split(" | ").map(|request| {
                    let words = request.split(' ').take(2);
                    words.collect::<Vec<_>>().join(" ")
                });
                heads
                    .filter(|head| !head.contains('!') && !head.is_empty())
                    .collect()
            };
            // Of a client that waits to send its body, nobody knows whether it comes.
            let expects = line.contains("100-continue");
            if !expects {
                assert_eq!(requests(&server.story), requests(&wanted), "{line}");
            }
            let answers = server.sent.windows(9).filter(|bytes| bytes == b"HTTP/1.1 ");
            assert!(
                answers.count() <= server.heads + 1,
                "{line}: {}",
                server.story
            );
        }
    }
}

/// Whoever sends many requests at once gets their answers in their order.
#[test]
fn pipelines_of_one_to_fifty() {
    for length in 1..=50 {
        let mut bytes = Vec::new();
        let mut wanted = Vec::new();
        for number in 0..length {
            match number % 3 {
                0 => {
                    bytes.extend(format!("GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n").bytes());
                    wanted.push(format!("GET /{number} ."));
                }
                1 => {
                    let head = format!("POST /{number} HTTP/1.1\r\nHost: x\r\n");
                    bytes.extend(format!("{head}Content-Length: 4\r\n\r\nGET ").bytes());
                    wanted.push(format!("POST /{number} \"GET \" ."));
                }
                _ => {
                    let head = format!("PUT /{number} HTTP/1.1\r\nHost: x\r\n");
                    let body = "Transfer-Encoding: chunked\r\n\r\n2\r\nGE\r\n1\r\nT\r\n0\r\n\r\n";
                    bytes.extend(format!("{head}{body}").bytes());
                    wanted.push(format!("PUT /{number} \"GET\" ."));
                }
            }
        }
        let wanted = wanted.join(" | ");
        for size in [1, 17, 1000, bytes.len()] {
            assert_eq!(story(bytes.chunks(size)), wanted, "in pieces of {size}");
        }
    }
}

/// What comes behind a malformed request is not read, wherever on the connection it
/// stands, and whatever it is.
#[test]
fn a_malformed_request_is_never_followed_by_a_second_answer() {
    let good = b"GET /good HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut tried = 0;
    for (line, bad, story_of_bad) in corpus() {
        // What is whole without more of it: `end` needs the end.
        if !story_of_bad.contains('!') || story_of_bad.contains("end") || bad.len() > 2_000 {
            continue;
        }
        tried += 1;
        for before in [0, 1, 3] {
            let bytes = [&good.repeat(before)[..], &bad, &good.repeat(3)].concat();
            let wanted = ["GET /good . | ".repeat(before), story_of_bad.clone()].concat();
            for size in [1, 13, bytes.len()] {
                let mut server = Server::new();
                bytes.chunks(size).for_each(|piece| server.receive(piece));
                assert!(server.closed, "{line}");
                server.end();
                assert_eq!(server.story, wanted, "{line}");
                let answers = String::from_utf8(server.sent).unwrap();
                let wanted = answers.matches("HTTP/1.1 200 OK\r\n").count() + 1;
                assert_eq!(answers.matches("HTTP/1.1 ").count(), wanted, "{line}");
                let last = answers.rsplit("HTTP/1.1 ").next().unwrap();
                assert!(last.contains("\r\nConnection: close\r\n"), "{line}: {last}");
            }
        }
    }
    assert!(tried >= 100, "{tried}");
}

/// Each byte of a head is looked at when it comes, and not again for each byte after it.
/// So whatever stands there by then makes no difference.
#[test]
fn the_search_goes_on_where_it_ended() {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "a".repeat(16_000)
    );
    let mut machine = machine();
    let now = Instant::now();
    for length in 1..head.len() {
        let mut bytes = vec![b'\n'; length - 1]; // empty lines, one behind the other
        bytes.push(head.as_bytes()[length - 1]);
        if length == 1 {
            bytes[0] = b'G';
        }
        // The line that is being read is needed whole, to see whether it is empty.
        let line = head[..length].rfind('\n').map_or(0, |place| place + 1);
        if length - line < 3 {
            bytes[line..].copy_from_slice(&head.as_bytes()[line..length]);
        }
        assert_eq!(machine.read(&bytes, now), (0, Event::More), "at {length}");
    }
    let (used, event) = machine.read(head.as_bytes(), now);
    assert_eq!(used, head.len());
    assert!(matches!(event, Event::Head(_)), "{event:?}");
}

/// The length of a body is counted for each request, chunk by chunk.
#[test]
fn each_body_has_its_own_limit() {
    let limits = Limits {
        max_body: 3,
        ..LIMITS
    };
    for (chunks, bodies) in [
        ("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 3),
        ("2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", 0),
        ("4\r\nabcd\r\n0\r\n\r\n", 0),
    ] {
        let mut server = Server::new();
        server.machine = Machine::new(&limits, &PATIENCE, server.now);
        let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        server.receive([head, chunks].concat().repeat(3).as_bytes());
        assert_eq!(
            server.story.matches("\"abc\" .").count(),
            bodies,
            "{}",
            server.story
        );
        assert_eq!(
            server.story.contains("!413"),
            bodies == 0,
            "{}",
            server.story
        );
    }
}

// Between a request and its answer.

/// The machine behind this head, and the answer to it.
fn asked(request: &str) -> (Machine, Answer) {
    let mut machine = machine();
    let now = Instant::now();
    let (used, event) = machine.read(request.as_bytes(), now);
    assert_eq!(used, request.len());
    assert!(matches!(event, Event::Head(_)), "{event:?}");
    let (_, event) = machine.read(b"", now);
    assert_eq!(event, Event::End(Vec::new()));
    let answer = machine.answer().unwrap();
    (machine, answer)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn the_next_request_waits_for_the_answer() {
    let (mut machine, mut answer) = asked(GET);
    let now = Instant::now();
    assert_eq!(machine.read(GET.as_bytes(), now), (0, Event::Paused));
    assert_eq!(machine.eof(GET.as_bytes(), now), Event::Paused);
    assert!(answer.begin(200, Some(0)).is_empty());
    answer.end(&[], &mut Vec::new()).unwrap();
    machine.answered(answer, now);
    let (used, event) = machine.read(GET.as_bytes(), now);
    assert!(matches!(event, Event::Head(_)), "{event:?}");
    assert_eq!(used, GET.len());
}

/// An answer that broke off cannot be told from one that is whole, unless nothing
/// follows it.
#[test]
fn nothing_follows_half_an_answer() {
    let halves: [fn(&mut Answer); 6] = [
        |_| {},
        |answer| answer.end(&[], &mut Vec::new()).unwrap(),
        |answer| {
            answer.begin(200, Some(0));
        },
        |answer| {
            answer.begin(200, None);
            answer.piece(b"half", &mut Vec::new());
        },
        |answer| {
            answer.begin(200, Some(5));
            answer.piece(b"half", &mut Vec::new());
            answer.end(&[], &mut Vec::new()).unwrap();
        },
        |answer| {
            answer.begin(200, None);
            let injected = [("X".to_string(), b"a\r\nb".to_vec())];
            let mut out = Vec::new();
            answer.end(&injected, &mut out).unwrap_err();
            assert_eq!(out, b"");
        },
    ];
    for half in halves {
        let (mut machine, mut answer) = asked(GET);
        half(&mut answer);
        assert!(!answer.keeps());
        machine.answered(answer, Instant::now());
        let after = machine.read(GET.as_bytes(), Instant::now());
        assert_eq!(after, (GET.len(), Event::Closed));
    }
}

#[test]
fn a_client_that_waits_is_told_once() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let now = Instant::now();
    let begin = || {
        let mut machine = machine();
        let (_, event) = machine.read(head.as_bytes(), now);
        assert!(matches!(event, Event::Head(_)));
        assert_eq!(machine.read(b"", now).1, Event::More);
        machine
    };
    let mut told = begin();
    assert_eq!(told.go_on(now), b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(told.go_on(now), b"");
    assert!(told.answer().unwrap().begin(200, Some(0)).is_empty());

    let mut sent_anyway = begin();
    assert_eq!(sent_anyway.read(b"a", now), (1, Event::Body(b"a")));
    assert_eq!(sent_anyway.go_on(now), b"");
    assert!(sent_anyway.answer().unwrap().begin(200, Some(0)).is_empty());

    // Whether its body comes, nobody knows.
    let mut never_told = begin();
    let mut answer = never_told.answer().unwrap();
    assert_eq!(answer.begin(200, Some(0)), "Connection: close\r\n");
    answer.end(&[], &mut Vec::new()).unwrap();
    never_told.answered(answer, now);
    assert_eq!(never_told.read(GET.as_bytes(), now).1, Event::Closed);

    for (version, length) in [("1.0", 2), ("1.1", 0)] {
        let head = head.replace("HTTP/1.1", &format!("HTTP/{version}"));
        let head = head.replace("Length: 2", &format!("Length: {length}"));
        let mut machine = machine();
        machine.read(head.as_bytes(), now);
        assert_eq!(machine.go_on(now), b"", "{head}");
    }
}

/// Until then it is the server that is waited for, and its body has its time from then on.
#[test]
fn a_client_that_waits_is_not_late() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let start = Instant::now();
    let mut machine = Machine::new(&LIMITS, &PATIENCE, start);
    machine.read(head.as_bytes(), start);
    let later = start + SECOND * 3600;
    assert_eq!(machine.deadline(), None);
    assert_eq!(machine.late(b"", later), Event::More);
    machine.go_on(later);
    assert_eq!(left(&machine, later), Some(30));
    // So has what the server did not read, because it could not take it.
    let much_later = later + SECOND * 3600;
    machine.resume(much_later);
    assert_eq!(machine.late(b"", much_later), Event::More);
    assert_eq!(left(&machine, much_later), Some(30));
    // What breaks off is not waited for.
    let event = machine.eof(b"", much_later);
    assert!(matches!(event, Event::Refused(_)), "{event:?}");
}

/// The refusal of a body goes to the application that reads it. It has one answer too.
#[test]
fn a_body_is_refused_while_it_is_answered() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let now = Instant::now();
    for begun in [false, true] {
        let mut machine = machine();
        machine.read(head.as_bytes(), now);
        let mut answer = machine.answer().unwrap();
        if begun {
            answer.begin(200, None);
        }
        let (used, event) = machine.read(b"x\r\nGET / HTTP/1.1\r\n\r\n", now);
        assert_eq!(used, 21);
        assert!(matches!(event, Event::Refused(_)), "{event:?}");
        assert!(machine.answer().is_none());
        assert_eq!(machine.deadline(), None, "there is an answer to come");
        assert_eq!(machine.late(b"", now + SECOND * 3600), Event::More);
        // Nobody may close this connection yet.
        assert_eq!(machine.read(b"more", now), (4, Event::Paused));
        assert_eq!(machine.eof(b"", now), Event::Paused);
        answer.end(&[], &mut Vec::new()).unwrap();
        machine.answered(answer, now);
        assert_eq!(machine.read(GET.as_bytes(), now).1, Event::Closed);
    }
    // And of what nobody reads any more, nobody is told.
    let mut machine = machine();
    machine.read(head.as_bytes(), now);
    let mut answer = machine.answer().unwrap();
    answer.begin(200, Some(0));
    answer.end(&[], &mut Vec::new()).unwrap();
    machine.answered(answer, now);
    assert_eq!(machine.read(b"1\r\na\r\nx\r\n", now), (9, Event::Closed));
}

/// So does what refuses the body of a `HEAD`: its answer has no text.
#[test]
fn a_refusal_knows_the_method_of_its_request() {
    let now = Instant::now();
    for (method, head_only) in [("HEAD", true), ("POST", false)] {
        let chunked = "HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut machine = machine();
        machine.read(format!("{method} / {chunked}").as_bytes(), now);
        let (_, event) = machine.read(b"x\r\n", now);
        let Event::Refused(refused) = event else {
            panic!("{event:?}");
        };
        assert_eq!(refused.head_only, head_only, "{method}");
    }
}

/// The thread that made the answer has panicked, say, and the answer is lost.
#[test]
fn an_answer_that_is_lost_ends_the_conversation() {
    let (mut machine, answer) = asked(GET);
    drop(answer);
    let now = Instant::now();
    assert_eq!(machine.close(now), Event::Closed);
    assert_eq!(left(&machine, now), Some(2), "it lingers");
    let after = machine.read(GET.as_bytes(), now);
    assert_eq!(after, (GET.len(), Event::Closed));
    assert_eq!(machine.eof(b"", now), Event::Closed);
    assert!(machine.answer().is_none());
}

/// At once where nothing comes any more, or where it comes too late to cost the answer.
#[test]
fn a_reset_costs_no_answer() {
    let last = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let now = Instant::now();
    // What was sent before, what waits, what comes behind the request, whether all has come.
    for (sent, waiting, behind, eof, at_once) in [
        (0, 100, "", false, true),
        (0, 14_600, "", false, true),
        (0, 14_601, "", false, false),
        (10_000, 4_600, "", false, true),
        (10_000, 4_601, "", false, false),
        (0, 100, GET, false, false),
        (0, 1_000_000, "", true, true),
        (0, 100, GET, true, true),
    ] {
        let (mut machine, mut answer) = asked(last);
        machine.sent(sent, waiting, now);
        answer.begin(200, Some(0));
        answer.end(&[], &mut Vec::new()).unwrap();
        machine.answered(answer, now);
        let after = machine.read(behind.as_bytes(), now);
        assert_eq!(after, (behind.len(), Event::Closed));
        if eof {
            assert_eq!(machine.eof(b"", now), Event::Closed);
        }
        assert_eq!(
            machine.at_once(waiting),
            at_once,
            "{sent}, {waiting}, {behind}"
        );
    }
    // Who has not said so may send more.
    let (mut machine, answer) = asked(GET);
    drop(answer);
    machine.close(now);
    assert!(!machine.at_once(100));
}

#[test]
fn a_server_that_stops_says_so_in_its_last_answer() {
    let now = Instant::now();
    let mut idle = machine();
    idle.stop();
    assert_eq!(idle.read(GET.as_bytes(), now), (GET.len(), Event::Closed));
    assert_eq!(left(&idle, now), Some(2), "it lingers");

    // A part of a head, or of a body: the request has begun.
    let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
    for cut in 1..=request.len() {
        let (first, second) = request.split_at(cut);
        let mut server = Server::new();
        server.receive(&first.as_bytes()[..cut.min(request.len() - 1)]);
        server.machine.stop();
        server.receive(&request.as_bytes()[request.len() - 1..][..usize::from(second.is_empty())]);
        server.receive(second.as_bytes());
        server.receive(GET.as_bytes());
        assert_eq!(server.story, "POST / \"ab\" . close", "at {cut}");
        assert!(server.closed);
    }

    // The answer has begun, and has not said so: the connection ends behind it.
    let (mut machine, mut answer) = asked(GET);
    answer.begin(200, Some(0));
    machine.stop();
    answer.end(&[], &mut Vec::new()).unwrap();
    machine.answered(answer, now);
    assert_eq!(machine.read(GET.as_bytes(), now).1, Event::Closed);
}

// Answers.

/// What an answer adds to its head, and what becomes of a body of these pieces; then
/// whether the connection is kept.
fn answer(
    request: &str,
    code: u16,
    length: Option<u64>,
    pieces: &[&str],
) -> (&'static str, String, bool) {
    let (_, mut answer) = asked(request);
    let fields = answer.begin(code, length);
    let mut body = Vec::new();
    for piece in pieces {
        answer.piece(piece.as_bytes(), &mut body);
    }
    answer.end(&[], &mut body).unwrap();
    (fields, String::from_utf8(body).unwrap(), answer.keeps())
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
const CLOSE: &str = "Connection: close\r\n";
const KEEP: &str = "Connection: keep-alive\r\n";

#[test]
fn the_form_of_an_answer() {
    let last = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let head = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n";
    let old = "GET / HTTP/1.0\r\n\r\n";
    let kept = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let old_head = "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let both = format!("{CHUNKED}{CLOSE}");
    let chunks = "2\r\nab\r\nc\r\n0123456789ab\r\n0\r\n\r\n";
    for (request, code, length, fields, body, keeps) in [
        (GET, 200, Some(14), "", "ab0123456789ab", true),
        (GET, 200, None, CHUNKED, chunks, true),
        (GET, 404, Some(14), "", "ab0123456789ab", true),
        (GET, 200, Some(3), "", "ab0", true), // no more than was promised
        (GET, 200, Some(15), "", "ab0123456789ab", false), // and less is half of it
        (GET, 200, Some(0), "", "", true),
        (GET, 204, None, "", "", true),
        (GET, 100, None, CLOSE, "", false), // the client waits for another
        (GET, 103, Some(0), CLOSE, "", false),
        (GET, 204, Some(14), "", "", true),
        (GET, 304, None, "", "", true),
        (GET, 304, Some(14), "", "", true),
        (GET, 205, Some(0), "", "", true),
        (last, 200, Some(14), CLOSE, "ab0123456789ab", false),
        (last, 200, None, &both, chunks, false),
        (last, 304, None, CLOSE, "", false),
        (head, 200, Some(14), "", "", true),
        (head, 200, None, "", "", true),
        (old, 200, Some(14), CLOSE, "ab0123456789ab", false),
        (old, 200, None, CLOSE, "ab0123456789ab", false),
        (old, 204, None, CLOSE, "", false),
        (kept, 200, Some(14), KEEP, "ab0123456789ab", true),
        (kept, 200, None, CLOSE, "ab0123456789ab", false), // its end is the end
        (kept, 204, None, KEEP, "", true),
        (old_head, 200, None, KEEP, "", true),
    ] {
        let pieces = ["ab", "", "0123456789ab"];
        let wanted = (fields.to_string(), body.to_string(), keeps);
        let (fields, body, keeps) = answer(request, code, length, &pieces);
        let came = (fields.to_string(), body, keeps);
        assert_eq!(came, wanted, "{request:?} {code} {length:?}");
    }
}

#[test]
fn fields_behind_the_last_chunk() {
    let (_, mut answer) = asked(GET);
    answer.begin(200, None);
    let mut out = Vec::new();
    answer.piece(b"ab", &mut out);
    answer.end(&headers([("X-Sum", "195")]), &mut out).unwrap();
    assert_eq!(out, b"2\r\nab\r\n0\r\nX-Sum: 195\r\n\r\n");
    assert!(answer.keeps());
    answer.piece(b"more", &mut out);
    assert!(
        out.ends_with(b"195\r\n\r\n"),
        "nothing comes behind the end"
    );

    // What frames an answer cannot stand there.
    for field in [
        ("Content-Length", "5"),
        ("transfer-encoding", "chunked"),
        ("Connection", "close"),
    ] {
        let (_, mut answer) = asked(GET);
        answer.begin(200, None);
        let mut out = Vec::new();
        answer.end(&headers([field]), &mut out).unwrap_err();
        assert_eq!((out, answer.keeps()), (Vec::new(), false), "{field:?}");
    }

    // A body with a length has no place for them.
    let (_, mut answer) = asked(GET);
    answer.begin(200, Some(2));
    let mut out = Vec::new();
    answer.piece(b"ab", &mut out);
    answer.end(&headers([("X-Sum", "195")]), &mut out).unwrap();
    assert_eq!(out, b"ab");
}

#[test]
fn an_interim_answer_stands_before_the_head() {
    let hints = headers([("Link", "</a.css>; rel=preload")]);
    let wanted = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
    for (request, begun, wanted) in [
        (GET, false, wanted),
        (GET, true, ""),
        ("GET / HTTP/1.0\r\n\r\n", false, ""),
    ] {
        let (_, mut answer) = asked(request);
        if begun {
            answer.begin(200, None);
        }
        let mut out = Vec::new();
        answer.interim("103 Early Hints", &hints, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
        let injected = [("X".to_string(), b"a\r\n\r\n".to_vec())];
        for (status, fields) in [
            ("103 Early Hints", &injected[..]),
            ("103 Early Hints", &headers([("Content-Length", "5")])),
            ("103 Early\r\nX: y", &[]),
            ("101 Switching Protocols", &[]), // which this server does not do
            ("200 OK", &[]),
            ("103", &[]),
        ] {
            let mut out = Vec::new();
            answer.interim(status, fields, &mut out).unwrap_err();
            assert_eq!(out, b"", "{status:?}");
        }
    }
}

/// What `writev` sends is what `piece` writes.
#[test]
fn a_large_piece_is_sent_from_where_it_is() {
    for length in [None, Some(70_000), Some(70)] {
        let piece = vec![b'a'; 70_000];
        let (mut once, mut parts) = (Vec::new(), Vec::new());
        let (_, mut answer) = asked(GET);
        answer.begin(200, length);
        answer.piece(&piece, &mut once);
        let (_, mut answer) = asked(GET);
        answer.begin(200, length);
        let size = answer.before(piece.len(), &mut parts);
        parts.extend_from_slice(&piece[..size]);
        parts.extend_from_slice(answer.after());
        assert_eq!(once, parts);
    }
}

// Deadlines, by a clock that the test holds.

const SECOND: Duration = Duration::from_secs(1);

fn left(machine: &Machine, now: Instant) -> Option<u64> {
    let deadline = machine.deadline()?;
    Some(deadline.saturating_duration_since(now).as_secs())
}

#[test]
fn the_deadline_of_a_head_is_not_moved_by_its_bytes() {
    let start = Instant::now();
    let mut machine = Machine::new(&LIMITS, &PATIENCE, start);
    for second in 0..30 {
        let now = start + SECOND * second;
        assert_eq!(left(&machine, now), Some(30 - u64::from(second)));
        assert_eq!(
            machine.late(&GET.as_bytes()[..second as usize], now),
            Event::More
        );
        let bytes = &GET.as_bytes()[..second as usize + 1];
        if bytes.len() < GET.len() {
            assert_eq!(machine.read(bytes, now), (0, Event::More));
        } else {
            break;
        }
    }
    let now = start + SECOND * 30;
    let bytes = &GET.as_bytes()[..GET.len() - 1];
    let mut late = Machine::new(&LIMITS, &PATIENCE, start);
    late.read(bytes, start + SECOND * 29);
    let Event::Refused(refused) = late.late(bytes, now) else {
        panic!("it is late");
    };
    assert_eq!(refused.status, "408 Request Timeout");
    let mut answer = late.answer().expect("it is told so");
    assert_eq!(answer.begin(408, Some(0)), CLOSE);
    answer.end(&[], &mut Vec::new()).unwrap();
    late.answered(answer, now);
    assert_eq!(left(&late, now), Some(2), "then it lingers");
    assert_eq!(late.late(b"", now + SECOND * 2), Event::Closed);
}

/// Browsers open connections and say nothing: there is nothing to answer.
#[test]
fn a_silent_client_is_not_answered() {
    let start = Instant::now();
    for said in ["", "\r\n", "\n\r"] {
        let mut machine = Machine::new(&LIMITS, &PATIENCE, start);
        machine.read(said.as_bytes(), start);
        assert_eq!(machine.late(b"", start + SECOND * 30), Event::Closed);
        assert!(machine.answer().is_none());
    }
}

#[test]
fn between_two_requests() {
    let (mut machine, mut answer) = asked(GET);
    assert_eq!(machine.deadline(), None, "the client waits for us");
    answer.begin(200, Some(0));
    answer.end(&[], &mut Vec::new()).unwrap();
    let start = Instant::now() + SECOND * 100;
    machine.answered(answer, start);
    assert_eq!(left(&machine, start), Some(75));
    machine.read(b"\r\n", start + SECOND);
    assert_eq!(left(&machine, start), Some(75), "an empty line is nothing");
    // Its first byte begins the time for the next head.
    machine.read(b"G", start + SECOND * 70);
    machine.read(b"GE", start + SECOND * 75);
    assert_eq!(left(&machine, start), Some(100));
    assert!(matches!(
        machine.late(b"GE", start + SECOND * 100),
        Event::Refused(_)
    ));
}

/// 64 KiB of it earn the time again, and bytes that drip do not.
#[test]
fn a_body_that_drips_is_cut() {
    let start = Instant::now();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    let begin = || {
        let mut machine = Machine::new(&LIMITS, &PATIENCE, start);
        machine.read(head.as_bytes(), start + SECOND);
        machine
    };
    let mut drips = begin();
    for second in 2..31 {
        drips.read(b"a", start + SECOND * second);
        assert_eq!(left(&drips, start), Some(31));
    }
    let late = drips.late(b"", start + SECOND * 31);
    assert!(matches!(late, Event::Refused(_)), "{late:?}");
    assert!(drips.answer().is_some());

    let mut comes = begin();
    for second in 2..12 {
        comes.read(&[b'a'; 64 << 10], start + SECOND * second);
        assert_eq!(left(&comes, start), Some(30 + u64::from(second)));
    }
}

#[test]
fn an_answer_that_nobody_reads_is_cut() {
    let start = Instant::now();
    let (mut machine, mut answer) = asked(GET);
    answer.begin(200, Some(0));
    machine.sent(100, 0, start);
    assert_eq!(machine.deadline(), None, "it went at once");
    machine.sent(1000, 500_000, start);
    assert_eq!(left(&machine, start), Some(30));
    for second in 1..30 {
        machine.sent(1, 499_999, start + SECOND * second);
        assert_eq!(left(&machine, start), Some(30));
    }
    let mut reads = machine;
    assert_eq!(reads.late(b"", start + SECOND * 29), Event::More);
    reads.sent(64 << 10, 400_000, start + SECOND * 29);
    assert_eq!(left(&reads, start), Some(59));
    answer.end(&[], &mut Vec::new()).unwrap();
    reads.answered(answer, start + SECOND * 30);
    assert_eq!(left(&reads, start), Some(59), "what waits is older");
    reads.sent(400_000, 0, start + SECOND * 40);
    assert_eq!(
        left(&reads, start),
        Some(40 + 75),
        "and now the client may think"
    );

    let (mut stuck, _) = asked(GET);
    stuck.sent(0, 1, start);
    assert_eq!(stuck.late(b"", start + SECOND * 30), Event::Closed);
    assert!(stuck.answer().is_none());
}

/// A time that no clock can count is no deadline.
#[test]
fn patience_without_end() {
    let patience = Patience {
        head_timeout: Duration::MAX,
        ..PATIENCE
    };
    let machine = Machine::new(&LIMITS, &patience, Instant::now());
    assert_eq!(machine.deadline(), None);
}

/// What a silent client costs.
#[test]
fn a_machine_is_small() {
    let size = size_of::<Machine>();
    assert!(size <= 320, "{size} bytes");
}

/// The answer may be made by another thread.
#[test]
fn an_answer_may_travel() {
    fn travels<T: Send + 'static>() {}
    travels::<Answer>();
    travels::<Machine>();
}
