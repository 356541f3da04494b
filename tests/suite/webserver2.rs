//! What Part 2 says of `webserver2`, under its applications.

use std::net::TcpListener;
use std::time::{Duration, Instant};
use tests::client::{get, End};
use tests::programs;
use tests::server::{run_to_end, Server};

// The answers.

/// A whole answer, and nothing behind it.
#[derive(Debug)]
struct Answer {
    status: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// The only answer in what came over a connection that was closed.
    fn of((bytes, end): (Vec<u8>, End)) -> Answer {
        assert_eq!(end, End::Closed);
        let head = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let text = String::from_utf8_lossy(&bytes);
        let head = head.unwrap_or_else(|| panic!("no answer: {text:?}"));
        let body = bytes[head + 4..].to_vec();
        let head = std::str::from_utf8(&bytes[..head]).expect("our heads are text");
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default().strip_prefix("HTTP/1.1 ");
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(": ").expect("a field has a colon");
            (name.to_ascii_lowercase(), value.to_string())
        });
        Answer {
            status: status.expect("we speak HTTP/1.1").to_string(),
            fields: fields.collect(),
            body,
        }
        .checked()
    }

    /// Every answer has a date, says that it is the last, and is as long as it
    /// says, if it says so.
    fn checked(self) -> Answer {
        assert!(self.field("date").is_some(), "{self:?}");
        assert_eq!(self.field("connection"), Some("close"));
        if let (Some(length), false) = (self.field("content-length"), self.body.is_empty()) {
            assert_eq!(length, self.body.len().to_string());
        }
        self
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut named = self.fields.iter().filter(|(field, _)| field == name);
        let value = named.next().map(|(_, value)| value.as_str());
        assert!(named.next().is_none(), "{name} stands twice");
        value
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn ask(server: &Server, request: impl AsRef<[u8]>) -> Answer {
    Answer::of(server.connect().exchange(request.as_ref()))
}

/// That the server has survived what came before, and how.
fn serves(server: &mut Server) {
    let answer = ask(server, get("/"));
    assert_eq!(answer.status, "200 OK");
    assert!(server.is_running());
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
}

/// What the server has printed of errors, when it is so many lines.
fn lines(server: &Server, number: usize) -> Vec<String> {
    let errors = tests::wait_for(&format!("{number} lines of errors"), || {
        let errors = server.errors();
        (errors.matches('\n').count() >= number).then_some(errors)
    });
    let lines: Vec<String> = errors.lines().map(str::to_string).collect();
    assert_eq!(lines.len(), number, "{errors}");
    lines
}

// The table of requests, for every application.

/// What an application makes of a request.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Always the same greeting.
    Greeting,
    /// The environ, a line for each variable, an empty line, the body.
    Echo,
    /// `/hello/{name}` greets, a POST to `/echo` comes back, and the rest is not
    /// there.
    Routes(Framework),
}

/// What a framework decides for itself.
#[derive(Clone, Copy, PartialEq)]
struct Framework {
    /// How it answers another method than the route's.
    other_method: &'static str,
    /// What it says in `Server`; if nothing, the server does.
    names_itself: Option<&'static str>,
}

const HELLO: &str = "Hello world from a simple WSGI application!\n";

/// Every application that answers the table, each checked.
const APPLICATIONS: [(&str, Kind); 5] = [
    ("validator:wsgiapp:app", Kind::Greeting),
    ("validator:echoapp:app", Kind::Echo),
    ("validator:accesslog:validator:wsgiapp:app", Kind::Greeting),
    ("validator:accesslog:validator:echoapp:app", Kind::Echo),
    ("validator:axumapp:app", Kind::Routes(AXUM)),
];

const AXUM: Framework = Framework {
    other_method: "405 Method Not Allowed",
    names_itself: None,
};

/// Those of the frameworks that come in only when they are asked for.
#[cfg(feature = "frameworks")]
const FRAMEWORKS: [(&str, Framework); 3] = [
    ("actixapp", NO_ROUTE),
    (
        "rocketapp",
        Framework {
            names_itself: Some("Rocket"),
            ..NO_ROUTE
        },
    ),
    ("cotapp", AXUM),
];

/// To these, a route of another method is no route.
#[cfg(feature = "frameworks")]
const NO_ROUTE: Framework = Framework {
    other_method: "404 Not Found",
    names_itself: None,
};

/// The server of each application, as it is started.
fn applications() -> Vec<(String, Kind)> {
    let own = APPLICATIONS.map(|(name, kind)| (format!("webserver2 {name}"), kind));
    #[allow(unused_mut)]
    let mut all = own.to_vec();
    #[cfg(feature = "frameworks")]
    all.extend(FRAMEWORKS.map(|(name, framework)| {
        let server = tests::programs::with_frameworks();
        (
            format!("{server} validator:{name}:app"),
            Kind::Routes(framework),
        )
    }));
    all
}

/// A request, and what an application should see of it.
struct Request {
    method: &'static str,
    target: &'static str,
    version: &'static str,
    fields: &'static [&'static str],
    /// The body, in chunks of so many bytes; none: with a length, where it is
    /// not empty.
    body: Vec<u8>,
    chunk: Option<usize>,
    /// What is in the environ.
    environ: &'static [(&'static str, &'static str)],
}

/// One without a body; `POST` goes where frameworks send it back.
fn request(method: &'static str) -> Request {
    Request {
        method,
        target: if method == "POST" { "/echo" } else { "/" },
        version: "HTTP/1.1",
        fields: &["Host: localhost"],
        body: Vec::new(),
        chunk: None,
        environ: &[],
    }
}

fn table() -> Vec<Request> {
    let megabyte: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let binary: Vec<u8> = (0..=255).chain(*b"\r\n\r\n\0\n\n").collect();
    vec![
        Request {
            environ: &[
                ("REQUEST_METHOD", "GET"),
                ("PATH_INFO", "/"),
                ("QUERY_STRING", ""),
                ("REMOTE_ADDR", "127.0.0.1"),
                ("SERVER_NAME", "127.0.0.1"),
                ("SERVER_SOFTWARE", "webserver2"),
            ],
            ..request("GET")
        },
        Request { ..request("HEAD") },
        Request {
            target: "/hello/World?a=b",
            ..request("HEAD")
        },
        Request {
            target: "/hello/World",
            environ: &[("PATH_INFO", "/hello/World")],
            ..request("GET")
        },
        Request {
            target: "/?a=b&c=%20",
            environ: &[("PATH_INFO", "/"), ("QUERY_STRING", "a=b&c=%20")],
            ..request("GET")
        },
        Request {
            target: "/hello/J%C3%BCrgen%20%3F?%41",
            environ: &[("PATH_INFO", "/hello/Jürgen ?"), ("QUERY_STRING", "%41")],
            ..request("GET")
        },
        Request {
            target: "/nothing%2Fhere",
            environ: &[("PATH_INFO", "/nothing/here")],
            ..request("GET")
        },
        Request {
            target: "http://localhost/hello/World",
            environ: &[("PATH_INFO", "/hello/World"), ("HTTP_HOST", "localhost")],
            ..request("GET")
        },
        Request {
            target: "/nothing/here",
            environ: &[("PATH_INFO", "/nothing/here")],
            ..request("GET")
        },
        Request {
            target: "*",
            environ: &[("PATH_INFO", "")],
            ..request("OPTIONS")
        },
        Request {
            target: "/nothing",
            environ: &[("REQUEST_METHOD", "DELETE")],
            ..request("DELETE")
        },
        Request {
            version: "HTTP/1.0",
            fields: &[],
            environ: &[("SERVER_PROTOCOL", "HTTP/1.0")],
            ..request("GET")
        },
        Request {
            fields: &[
                "Host: localhost",
                "Accept: a",
                "accept: b",
                "Cookie: a=1",
                "Cookie: b=2",
                "X_User: root",
            ],
            environ: &[
                ("HTTP_ACCEPT", "a, b"),
                ("HTTP_COOKIE", "a=1; b=2"),
                ("HTTP_X_USER", ""),
            ],
            ..request("GET")
        },
        Request {
            fields: &["Host: localhost", "Content-Type: text/plain"],
            body: b"12345".to_vec(),
            environ: &[
                ("CONTENT_TYPE", "text/plain"),
                ("CONTENT_LENGTH", "5"),
                ("HTTP_CONTENT_TYPE", ""),
            ],
            ..request("POST")
        },
        Request {
            fields: &["Host: localhost", "Content-Length: 0"],
            environ: &[("CONTENT_LENGTH", "0")],
            ..request("POST")
        },
        request("POST"), // no length and no chunks: no body
        Request {
            chunk: Some(8),
            ..request("POST")
        },
        Request {
            body: b"12345".to_vec(),
            chunk: Some(2),
            environ: &[("CONTENT_LENGTH", ""), ("HTTP_TRANSFER_ENCODING", "")],
            ..request("POST")
        },
        Request {
            body: binary.clone(),
            ..request("POST")
        },
        Request {
            body: binary,
            chunk: Some(3),
            ..request("POST")
        },
        Request {
            body: megabyte.clone(),
            ..request("POST")
        },
        Request {
            body: megabyte.clone(),
            chunk: Some(10_000),
            ..request("POST")
        },
        Request {
            target: "/echo",
            body: megabyte,
            chunk: Some(1_000_000),
            ..request("PUT")
        },
    ]
}

impl Request {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} {}\r\n", self.method, self.target, self.version);
        for field in self.fields {
            bytes += &format!("{field}\r\n");
        }
        match self.chunk {
            Some(_) => bytes += "Transfer-Encoding: chunked\r\n",
            None if self.body.is_empty() => {}
            None => bytes += &format!("Content-Length: {}\r\n", self.body.len()),
        }
        let mut bytes = (bytes + "\r\n").into_bytes();
        match self.chunk {
            Some(size) => {
                for chunk in self.body.chunks(size) {
                    let head = format!("{:X};extension=\"of no meaning\"\r\n", chunk.len());
                    bytes.extend_from_slice(&[head.as_bytes(), chunk, b"\r\n"].concat());
                }
                bytes.extend_from_slice(b"0\r\nTrailer: of no meaning\r\n\r\n");
            }
            None => bytes.extend_from_slice(&self.body),
        }
        bytes
    }

    /// Checks the answer of an application of that kind.
    fn check(&self, kind: Kind, answer: &Answer) {
        let place = format!("{} {} {:?}", self.method, self.target, self.chunk);
        let server = match kind {
            Kind::Routes(framework) => framework.names_itself,
            Kind::Greeting | Kind::Echo => None,
        };
        let server = server.unwrap_or("webserver2");
        assert_eq!(answer.field("server"), Some(server), "{place}");
        let status = match kind {
            Kind::Routes(_) if self.target == "*" => &answer.status, // as each likes
            Kind::Routes(framework) => match self.routed().0 {
                "405 Method Not Allowed" => framework.other_method,
                status => status,
            },
            Kind::Greeting | Kind::Echo => "200 OK",
        };
        assert_eq!(answer.status, status, "{place}");
        if self.method == "HEAD" {
            assert!(answer.body.is_empty(), "{place}: HEAD has a body");
            assert!(answer.field("content-length").is_some(), "{place}");
            return;
        }
        match kind {
            Kind::Greeting => assert_eq!(answer.text(), HELLO, "{place}"),
            Kind::Routes(_) if status != "200 OK" => {}
            Kind::Routes(_) => assert!(answer.body == self.routed().1, "{place}: another body"),
            Kind::Echo => {
                let (environ, body) = echoed(answer);
                assert!(body == self.body, "{place}: another body came back");
                for (name, value) in self.environ {
                    let mut lines = environ.lines();
                    let seen = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
                    assert_eq!(seen.unwrap_or_default(), *value, "{place}: {name}");
                }
            }
        }
    }

    /// The status and the body that the routes of a framework lead to.
    fn routed(&self) -> (&'static str, Vec<u8>) {
        let path = self.target.trim_start_matches("http://localhost");
        let path = path.split('?').next().unwrap_or_default();
        match (self.method, path) {
            ("GET" | "HEAD", "/" | "/hello/World") => ("200 OK", b"Hello, World!\n".to_vec()),
            ("GET", "/hello/J%C3%BCrgen%20%3F") => ("200 OK", "Hello, Jürgen ?!\n".into()),
            ("POST", "/echo") => ("200 OK", self.body.clone()),
            (_, "/echo") => ("405 Method Not Allowed", Vec::new()),
            _ => ("404 Not Found", Vec::new()),
        }
    }
}

/// The environ and the body that `echoapp` has seen.
fn echoed(answer: &Answer) -> (String, &[u8]) {
    let end = answer.body.windows(2).position(|bytes| bytes == b"\n\n");
    let end = end.expect("the echo has an empty line");
    let environ = String::from_utf8_lossy(&answer.body[..end]).into_owned();
    (environ, &answer.body[end + 2..])
}

#[test]
fn every_application_answers_the_table() {
    for (name, kind) in applications() {
        let mut server = Server::start(&name);
        for request in table() {
            request.check(kind, &ask(&server, request.bytes()));
        }
        serves(&mut server);
        // Nobody complains, and the log has a line for each.
        let log = name.contains("accesslog");
        let lines = lines(&server, if log { table().len() + 1 } else { 0 });
        for line in lines {
            assert!(line.starts_with("127.0.0.1 - - ["), "{name}: {line}");
        }
    }
}

/// However slowly the request comes; not the megabytes.
#[test]
fn a_slow_client_is_waited_for() {
    for (name, kind) in applications() {
        let server = Server::start(&name);
        for request in table() {
            let bytes = request.bytes();
            if bytes.len() > 10_000 {
                continue;
            }
            let mut client = server.connect();
            let answer = client.send_slowly(&bytes).read_to_end();
            request.check(kind, &Answer::of(answer));
        }
    }
}

/// With a close, with a reset, and with half of one: whoever still listens hears
/// what was wrong.
#[test]
fn a_client_that_leaves_in_mid_body_is_survived() {
    let halves = [
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n9\r\nof",
    ];
    for (name, kind) in applications() {
        let mut server = Server::start(&name);
        for half in halves {
            server.connect().send(half);
            serves(&mut server);
            let mut client = server.connect();
            client.send(half);
            client.reset();
            serves(&mut server);
            let mut client = server.connect();
            let answer = Answer::of(client.send(half).finish().read_to_end());
            match kind {
                Kind::Greeting => assert_eq!(answer.text(), HELLO), // it does not read
                Kind::Echo => {
                    assert_eq!(answer.status, "400 Bad Request");
                    assert_eq!(answer.text(), "400 Bad Request: the body breaks off\n");
                }
                Kind::Routes(_) => {} // it may have begun to send the half back
            }
            serves(&mut server);
        }
    }
}

#[test]
fn a_client_that_leaves_in_mid_answer_is_survived() {
    for name in ["app", "write", "large"] {
        let mut server = Server::start(&format!("webserver2 validator:streamapp:{name}"));
        let mut client = server.connect();
        client.send(get("/"));
        let first = client.read_some();
        assert!(first.starts_with(b"HTTP/1.1 200 OK\r\n"), "{name}");
        client.reset();
        serves(&mut server);
    }
}

#[test]
fn a_client_that_says_nothing_is_survived() {
    let mut server = Server::start("webserver2 validator:echoapp:app");
    drop(server.connect());
    server.connect().reset();
    assert_eq!(
        server.connect().finish().read_to_end(),
        (Vec::new(), End::Closed)
    );
    let silence = server.connect().send("\r\n\r\n").finish().read_to_end();
    assert_eq!(silence, (Vec::new(), End::Closed));
    serves(&mut server);
}

/// RFC 9110, section 10.1.1.
#[test]
fn a_client_that_expects_to_be_told_is_told() {
    let server = Server::start("webserver2 validator:echoapp:app");
    let head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let mut client = server.connect();
    assert_eq!(
        client.send(head).read_some(),
        b"HTTP/1.1 100 Continue\r\n\r\n"
    );
    let answer = Answer::of(client.send("12345").read_to_end());
    assert_eq!(echoed(&answer).1, b"12345");

    // Not by HTTP/1.0, and not when the answer is known already.
    let head = head.replace("HTTP/1.1", "HTTP/1.0");
    let answer = ask(&server, head + "12345");
    assert_eq!(answer.status, "200 OK");
    let head =
        "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n";
    assert_eq!(ask(&server, head).status, "413 Content Too Large");
}

// Several chunks.

/// When bytes of an answer came, each after the request was sent.
fn arrivals(server: &Server, path: &str) -> Vec<(Duration, String)> {
    let mut client = server.connect();
    let start = Instant::now();
    client.send(get(path));
    let mut arrivals = Vec::new();
    loop {
        let bytes = client.read_some();
        if bytes.is_empty() {
            return arrivals;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        arrivals.push((start.elapsed(), text));
    }
}

/// Applications that count, each with its path, how far, and how long it takes
/// them.
const COUNTING: [(&str, &str, usize, Duration); 3] = [
    (
        "validator:streamapp:app",
        "/",
        5,
        Duration::from_millis(400),
    ),
    (
        "validator:streamapp:late",
        "/",
        5,
        Duration::from_millis(400),
    ),
    (
        "validator:streamapp:write",
        "/",
        5,
        Duration::from_millis(400),
    ),
];

/// The last number is made only after all pauses; a server that kept the first
/// back for it could not be faster. A machine that is busy can only be slower, so
/// one quick answer is proof.
#[test]
fn chunks_arrive_one_by_one() {
    for (name, path, numbers, pauses) in COUNTING {
        let server = Server::start(&format!("webserver2 {name}"));
        let numbers: Vec<String> = (1..=numbers).map(|number| format!("{number}\n")).collect();
        let one_by_one = (0..10).any(|_| {
            let arrivals = arrivals(&server, path);
            let texts: Vec<&str> = arrivals.iter().map(|(_, text)| text.as_str()).collect();
            let whole = format!("\r\n\r\n{}", numbers.concat());
            assert!(texts.concat().ends_with(&whole), "{name}: {texts:?}");
            let [(first, _), .., (last, _)] = arrivals[..] else {
                return false;
            };
            assert!(
                last >= pauses,
                "{name}: the pauses are shorter than this test thinks"
            );
            first < pauses && texts[1..] == numbers[1..]
        });
        assert!(one_by_one, "{name}: the first chunk waits for the last");
    }
}

#[test]
fn a_large_answer_is_whole() {
    let server = Server::start("webserver2 validator:streamapp:large");
    for _ in 0..20 {
        let answer = ask(&server, get("/"));
        assert_eq!(answer.field("content-length"), Some("1000000"));
        assert_eq!(answer.body.len(), 1_000_000);
    }
}

// What is no request.

const BAD: &str = "400 Bad Request";
const TOO_LARGE: &str = "413 Content Too Large";
const TOO_LONG: &str = "414 URI Too Long";
const FIELDS: &str = "431 Request Header Fields Too Large";
const NOT_HERE: &str = "501 Not Implemented";
const VERSION: &str = "505 HTTP Version Not Supported";

/// Each is refused with its status, with one answer, whatever stands behind it;
/// and the next client is served.
#[test]
fn malformed_requests_are_refused() {
    let mut server = Server::start("webserver2 validator:echoapp:app");
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n");
    let chunked = |body: &str| post("Transfer-Encoding: chunked") + body;
    let line = |line: &str| format!("{line}\r\nHost: x\r\n\r\n");
    let mut malformed: Vec<(String, &str)> = Vec::new();
    for bad in [
        // The first line.
        "GET /",
        "GET",
        "",
        " ",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.10",
        "GET / HTTP/one",
        "G\0T / HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\r HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET hello HTTP/1.1",
        "GET * HTTP/1.1",
        "GET https://x/ HTTP/1.1",
        "\u{16}\u{3}\u{1}\0\u{a5}\u{1}\0\0", // TLS
    ] {
        // An empty line before the first is passed over.
        let request = if bad.is_empty() {
            line("\r\nX")
        } else {
            line(bad)
        };
        malformed.push((request, BAD));
    }
    for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/3.0"] {
        malformed.push((line(&format!("GET / {version}")), VERSION));
    }
    malformed.push(("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_string(), VERSION));
    malformed.push((line("CONNECT x:80 HTTP/1.1"), NOT_HERE));
    for bad in [
        // The fields.
        "X",
        ": y",
        "X : y",
        "X\t: y",
        " X: y",
        "X: y\r\n folded",
        "X: y\r\n\tfolded",
        "X\0: y",
        "X: \0",
        "X: y\rz",
        "X: y\r",
        "\rX: y",
        "X\r: y",
        "X: \u{7f}",
        "X: \u{1b}[2J",
        "Host: x",
        "Host: y",
        "X(: y",
        "GET / HTTP/1.1",
        // Where the body ends.
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: -5",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: 5, 5",
        "Content-Length: 5 5",
        "Content-Length:",
        "Content-Length: five",
        "Content-Length: 5\u{c}",
        "Content-Length : 5",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chunked\u{c}",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:",
    ] {
        malformed.push((post(bad), BAD));
    }
    malformed.push((post("Transfer-Encoding: gzip, chunked"), NOT_HERE));
    malformed.push((
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        NOT_HERE,
    ));
    malformed.push((
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_string(),
        BAD,
    ));
    malformed.push(("GET / HTTP/1.1\r\n\r\n".to_string(), BAD)); // no Host
    for large in ["16777217", "18446744073709551616", &"9".repeat(1000)] {
        malformed.push((post(&format!("Content-Length: {large}")), TOO_LARGE));
    }
    for bad in [
        // The chunks.
        "\r\n\r\n",
        "x\r\n\r\n",
        "+5\r\n12345\r\n0\r\n\r\n",
        "-5\r\n12345\r\n0\r\n\r\n",
        "0x5\r\n12345\r\n0\r\n\r\n",
        "5 5\r\n12345\r\n0\r\n\r\n",
        " 5\r\n12345\r\n0\r\n\r\n",
        "5\n12345\r\n0\r\n\r\n",
        "5\r\n12345\n0\r\n\r\n",
        "5\r\n123456\r\n0\r\n\r\n",
        "5\r\n1234\r\n0\r\n\r\n",
        "5;a\rb\r\n12345\r\n0\r\n\r\n",
        "5;a\n12345\r\n0\r\n\r\n",
        "5;\0\r\n12345\r\n0\r\n\r\n",
        "5\r\r\n12345\r\n0\r\n\r\n",
        "0\r\nTrailer\r\n\r\n",
        "0\r\nX: y\n\r\n",
    ] {
        malformed.push((chunked(bad), BAD));
    }
    for large in [
        "1000001\r\n",
        "ffffffffffffffff\r\n",
        "10000000000000000\r\n",
        "1\r\nx\r\nffffffffffffffff\r\n",
    ] {
        malformed.push((chunked(large), TOO_LARGE));
    }
    // What has no end.
    let endless = "x".repeat(200_000);
    malformed.push((endless.clone(), TOO_LONG));
    malformed.push((line(&format!("GET /{endless} HTTP/1.1")), TOO_LONG));
    malformed.push(("\r\n".repeat(100_000), TOO_LONG));
    malformed.push((post(&format!("X: {endless}")), FIELDS));
    malformed.push((post(&endless), FIELDS));
    malformed.push((post(&["X: y"; 101].join("\r\n")), FIELDS));
    malformed.push((post(&["X: y"; 20_000].join("\r\n")), FIELDS));
    malformed.push((chunked(&format!("5;{endless}")), BAD));
    malformed.push((chunked(&endless.replace('x', "0")), BAD));
    malformed.push((chunked(&format!("0\r\nX: {endless}")), BAD));
    malformed.push((chunked(&format!("0\r\n{}", "X: y\r\n".repeat(30_000))), BAD));

    let number = malformed.len();
    for (request, status) in malformed {
        let start: String = request.chars().take(200).collect();
        let answer = ask(&server, request + &get("/second"));
        assert_eq!(answer.status, status, "{start:?}");
        let text = answer.text();
        assert!(
            text.starts_with(&format!("{status}: ")),
            "{start:?}: {text}"
        );
        assert_eq!(text.lines().count(), 1, "{start:?}: {text}");
        serves(&mut server);
    }
    // The operator reads a line for each.
    for line in lines(&server, number) {
        assert!(line.starts_with("127.0.0.1:"), "{line}");
    }
}

/// A request that is good is answered once, whatever stands behind it.
#[test]
fn nothing_behind_a_request_is_answered() {
    let mut server = Server::start("webserver2 validator:echoapp:app");
    for request in table() {
        let bytes = [&request.bytes()[..], get("/second").as_bytes()].concat();
        request.check(Kind::Echo, &ask(&server, bytes));
        serves(&mut server);
    }
    assert!(!server.output().contains("/second"));
}

/// A head that breaks off is answered, if anybody is left to hear it.
#[test]
fn a_head_that_breaks_off_is_refused() {
    let mut server = Server::start("webserver2 validator:echoapp:app");
    for part in [
        "G",
        "GET / HTTP/1.1",
        "GET / HTTP/1.1\r\nHost: x\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r",
    ] {
        let answer = Answer::of(server.connect().send(part).finish().read_to_end());
        assert_eq!(answer.status, BAD);
        server.connect().send(part);
        serves(&mut server);
    }
}

/// The client that does not stop sending hears why it should, and is not cut off
/// before it has.
#[test]
fn a_refused_upload_hears_why() {
    let mut server = Server::start("webserver2 validator:wsgiapp:app");
    let upload = vec![b'x'; 8_000_000]; // more than the system keeps for the server
    let length = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n";
    let chunk = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n";
    for (head, status) in [(length, TOO_LARGE), (chunk, BAD)] {
        for _ in 0..10 {
            let mut client = server.connect();
            let answer = Answer::of(client.send(head).send(&upload).read_to_end());
            assert_eq!(answer.status, status);
        }
    }
    // Also where the application does not care for it.
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n";
    for _ in 0..10 {
        let mut client = server.connect();
        let answer = Answer::of(client.send(head).send(&upload).read_to_end());
        assert_eq!(answer.text(), HELLO);
    }
    serves(&mut server);
}

/// What it hears has an end too.
#[test]
fn an_upload_without_end_is_cut_off() {
    let mut server = Server::start("webserver2 validator:wsgiapp:app");
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n");
    let mut other = server.connect();
    other.send(get("/"));
    // The first neither closes nor stops: byte by byte, for as long as it may.
    let start = Instant::now();
    while client.takes("x") {
        assert!(
            start.elapsed() < tests::LIMIT,
            "the server listens for ever"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(Answer::of(other.read_to_end()).text(), HELLO);
    serves(&mut server);
}

// Applications that fail.

#[test]
fn an_application_that_fails_early_is_excused() {
    let server = Server::start("webserver2 validator:failapp:early");
    for _ in 0..2 {
        let answer = ask(&server, get("/"));
        assert_eq!(answer.status, "503 Service Unavailable");
        assert_eq!(answer.text(), "Come back later.\n");
    }
    assert_eq!(server.errors(), "");
}

#[test]
fn an_application_that_fails_late_is_cut_off() {
    let mut server = Server::start("webserver2 validator:failapp:late");
    for number in 1..=2 {
        let answer = ask(&server, get("/"));
        assert_eq!(
            (answer.status.as_str(), answer.text().as_str()),
            ("200 OK", "All is w")
        );
        assert_eq!(answer.field("content-length"), None);
        // The line comes after the answer.
        for line in lines(&server, number) {
            assert!(line.ends_with(": the database is on fire"), "{line}");
        }
    }
    assert!(server.is_running());
}

#[test]
fn an_application_that_panics_is_survived() {
    let mut server = Server::start("webserver2 validator:failapp:panic");
    for _ in 0..2 {
        let answer = ask(&server, get("/"));
        assert_eq!(answer.status, "500 Internal Server Error");
        assert_eq!(answer.text(), "500 Internal Server Error\n");
        let answer = ask(&server, get("/?x"));
        assert_eq!(
            (answer.status.as_str(), answer.text().as_str()),
            ("200 OK", "x")
        );
    }
    tests::wait_for("the operator's line", || {
        server
            .errors()
            .contains(": the application panicked\n")
            .then_some(())
    });
    assert!(server.is_running());
}

// What the operator sees.

#[test]
fn requests_and_answers_are_printed() {
    let server = Server::start("webserver2 wsgiapp:app");
    let request = "GET /hello HTTP/1.1\r\nHost: localhost\r\nX-Bell: \u{9b}2J\r\n\r\n";
    let answer = ask(&server, request);
    let date = answer.field("date").unwrap();
    let wanted = format!(
        "Serving HTTP on http://{}/ ...\n< GET /hello HTTP/1.1\n< Host: localhost\n\
         < X-Bell: ??2J\n<\n> HTTP/1.1 200 OK\n> Date: {date}\n> Server: webserver2\n\
         > Content-Type: text/plain\n> Content-Length: 44\n> Connection: close\n>\n\
         }} [44 bytes data]\n",
        server.address
    );
    server.wait_for_output("bytes data]\n");
    assert_eq!(server.output(), wanted);

    // Refusals too.
    ask(&server, "GET / HTTP/2.0\r\n\r\n");
    server.wait_for_output("< GET / HTTP/2.0\n<\n> HTTP/1.1 505 HTTP Version Not Supported\n");
}

#[test]
fn the_environ_names_both_ends() {
    let server = Server::start("webserver2 validator:echoapp:app");
    let mut client = server.connect();
    let answer = Answer::of(client.send(get("/")).read_to_end());
    let (environ, _) = echoed(&answer);
    for (name, address) in [("SERVER", server.address), ("REMOTE", client.address())] {
        let port = format!("{name}_PORT={}", address.port());
        assert!(environ.lines().any(|line| line == port), "{environ}");
    }
}

#[test]
fn what_cannot_be_served_is_one_clear_line() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().unwrap();
    let usage = "usage: webserver2 module:callable [ADDRESS]; try webserver2 wsgiapp:app\n";
    let modules = "there is no module `nosuch`; there are wsgiapp, echoapp, ";
    for (arguments, message) in [
        ("", usage),
        (
            "wsgiapp",
            "`wsgiapp` names no application: write module:callable, such as wsgiapp:app\n",
        ),
        (
            "validator:wsgiapp",
            "`wsgiapp` names no application: write module:callable, such as wsgiapp:app\n",
        ),
        ("nosuch:app", modules),
        ("validator:accesslog:nosuch:app", modules),
        (":", "there is no module ``; there are wsgiapp, echoapp, "),
        (
            "wsgiapp:nosuch",
            "the module `wsgiapp` has no `nosuch`; it has app\n",
        ),
        ("wsgiapp:", "the module `wsgiapp` has no ``; it has app\n"),
        (
            "failapp:nosuch",
            "the module `failapp` has no `nosuch`; it has early, late, panic\n",
        ),
        (
            "wsgiapp:app nonsense",
            "bind nonsense: invalid socket address",
        ),
        (
            "wsgiapp:app 127.0.0.1:99999",
            "bind 127.0.0.1:99999: invalid port value",
        ),
        (
            &format!("wsgiapp:app {busy}"),
            &format!("bind {busy}: Address already in use"),
        ),
    ] {
        let mut command = programs::command(&format!("webserver2 {arguments}"));
        let (code, output, errors) = run_to_end(&mut command);
        assert_eq!((code, output.as_str()), (Some(1), ""), "{arguments}");
        assert!(errors.starts_with(message), "{arguments}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{arguments}: {errors}");
        if message.starts_with("bind") {
            assert!(
                errors.ends_with("; another address can be the last argument\n"),
                "{errors}"
            );
        }
    }
}

/// The command that brings in what was left out names a package that has the
/// program, and the feature.
#[test]
fn what_was_left_out_comes_in_with_the_command_that_is_named() {
    let mut metadata = programs::cargo();
    metadata.args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let metadata = metadata.output().unwrap().stdout;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();

    let names = programs::course().programs.into_iter();
    let names = names.filter(|program| program.arguments.is_some());
    let names = names.map(|program| program.name);
    let ours: Vec<String> = names.filter(|name| name.starts_with("webserver")).collect();
    assert!(ours.len() >= 2, "{ours:?}");
    for program in ours {
        for (name, feature) in [("rocketapp:app", "rocket"), ("python:no:app", "python")] {
            let mut command = programs::command(&format!("{program} {name}"));
            let (_, _, errors) = run_to_end(&mut command);
            let hint = errors.split_once("; ").unwrap_or_default().1;
            let words: Vec<&str> = hint.split_whitespace().collect();
            let ["cargo", "run", "-p", package, "--features", named, "--bin", bin, "--", this, "does", "that"] =
                words[..]
            else {
                panic!("{program} {name}: {errors}");
            };
            assert_eq!((named, bin, this), (feature, program.as_str(), name));
            let package = packages.iter().find(|found| found["name"] == package);
            let package = package.unwrap_or_else(|| panic!("no such package: {hint}"));
            assert!(package["features"][feature].is_array(), "{hint}");
            let targets = package["targets"].as_array().unwrap();
            let there = targets.iter().any(|target| target["name"] == bin);
            assert!(there, "{package} has no {bin}: {hint}");
        }
    }
}
