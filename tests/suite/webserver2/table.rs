//! One table of requests, for every application.

use super::{ask, echoed, lines, serves, whole, HELLO};
use tests::answer::Answer;
use tests::client::get;
use tests::server::Server;

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
            target: "/hello", // where the README says that it is
            ..request("GET")
        },
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
            ("GET" | "HEAD", "/" | "/hello" | "/hello/World") => {
                ("200 OK", b"Hello, World!\n".to_vec())
            }
            ("GET", "/hello/J%C3%BCrgen%20%3F") => ("200 OK", "Hello, Jürgen ?!\n".into()),
            ("POST", "/echo") => ("200 OK", self.body.clone()),
            (_, "/echo") => ("405 Method Not Allowed", Vec::new()),
            _ => ("404 Not Found", Vec::new()),
        }
    }
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
        // Not all read the body, which takes its time: it may come after the answer.
        let server = Server::start(&format!("{name} --linger 1h"));
        for request in table() {
            let bytes = request.bytes();
            if bytes.len() > 10_000 {
                continue;
            }
            let mut client = server.connect();
            let answer = client.send_slowly(&bytes).read_to_end();
            request.check(kind, &whole(answer));
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
            let answer = whole(client.send(half).finish().read_to_end());
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

/// A request that is good is answered once, whatever stands behind it.
#[test]
fn nothing_behind_a_request_is_answered() {
    let mut server = Server::start("webserver2 validator:echoapp:app");
    for request in table() {
        let bytes = [&request.bytes()[..], get("/second").as_bytes()].concat();
        request.check(Kind::Echo, &ask(&server, bytes));
        serves(&mut server);
    }
    assert!(!server.output_when_idle().contains("/second"));
}
