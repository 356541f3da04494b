//! The same requests for the same application in each framework that was
//! compiled in. Everything is asked under the validator.

#[path = "../asking/mod.rs"]
mod asking;
mod forked;

use asking::{ask, request, Answer, Output, Pieces, FRAMEWORKS};
use gateway::Application;
use std::sync::{Arc, Mutex};

/// The frameworks whose adapter reads the whole body of a request first.
const BUFFERING: [&str; 1] = ["rocketapp:app"];

/// A request, and the code, the type and the body of its answer.
const TABLE: [(&str, &str, &str, &str); 21] = [
    ("GET /", "200", "text/plain", "Hello, World!\n"),
    (
        "GET /?name=%zz&<\"[]>",
        "200",
        "text/plain",
        "Hello, World!\n",
    ),
    ("HEAD /", "200", "text/plain", ""),
    ("GET /hello", "200", "text/plain", "Hello, World!\n"),
    ("HEAD /hello", "200", "text/plain", ""),
    ("GET /hello/Ann", "200", "text/plain", "Hello, Ann!\n"),
    (
        "GET /hello/J%C3%BCrgen%20B",
        "200",
        "text/plain",
        "Hello, Jürgen B!\n",
    ),
    (
        "GET /hello/J\u{fc}rgen",
        "200",
        "text/plain",
        "Hello, J\u{fc}rgen!\n",
    ),
    ("GET /hello/100%25", "200", "text/plain", "Hello, 100%!\n"),
    ("GET /hello/%2541", "200", "text/plain", "Hello, %41!\n"),
    (
        "GET /hello/a%3Fb%23c",
        "200",
        "text/plain",
        "Hello, a?b#c!\n",
    ),
    // What PEP 3333 loses: a slash that was encoded has become one that was not.
    (
        "GET /hello/a%2Fb",
        "404",
        "text/plain",
        "There is nothing here.\n",
    ),
    ("GET /slow", "200", "text/plain", "That took a while.\n"),
    ("GET /stream", "200", "text/plain", "1\n2\n3\n"),
    (
        "GET /no/such/page",
        "404",
        "text/plain",
        "There is nothing here.\n",
    ),
    (
        "POST /no/such/page|left",
        "404",
        "text/plain",
        "There is nothing here.\n",
    ),
    (
        "POST /echo|to be sent back",
        "200",
        "application/octet-stream",
        "to be sent back",
    ),
    ("POST /echo|", "200", "application/octet-stream", ""),
    (
        "POST /form|name=Ann+Lee",
        "200",
        "text/plain",
        "Hello, Ann Lee!\n",
    ),
    (
        "POST /form|name=J%C3%BCrgen",
        "200",
        "text/plain",
        "Hello, Jürgen!\n",
    ),
    ("POST /form|other=1", "200", "text/plain", "Hello, World!\n"),
];

#[test]
fn the_answers_are_the_same() {
    for (name, application) in applications() {
        for (request, code, kind, body) in TABLE {
            for chunked in [false, true] {
                let answer = ask(&application, bytes(request, chunked));
                let place = format!("{name}: {request}, chunked: {chunked}");
                assert!(
                    answer.outcome.error.is_none(),
                    "{place}: {:?}",
                    answer.outcome.error
                );
                assert!(
                    answer.status.starts_with(code),
                    "{place}: {}",
                    answer.status
                );
                let given = answer.field("content-type").unwrap_or_default();
                assert!(given.starts_with(kind), "{place}: {given}");
                assert_eq!(answer.text(), body, "{place}");
            }
        }
    }
}

/// Where an answer is whole, its length stands in the head: after HEAD, too.
#[test]
fn lengths_are_known() {
    for (name, application) in applications() {
        for (request, length) in [("GET /", "14"), ("HEAD /", "14"), ("GET /nope", "23")] {
            let answer = ask(&application, bytes(request, false));
            assert_eq!(
                answer.field("content-length"),
                Some(length),
                "{name}: {request}"
            );
        }
        let answer = ask(&application, bytes("GET /stream", false));
        assert_eq!(answer.field("content-length"), None, "{name}");
    }
}

#[test]
fn a_megabyte_goes_both_ways() {
    let body: Vec<u8> = (0..1_000_000_u32)
        .flat_map(|n| n.to_le_bytes())
        .step_by(4)
        .collect();
    for (name, application) in applications() {
        for head in [
            format!("Content-Length: {}\r\n\r\n", body.len()),
            format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len()),
        ] {
            let head = format!("POST /echo HTTP/1.1\r\nHost: localhost\r\n{head}");
            let request = [head.as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
            let answer = ask(&application, request);
            assert!(
                answer.outcome.error.is_none(),
                "{name}: {:?}",
                answer.outcome.error
            );
            assert!(answer.body == body, "{name}: {} bytes", answer.body.len());
        }
    }
}

/// Each number leaves before the next is counted.
#[test]
fn answers_are_streamed() {
    for (name, application) in applications() {
        let answer = ask(&application, bytes("GET /stream", false));
        let mut writes = answer
            .writes
            .iter()
            .map(|write| String::from_utf8_lossy(write));
        assert!(writes.next().unwrap().ends_with("\r\n\r\n1\n"), "{name}");
        let rest: Vec<_> = writes.filter(|write| !write.is_empty()).collect();
        assert_eq!(rest, ["2\n", "3\n"], "{name}");
    }
}

/// The first piece is back before the second is asked for.
#[test]
fn requests_are_streamed() {
    for (name, application) in applications() {
        let output = Output::default();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (client, seen) = (output.clone(), Arc::clone(&log));
        let body = Pieces::new(vec!["one ", "two "], move |_| {
            seen.lock()
                .unwrap()
                .push((client.contains("one"), client.contains("two")));
        });
        let answer = request(&application, "POST /echo", Box::new(body), output);
        assert_eq!(answer.text(), "one two ", "{name}");

        let log = log.lock().unwrap();
        let streamed = [(false, false), (true, false), (true, true)];
        match BUFFERING.contains(&name) {
            false => assert_eq!(log[..], streamed, "{name}"),
            true => assert_eq!(log[..], [(false, false); 3], "{name}"),
        }
    }
}

#[test]
fn a_body_that_nobody_wants_is_not_read() {
    for (name, application) in applications() {
        let asked = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&asked);
        let body = Pieces::new(vec!["one", "two"], move |_| *counter.lock().unwrap() += 1);
        let answer = request(
            &application,
            "POST /no/such/page",
            Box::new(body),
            Output::default(),
        );
        assert!(
            answer.status.starts_with("404"),
            "{name}: {}",
            answer.status
        );
        let wanted = if BUFFERING.contains(&name) { 3 } else { 0 };
        assert_eq!(*asked.lock().unwrap(), wanted, "{name}");
    }
}

/// A body that the server refuses is the client's mistake also when it is
/// noticed in the middle of a handler.
#[test]
fn a_refused_body_gets_its_own_status() {
    for (name, application) in applications() {
        for path in ["/echo", "/form"] {
            for (body, refusal) in [
                (
                    "zz\r\n",
                    "400 Bad Request: the size of a chunk is no number\n",
                ),
                ("9\r\nname=", "400 Bad Request: the body breaks off\n"),
                (
                    "fffffffff\r\nname=",
                    "413 Content Too Large: the body is longer than this server takes\n",
                ),
            ] {
                let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{FORM}");
                let request = format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}");
                let answer = ask(&application, request);
                let place = format!("{name}: {path}: {body:?}");
                if path == "/echo" && body.starts_with('9') && !BUFFERING.contains(&name) {
                    assert_eq!(answer.text(), "name=", "{place}"); // the answer had begun
                } else {
                    assert_eq!(answer.text(), refusal, "{place}");
                    assert!(
                        refusal.starts_with(&answer.status),
                        "{place}: {}",
                        answer.status
                    );
                }
                assert!(answer.outcome.error.is_some(), "{place}");
            }
        }
        works(name, &application);
    }
}

#[test]
fn a_client_may_leave() {
    for (name, application) in applications() {
        let output = Output {
            leaves_after: Some(2),
            ..Output::default()
        };
        let body = Box::new(std::io::empty());
        let answer = request(&application, "GET /stream", body, output);
        let error = answer
            .outcome
            .error
            .as_ref()
            .expect("nobody was told")
            .to_string();
        assert!(error.contains("broken pipe"), "{name}: {error}");
        assert_eq!(answer.text(), "1\n2\n", "{name}");
        works(name, &application);
    }
}

/// One runtime for each thread, whatever it is asked: each has descriptors.
#[test]
#[cfg(target_os = "linux")]
fn a_runtime_lasts() {
    let epolls = || {
        let own = std::fs::read_dir("/proc/self/fd").unwrap();
        let own = own.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        own.filter(|to| to.to_string_lossy().contains("eventpoll"))
            .count()
    };
    let first = apps::adapters::runtime().unwrap();
    // Other tests make runtimes meanwhile, but not fifty for each framework.
    let most = epolls() + 30;
    for (name, application) in applications() {
        for _ in 0..50 {
            works(name, &application);
        }
        assert!(epolls() < most, "{name}: {} runtimes", epolls());
        assert!(
            std::rc::Rc::ptr_eq(&first, &apps::adapters::runtime().unwrap()),
            "{name}"
        );
    }
}

fn applications() -> impl Iterator<Item = (&'static str, impl Application)> {
    let load = |name: &&'static str| (*name, apps::load(name).unwrap());
    FRAMEWORKS.iter().map(load)
}

fn works(name: &str, application: &dyn Application) {
    let answer: Answer = ask(application, bytes("GET /", false));
    assert_eq!(answer.text(), "Hello, World!\n", "{name}");
    assert!(
        answer.outcome.error.is_none(),
        "{name}: {:?}",
        answer.outcome.error
    );
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// The bytes of a request that is written `METHOD TARGET|BODY`.
fn bytes(request: &str, chunked: bool) -> Vec<u8> {
    let (line, body) = request.split_once('|').unwrap_or((request, ""));
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{FORM}");
    match (chunked, body) {
        (false, "") => format!("{head}\r\n"),
        (false, _) => format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()),
        (true, "") => format!("{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (true, _) => {
            let (a, b) = body.split_at(1);
            let size = b.len();
            format!(
                "{head}Transfer-Encoding: chunked\r\n\r\n1\r\n{a}\r\n{size:x}\r\n{b}\r\n0\r\n\r\n"
            )
        }
    }
    .into_bytes()
}
