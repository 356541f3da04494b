//! Every rule of `respond`: applications run against a buffer.

use crate::common::{complaint, field, run, run_as, split, Event, Wire};
use gateway::http::{Framing, Limits, RequestBody};
use gateway::{headers, respond, Body, Environ, Header, Result, StartResponse, Write};
use std::io::Read;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

const OK: &str = "HTTP/1.1 200 OK";
const FAILED: &str = "HTTP/1.1 500 Internal Server Error";

fn plain() -> Vec<Header> {
    headers([("Content-Type", "text/plain")])
}

/// A body of these chunks, whose number nobody can tell beforehand.
fn chunks<const N: usize>(chunks: [&'static str; N]) -> Body {
    let mut chunks = chunks.into_iter();
    Body::new(std::iter::from_fn(move || Some(Ok(chunks.next()?.into()))))
}

// The answer.

#[test]
fn a_small_answer_leaves_whole_and_in_one_piece() {
    let wire = Wire::default();
    let mut environ = Environ::testing_defaults();
    environ.set("SERVER_SOFTWARE", "tests");
    let app = |_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", plain())?;
        Ok(Body::from("Hello, World!\n"))
    };
    let outcome = respond(&app, environ, wire.clone());

    let answer = wire.text();
    assert_eq!(wire.events(), [Event::Left(answer.clone())]);
    let (status, fields, body) = split(&answer);
    let date = field(&answer, "Date").unwrap();
    let age = std::time::SystemTime::now().duration_since(httpdate::parse_http_date(date).unwrap());
    assert!(age.unwrap().as_secs() < 30, "{date}");
    let wanted = [
        ("Date", date),
        ("Server", "tests"),
        ("Content-Type", "text/plain"),
        ("Content-Length", "14"),
        ("Connection", "close"),
    ];
    assert_eq!((status, &fields[..]), (OK, &wanted[..]));
    assert_eq!(body, "Hello, World!\n");

    let head = answer.strip_suffix(body).unwrap();
    assert_eq!((&outcome.head[..], outcome.body), (head.as_bytes(), 14));
    assert_eq!(complaint(&outcome), "");
}

#[test]
fn the_date_and_the_server_of_the_application_stay() {
    let (answer, _) = run(|mut environ: Environ, mut start_response: StartResponse| {
        environ.set("SERVER_SOFTWARE", "tests");
        let fields = [
            ("date", "Tue, 24 Nov 2026 20:03:31 GMT"),
            ("SERVER", "mine"),
        ];
        start_response.start("200 OK", headers(fields))?;
        Ok(Body::empty())
    });
    assert_eq!(
        field(&answer, "Date"),
        Some("Tue, 24 Nov 2026 20:03:31 GMT")
    );
    assert_eq!(field(&answer, "Server"), Some("mine"));
}

#[test]
fn fields_keep_their_order_and_may_repeat() {
    let (answer, _) = run(|_: Environ, mut start_response: StartResponse| {
        let fields = [
            ("Set-Cookie", "a=1"),
            ("X-Between", ""),
            ("Set-Cookie", "b=2"),
        ];
        start_response.start("200 OK", headers(fields))?;
        Ok(Body::empty())
    });
    let (_, fields, _) = split(&answer);
    let ours = &fields[1..4]; // behind Date
    assert_eq!(
        ours,
        [
            ("Set-Cookie", "a=1"),
            ("X-Between", ""),
            ("Set-Cookie", "b=2")
        ]
    );
}

// start_response.

#[test]
fn start_response_may_be_called_by_the_first_step_of_the_body() {
    let (answer, outcome) = run(|_: Environ, mut start_response: StartResponse| {
        let mut steps = 0;
        Ok(Body::new(std::iter::from_fn(move || {
            steps += 1;
            match steps {
                1 => Some(
                    start_response
                        .start("201 Created", plain())
                        .map(|_| Vec::new()),
                ),
                2 => Some(Ok(b"late".to_vec())),
                _ => None,
            }
        })))
    });
    assert_eq!(
        (split(&answer).0, split(&answer).2),
        ("HTTP/1.1 201 Created", "late")
    );
    assert_eq!(complaint(&outcome), "");
}

#[test]
fn start_response_must_be_called() {
    let rule = "the application broke a rule of PEP 3333: start_response is called before the \
                first byte";
    for body in [&["early"][..], &["", "early"], &[], &[""]] {
        let (answer, outcome) = run(move |_: Environ, _: StartResponse| {
            let body: Vec<Vec<u8>> = body.iter().map(|chunk| chunk.as_bytes().into()).collect();
            Ok(Body::new(body.into_iter().map(Ok)))
        });
        assert_eq!(split(&answer).0, FAILED, "{body:?}");
        assert_eq!(complaint(&outcome), rule, "{body:?}");
    }
}

#[test]
fn start_response_may_not_be_called_twice() {
    let (answer, outcome) = run(|_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", plain())?;
        start_response.start("200 OK", plain())?;
        Ok(Body::from("never"))
    });
    assert_eq!(
        (split(&answer).0, split(&answer).2),
        (FAILED, "500 Internal Server Error\n")
    );
    assert!(complaint(&outcome)
        .ends_with("start_response is called once, and again only with an error"));
}

/// The second call is an error of its own, and no more than that.
#[test]
fn a_second_call_changes_nothing() {
    let (answer, _) = run(|_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", plain())?;
        assert!(start_response.start("404 Not Found", plain()).is_err());
        Ok(Body::from("first"))
    });
    assert_eq!((split(&answer).0, split(&answer).2), (OK, "first"));
}

#[test]
fn an_error_before_the_first_byte_replaces_the_head() {
    let (answer, outcome) = run(|_: Environ, mut start_response: StartResponse| {
        let first = headers([("Content-Type", "text/html"), ("Content-Length", "1000")]);
        start_response.start("200 OK", first)?;
        let error = Some("the database is on fire".into());
        start_response.call(
            "503 Service Unavailable",
            headers([("Retry-After", "9")]),
            error,
        )?;
        Ok(Body::from("later"))
    });
    let (status, fields, body) = split(&answer);
    assert_eq!(
        (status, body),
        ("HTTP/1.1 503 Service Unavailable", "later")
    );
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["Date", "Retry-After", "Content-Length", "Connection"]
    );
    assert_eq!(field(&answer, "Content-Length"), Some("5"));
    assert_eq!(complaint(&outcome), "");
}

/// Nothing has to be there that it could replace.
#[test]
fn a_first_call_may_bring_an_error() {
    let (answer, outcome) = run(|_: Environ, mut start_response: StartResponse| {
        let status = "503 Service Unavailable";
        start_response.restart(status, plain(), "the database is on fire")?;
        assert!(start_response.start("200 OK", plain()).is_err());
        Ok(Body::from("later"))
    });
    let (status, _, body) = split(&answer);
    assert_eq!(
        (status, body),
        ("HTTP/1.1 503 Service Unavailable", "later")
    );
    assert_eq!(complaint(&outcome), "");
}

/// One that was kept says why it cannot answer any more.
#[test]
fn start_response_after_the_end_is_an_error() {
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let wire = Wire::default();
    let app = move |_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", plain())?;
        *keep.lock().unwrap() = Some(start_response);
        Ok(Body::from("all"))
    };
    respond(&app, Environ::testing_defaults(), wire.clone());
    let mut start_response: StartResponse = kept.lock().unwrap().take().unwrap();
    let mut again = |error: Option<gateway::Error>| {
        let again = start_response.call("500 Oh", plain(), error).err();
        again.expect("it is over").to_string()
    };
    assert_eq!(again(Some("too late".into())), "too late");
    assert!(again(None).ends_with("start_response is called once, and again only with an error"));
    assert_eq!(split(&wire.text()).2, "all");
}

/// Chunks without bytes are no first byte, and neither is `write` of nothing.
#[test]
fn nothing_is_not_the_first_byte() {
    let (answer, _) = run(|_: Environ, mut start_response: StartResponse| {
        let mut write = start_response.start("200 OK", plain())?;
        write.send(b"")?;
        let mut steps = 0;
        Ok(Body::new(std::iter::from_fn(move || {
            steps += 1;
            match steps {
                1 => Some(Ok(Vec::new())),
                2 => {
                    let error = Some("too early".into());
                    let again = start_response.call("425 Too Early", plain(), error);
                    Some(again.map(|_| b"wait".to_vec()))
                }
                _ => None,
            }
        })))
    });
    assert_eq!(
        (split(&answer).0, split(&answer).2),
        ("HTTP/1.1 425 Too Early", "wait")
    );
}

#[test]
fn an_error_after_the_first_byte_comes_back_and_ends_the_answer() {
    let (answer, outcome) = run(|_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", plain())?;
        let mut steps = 0;
        Ok(Body::new(std::iter::from_fn(move || {
            steps += 1;
            if steps == 1 {
                return Some(Ok(b"All is w".to_vec()));
            }
            let error = Some("the database is on fire".into());
            let again = start_response.call("503 Service Unavailable", plain(), error);
            Some(again.map(|_| b"never".to_vec()))
        })))
    });
    assert_eq!((split(&answer).0, split(&answer).2), (OK, "All is w"));
    assert_eq!(complaint(&outcome), "the database is on fire");
    assert_eq!(outcome.body, 8);
}

/// Also the first byte of `write`, and that of an answer to HEAD, whose head has
/// left without it.
#[test]
fn an_error_after_write_comes_back() {
    for method in ["GET", "HEAD"] {
        let (answer, outcome) = run_as(method, |_: Environ, mut start_response: StartResponse| {
            start_response.start("200 OK", plain())?.send(b"All is w")?;
            let error = Some("the database is on fire".into());
            start_response.call("503 Service Unavailable", plain(), error)?;
            Ok(Body::from("never"))
        });
        assert_eq!(split(&answer).0, OK, "{method}");
        assert_eq!(complaint(&outcome), "the database is on fire", "{method}");
    }
}

/// A head that may have left in part cannot be replaced.
#[test]
fn an_error_after_the_client_has_left_comes_back() {
    let wire = Wire::patient(0);
    let app = |_: Environ, mut start_response: StartResponse| -> Result<Body> {
        let mut write = start_response.start("200 OK", plain())?;
        let error = write.send(b"anybody there?").unwrap_err();
        let again = start_response.restart("500 Internal Server Error", plain(), error);
        Err(again.err().expect("the error comes back"))
    };
    let outcome = respond(&app, Environ::testing_defaults(), wire.clone());
    assert_eq!(complaint(&outcome), "broken pipe");
    assert_eq!(wire.events(), []);
}

// The body.

/// Each chunk is with the client before the next is asked for, and the head with
/// the first.
#[test]
fn chunks_leave_one_by_one() {
    let wire = Wire::default();
    let notes = wire.clone();
    let app = move |_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", plain())?;
        let notes = notes.clone();
        let mut chunks = ["1", "", "2", "3"].into_iter();
        Ok(Body::new(std::iter::from_fn(move || {
            notes.note(Event::Asked);
            Some(Ok(chunks.next()?.into()))
        })))
    };
    let outcome = respond(&app, Environ::testing_defaults(), wire.clone());
    let events = wire.events();
    let Event::Left(first) = &events[1] else {
        panic!("{events:?}")
    };
    assert_eq!(split(first).2, "1");
    let left = |text: &str| Event::Left(text.to_string());
    let wanted = [Event::Asked, left(first), Event::Asked, Event::Asked];
    let wanted = [
        &wanted[..],
        &[left("2"), Event::Asked, left("3"), Event::Asked],
    ]
    .concat();
    assert_eq!(events, wanted);
    assert_eq!(outcome.body, 3);
    assert_eq!(field(&wire.text(), "Content-Length"), None);
}

#[test]
fn write_sends_at_once_and_before_the_body() {
    let wire = Wire::default();
    let notes = wire.clone();
    let app = move |_: Environ, mut start_response: StartResponse| {
        let mut write = start_response.start("200 OK", plain())?;
        assert_eq!(notes.text(), "");
        write.send(b"1")?;
        assert_eq!(split(&notes.text()).2, "1");
        write.send(b"2")?;
        assert_eq!(split(&notes.text()).2, "12");
        Ok(Body::from("3"))
    };
    let outcome = respond(&app, Environ::testing_defaults(), wire.clone());
    assert_eq!(complaint(&outcome), "");
    assert_eq!(split(&wire.text()).2, "123");
    assert_eq!(field(&wire.text(), "Content-Length"), None);
    assert_eq!(outcome.body, 3);
}

#[test]
fn write_after_the_end_is_an_error() {
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let wire = Wire::default();
    let app = move |_: Environ, mut start_response: StartResponse| {
        *keep.lock().unwrap() = Some(start_response.start("200 OK", plain())?);
        Ok(Body::from("all"))
    };
    respond(&app, Environ::testing_defaults(), wire.clone());
    let mut write: Write = kept.lock().unwrap().take().unwrap();
    let error = write.send(b"more").unwrap_err().to_string();
    assert_eq!(error, "the client has left, or its answer is over");
    assert_eq!(split(&wire.text()).2, "all");
}

/// The connection must be free to close, also while an application holds on to
/// what it was given.
#[test]
fn the_output_is_dropped_when_the_answer_is_over() {
    struct Output(std::sync::mpsc::Sender<()>);
    impl std::io::Write for Output {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl Drop for Output {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let app = move |_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", plain())?;
        *keep.lock().unwrap() = Some(start_response);
        Ok(Body::empty())
    };
    let (dropped, is_dropped) = channel();
    respond(&app, Environ::testing_defaults(), Output(dropped));
    assert!(kept.lock().unwrap().is_some());
    assert_eq!(is_dropped.try_recv(), Ok(()));
}

/// A body that notes its end.
struct Noted {
    wire: Wire,
    chunks: std::slice::Iter<'static, &'static str>,
}

impl Iterator for Noted {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        self.wire.note(Event::Asked);
        match *self.chunks.next()? {
            "fail" => Some(Err("it fails".into())),
            "panic" => panic!("as the test wants"),
            chunk => Some(Ok(chunk.into())),
        }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.wire.note(Event::Dropped);
    }
}

/// However a request ends: how often the body is asked, and that it is dropped
/// once.
#[test]
fn the_body_is_dropped_once_in_every_ending() {
    struct Ending {
        name: &'static str,
        method: &'static str,
        status: &'static str,
        patience: Option<usize>,
        chunks: &'static [&'static str],
        asked: usize,
        error: &'static str,
    }
    const USUAL: Ending = Ending {
        name: "success",
        method: "GET",
        status: "200 OK",
        patience: None,
        chunks: &["1", "2"],
        asked: 3,
        error: "",
    };
    let endings = [
        USUAL,
        Ending { name: "no chunk", chunks: &[], asked: 1, ..USUAL },
        Ending { name: "HEAD", method: "HEAD", asked: 1, ..USUAL },
        Ending { name: "HEAD, no byte at first", method: "HEAD", chunks: &["", "2", "3"], asked: 2, ..USUAL },
        Ending { name: "204", status: "204 No Content", asked: 1, ..USUAL },
        Ending { name: "205", status: "205 Reset Content", asked: 1, ..USUAL },
        Ending { name: "304", status: "304 Not Modified", asked: 1, ..USUAL },
        Ending { name: "gone at once", patience: Some(0), asked: 1, error: "broken pipe", ..USUAL },
        Ending { name: "gone later", patience: Some(1), asked: 2, error: "broken pipe", ..USUAL },
        Ending { name: "error at once", chunks: &["fail", "2"], asked: 1, error: "it fails", ..USUAL },
        Ending { name: "error later", chunks: &["1", "fail", "3"], asked: 2, error: "it fails", ..USUAL },
        Ending { name: "panic at once", chunks: &["panic", "2"], asked: 1, error: "the application panicked", ..USUAL },
        Ending { name: "panic later", chunks: &["1", "panic"], asked: 2, error: "the application panicked", ..USUAL },
        Ending {
            name: "bad status",
            status: "OK",
            asked: 0,
            error: "the application broke a rule of PEP 3333: a status is three digits from 200 on, a space, a reason",
            ..USUAL
        },
    ];
    for ending in endings {
        let wire = Wire::patient(ending.patience);
        let notes = wire.clone();
        let app = move |_: Environ, mut start_response: StartResponse| {
            let wire = notes.clone();
            let chunks = ending.chunks.iter();
            let body = Noted { wire, chunks };
            start_response.start(ending.status, plain())?;
            Ok(Body::new(body))
        };
        let mut environ = Environ::testing_defaults();
        environ.set("REQUEST_METHOD", ending.method);
        let outcome = respond(&app, environ, wire.clone());
        assert_eq!(complaint(&outcome), ending.error, "{}", ending.name);
        assert_eq!(wire.count(&Event::Asked), ending.asked, "{}", ending.name);
        assert_eq!(wire.count(&Event::Dropped), 1, "{}", ending.name);
    }
}

/// PEP 3333: `close` comes when the answer is over, not before.
#[test]
fn the_body_is_dropped_after_its_last_byte_has_left() {
    let wire = Wire::default();
    let notes = wire.clone();
    let app = move |_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", plain())?;
        let chunks = ["1"].iter();
        Ok(Body::new(Noted {
            wire: notes.clone(),
            chunks,
        }))
    };
    respond(&app, Environ::testing_defaults(), wire.clone());
    let events = wire.events();
    assert!(
        matches!(
            &events[..],
            [Event::Asked, Event::Left(_), Event::Asked, Event::Dropped]
        ),
        "{events:?}"
    );
}

// No body where HTTP has none.

#[test]
fn no_body_follows_head_204_205_and_304() {
    for (method, status) in [
        ("HEAD", "200 OK"),
        ("GET", "204 No Content"),
        ("GET", "204"),
        ("GET", "205 Reset Content"),
        ("HEAD", "205 Reset Content"),
        ("GET", "304 Not Modified"),
    ] {
        for through_write in [false, true] {
            let (answer, outcome) = run_as(
                method,
                move |_: Environ, mut start_response: StartResponse| {
                    let mut write = start_response.start(status, plain())?;
                    if through_write {
                        write.send(b"never ")?;
                        write.send(b"seen")?;
                    }
                    Ok(chunks(["neither", "this"]))
                },
            );
            assert_eq!(split(&answer).2, "", "{method} {status}");
            let space = if status.len() == 3 { " " } else { "" };
            assert_eq!(split(&answer).0, format!("HTTP/1.1 {status}{space}"));
            assert_eq!(outcome.body, 0, "{method} {status}");
            assert_eq!(complaint(&outcome), "", "{method} {status}");
        }
    }
}

/// As long as GET would have brought, where that is known.
#[test]
fn head_has_the_length_of_get() {
    type Made = fn() -> Body;
    let bodies: [(Made, Option<&str>); 4] = [
        (|| Body::from("twelve bytes"), Some("12")),
        (|| chunks(["twelve", " bytes"]), None),
        (Body::empty, None), // an application may know that this is HEAD
        (|| Body::from(""), None),
    ];
    for (body, length) in bodies {
        let (answer, _) = run_as(
            "HEAD",
            move |_: Environ, mut start_response: StartResponse| {
                start_response.start("200 OK", plain())?;
                Ok(body())
            },
        );
        assert_eq!(field(&answer, "Content-Length"), length);
        assert_eq!(split(&answer).2, "");
    }
    // Its own word counts, also when its body is shorter.
    let (answer, outcome) = run_as("HEAD", |_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", headers([("Content-Length", "1000")]))?;
        Ok(Body::empty())
    });
    assert_eq!(field(&answer, "Content-Length"), Some("1000"));
    assert_eq!(complaint(&outcome), "");
}

/// RFC 9110, section 8.6: a 204 has no length, and a 304 that of the 200 or none,
/// which is not the one of what was thrown away; section 15.3.6: a 205 is empty.
/// To GET and to HEAD, whether the application gave a length, a chunk, or neither.
#[test]
fn the_length_of_a_status_without_a_body() {
    for (status, own, given) in [
        ("204 No Content", None, None),
        ("204", None, None),
        ("205 Reset Content", Some("0"), Some("0")),
        ("304 Not Modified", None, Some("12")),
    ] {
        for method in ["GET", "HEAD"] {
            for body in [
                Body::empty,
                || Body::from("a chunk"),
                || chunks(["two", "chunks"]),
            ] {
                let fields = [headers([]), headers([("content-length", "12")])];
                for (fields, length) in fields.into_iter().zip([own, given]) {
                    let app = move |_: Environ, mut start_response: StartResponse| {
                        start_response.start(status, fields.clone())?;
                        Ok(body())
                    };
                    let (answer, outcome) = run_as(method, app);
                    let place = format!("{method} {status}: {answer}");
                    assert_eq!(field(&answer, "Content-Length"), length, "{place}");
                    assert_eq!(split(&answer).2, "", "{place}");
                    assert_eq!(complaint(&outcome), "", "{place}");
                }
            }
        }
    }
}

// Content-Length.

#[test]
fn a_length_is_supplied_where_the_whole_body_is_known() {
    type Made = fn() -> Body;
    let bodies: [(Made, Option<&str>); 7] = [
        (|| Body::from("all"), Some("3")),
        (
            || Body::new([Ok(b"all".to_vec())]).with_length(3),
            Some("3"),
        ),
        (|| chunks(["", "al", "", "l"]).with_length(3), Some("3")),
        (Body::empty, Some("0")),
        (|| Body::from(""), Some("0")),
        (|| chunks(["all"]), None), // nobody knows that this is the last
        (|| Body::new([b"al".to_vec(), b"l".to_vec()].map(Ok)), None),
    ];
    for (number, (body, length)) in bodies.into_iter().enumerate() {
        let (answer, _) = run(move |_: Environ, mut start_response: StartResponse| {
            start_response.start("200 OK", plain())?;
            Ok(body())
        });
        assert_eq!(field(&answer, "Content-Length"), length, "body {number}");
    }
}

/// PEP 3333, "Handling the Content-Length Header": no byte more, wherever in
/// the chunks the last one stands.
#[test]
fn a_body_longer_than_its_length_is_cut_off_there() {
    for (length, bodies) in [
        (
            "5",
            [
                &["abc", "defgh"][..],
                &["abcdefgh"],
                &["abcde", "fgh"],
                &["", "abcdefg", "h"],
            ],
        ),
        (
            "0",
            [&["abc"], &["a", "b"], &["", "abc"], &["abc", "", "d"]],
        ),
    ] {
        for body in bodies {
            for status in ["200 OK", "404 Not Found"] {
                let (answer, outcome) =
                    run(move |_: Environ, mut start_response: StartResponse| {
                        start_response.start(status, headers([("Content-Length", length)]))?;
                        let chunks: Vec<_> = body
                            .iter()
                            .map(|chunk| Ok(chunk.as_bytes().to_vec()))
                            .collect();
                        Ok(Body::new(chunks))
                    });
                let wanted = &"abcde"[..length.parse().unwrap()];
                assert_eq!(split(&answer).0, format!("HTTP/1.1 {status}"), "{body:?}");
                assert_eq!(split(&answer).2, wanted, "{body:?}");
                assert_eq!(field(&answer, "Content-Length"), Some(length), "{body:?}");
                assert_eq!(outcome.body, wanted.len() as u64, "{body:?}");
                assert_eq!(complaint(&outcome), "", "{body:?}");
            }
        }
    }
}

/// `write` is told, with what the client could have of it sent.
#[test]
fn write_is_told_where_the_length_ends() {
    for (pieces, fails_at) in [
        (&["abc", "d"][..], 1),
        (&["abcd"], 0),
        (&["", "ab", "cde", "f"], 2),
    ] {
        let (answer, outcome) = run(move |_: Environ, mut start_response: StartResponse| {
            let mut write = start_response.start("200 OK", headers([("Content-Length", "3")]))?;
            for (number, piece) in pieces.iter().enumerate() {
                let sent = write
                    .send(piece.as_bytes())
                    .map_err(|error| error.to_string());
                let wanted = "the application broke a rule of PEP 3333: \
                              the body is no longer than Content-Length";
                match number < fails_at {
                    true => assert_eq!(sent, Ok(())),
                    false => assert_eq!(sent.unwrap_err(), wanted),
                }
            }
            Ok(Body::from("and more"))
        });
        assert_eq!(
            (split(&answer).0, split(&answer).2),
            (OK, "abc"),
            "{pieces:?}"
        );
        assert_eq!(complaint(&outcome), "", "{pieces:?}");
    }
}

/// It is asked once more than its length wants, so that a generator comes to its
/// end, and once beyond it not again.
#[test]
fn a_body_is_asked_up_to_its_end() {
    for (chunks, asked) in [
        (&["abc", "de"][..], 3),
        (&["abc", "de", ""], 4),
        (&["abc", "defg", "h", "i"], 2),
        (&["abc", "de", "f", "g", "h"], 3),
    ] {
        let wire = Wire::default();
        let notes = wire.clone();
        let app = move |_: Environ, mut start_response: StartResponse| {
            start_response.start("200 OK", headers([("Content-Length", "5")]))?;
            let wire = notes.clone();
            Ok(Body::new(Noted {
                wire,
                chunks: chunks.iter(),
            }))
        };
        respond(&app, Environ::testing_defaults(), wire.clone());
        assert_eq!(wire.count(&Event::Asked), asked, "{chunks:?}");
        assert_eq!(wire.count(&Event::Dropped), 1, "{chunks:?}");
    }
}

#[test]
fn a_body_shorter_than_its_length_is_an_error() {
    let (answer, outcome) = run(|_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", headers([("Content-Length", "3")]))?;
        Ok(Body::from("ab"))
    });
    assert_eq!(split(&answer).2, "ab");
    assert!(complaint(&outcome).ends_with("the body is no shorter than Content-Length"));
    // Nothing has left yet: there is time to say so.
    let (answer, outcome) = run(|_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", headers([("Content-Length", "3")]))?;
        Ok(Body::empty())
    });
    assert_eq!(split(&answer).0, FAILED);
    assert!(complaint(&outcome).ends_with("the body is no shorter than Content-Length"));
}

/// A body that says how long it is has to keep to that.
#[test]
fn a_length_that_was_supplied_binds_too() {
    for (length, seen, rule) in [
        (3, "abc", "the body is no longer than Content-Length"),
        (5, "abcde", "the body is no longer than Content-Length"),
        (0, "", "the body is no longer than Content-Length"),
        (7, "abcdef", "the body is no shorter than Content-Length"),
    ] {
        let (answer, outcome) = run(move |_: Environ, mut start_response: StartResponse| {
            start_response.start("200 OK", plain())?;
            Ok(chunks(["abc", "def"]).with_length(length))
        });
        let told = length.to_string();
        assert_eq!(
            (field(&answer, "Content-Length"), split(&answer).2),
            (Some(told.as_str()), seen)
        );
        assert!(complaint(&outcome).ends_with(rule));
    }
}

// What the application may not say.

#[test]
fn bad_statuses_are_refused() {
    let form = "a status is three digits from 200 on, a space, a reason";
    let control = "a status has no control characters";
    let latin_1 = "a status is of the characters of latin-1";
    for (status, rule) in [
        ("", form),
        ("OK", form),
        ("20 OK", form),
        ("2000 OK", form),
        ("2x0 OK", form),
        ("200OK", form),
        (" 200 OK", form),
        ("+20 OK", form),
        ("99 Low", form),
        ("000 None", form),
        ("099 Low", form),
        ("100 Continue", form),
        ("101 Switching Protocols", form),
        ("103 Early Hints", form),
        ("199 ", form),
        ("1000 High", form),
        ("２００ OK", latin_1),
        ("200 \u{2713}", latin_1),
        ("200 Sch\u{f6}n \u{2713}", latin_1),
        ("200 \u{100}", latin_1),
        ("200 OK\r\nX-Injected: yes", control),
        ("200 OK\n", control),
        ("200 OK\r", control),
        ("200 O\0K", control),
        ("200 OK\x7f", control),
    ] {
        let (answer, outcome) = run(move |_: Environ, mut start_response: StartResponse| {
            start_response.start(status, plain())?;
            Ok(Body::from("never"))
        });
        let wanted = format!("the application broke a rule of PEP 3333: {rule}");
        assert_eq!(complaint(&outcome), wanted, "{status:?}");
        assert_eq!(split(&answer).0, FAILED, "{status:?}");
        assert!(!answer.contains("Injected"), "{answer}");
    }
}

/// Any three digits that a client takes for an answer, the reason as the standard
/// leaves it: of the bytes of latin-1, or missing.
#[test]
fn odd_statuses_leave_as_they_are() {
    for (status, line) in [
        ("200 ", &b"200 "[..]),
        ("200", b"200 "),
        ("299 Fine", b"299 Fine"),
        ("600 Beyond", b"600 Beyond"),
        ("700 Odd", b"700 Odd"),
        ("999 Highest", b"999 Highest"),
        ("404 Not\tFound", b"404 Not\tFound"),
        ("200 Sch\u{f6}n", b"200 Sch\xf6n"),
        ("200 \u{80}\u{ff}", b"200 \x80\xff"),
    ] {
        let (answer, outcome) = run(move |_: Environ, mut start_response: StartResponse| {
            start_response.start(status, plain())?;
            Ok(Body::from("seen"))
        });
        let wanted = [b"HTTP/1.1 ", line, b"\r\n"].concat();
        assert!(outcome.head.starts_with(&wanted), "{status:?}: {answer}");
        assert_eq!(split(&answer).2, "seen", "{status:?}");
        assert_eq!(complaint(&outcome), "", "{status:?}");
    }
}

#[test]
fn bad_fields_are_refused() {
    let name = "the name of a header field is a token";
    let value = "a header field has no control characters";
    let number = "a Content-Length is a number";
    let mut fields = vec![
        ("", "x", name),
        ("X Y", "x", name),
        ("X:", "x", name),
        ("X\r\nX-Injected", "x", name),
        ("X\n", "x", name),
        ("X\0", "x", name),
        ("Größe", "x", name),
        ("X", "a\r\nX-Injected: yes", value),
        ("X", "a\rb", value),
        ("X", "a\nb", value),
        ("X", "a\0b", value),
        ("X", "a\x7fb", value),
        ("X", "\x1b[2J", value),
    ];
    for length in [
        "",
        "x",
        "-1",
        "+1",
        "1.0",
        "0x1",
        "1, 1",
        " ",
        "12345678901234567890",
    ] {
        fields.push(("content-LENGTH", length, number));
    }
    for (name, value, rule) in fields {
        let (answer, outcome) = run(move |_: Environ, mut start_response: StartResponse| {
            start_response.start("200 OK", headers([("X-Fine", "x"), (name, value)]))?;
            Ok(Body::from("never"))
        });
        let wanted = format!("the application broke a rule of PEP 3333: {rule}");
        assert_eq!(complaint(&outcome), wanted, "{name:?}: {value:?}");
        assert_eq!(split(&answer).0, FAILED, "{name:?}: {value:?}");
        assert!(!answer.contains("Injected"), "{answer}");
    }
    let (answer, _) = run(|_: Environ, mut start_response: StartResponse| {
        let fields = vec![("X-Obs".to_string(), b"a\tb \xe9".to_vec())];
        start_response.start("200 OK", fields)?;
        Ok(Body::from("seen"))
    });
    assert_eq!(field(&answer, "X-Obs"), Some("a\tb \u{fffd}"));
}

/// They are about the connection, which is the server's: the answer is what it
/// would be without them.
#[test]
fn hop_by_hop_fields_are_left_out() {
    for (name, value) in [
        ("Connection", "keep-alive"),
        ("Connection", "close"),
        ("CONNECTION", "X-Fine, Upgrade"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authorization", "x"),
        ("TE", "trailers"),
        ("Trailer", "X-Sum"),
        ("Trailers", "X-Sum"),
        ("Transfer-Encoding", "chunked"),
        ("transfer-ENCODING", "gzip, chunked"),
        ("Upgrade", "websocket"),
    ] {
        for again in [false, true] {
            let (answer, outcome) = run(move |_: Environ, mut start_response: StartResponse| {
                let fields = headers([(name, value), ("X-Fine", "x"), (name, value)]);
                start_response.start("200 OK", fields.clone())?;
                if again {
                    start_response.restart("200 OK", fields, "an error")?;
                }
                Ok(Body::from("seen"))
            });
            let (status, fields, body) = split(&answer);
            assert_eq!((status, body), (OK, "seen"), "{name}");
            let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
            assert_eq!(
                names,
                ["Date", "X-Fine", "Content-Length", "Connection"],
                "{name}"
            );
            assert_eq!(field(&answer, "Connection"), Some("close"), "{name}");
            assert_eq!(complaint(&outcome), "", "{name}");
        }
    }
    // What they hold must be well formed all the same.
    let (answer, outcome) = run(|_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", headers([("Connection", "x\r\nX-Injected: yes")]))?;
        Ok(Body::from("never"))
    });
    assert_eq!(split(&answer).0, FAILED);
    assert!(complaint(&outcome).ends_with("a header field has no control characters"));
}

#[test]
fn two_lengths_are_refused() {
    let (answer, outcome) = run(|_: Environ, mut start_response: StartResponse| {
        let fields = [("Content-Length", "3"), ("content-length", "3")];
        start_response.start("200 OK", headers(fields))?;
        Ok(Body::from("abc"))
    });
    assert_eq!(split(&answer).0, FAILED);
    assert!(complaint(&outcome).ends_with("there is one Content-Length"));
}

/// A replacement is checked like the first, and a bad one replaces nothing.
#[test]
fn a_replacement_is_checked_too() {
    let (answer, _) = run(|_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", plain())?;
        let bad = headers([("X", "a\r\nX-Injected: yes")]);
        assert!(start_response.restart("500 Oh", bad, "an error").is_err());
        Ok(Body::from("first"))
    });
    assert_eq!((split(&answer).0, split(&answer).2), (OK, "first"));
}

// Failures.

#[test]
fn an_application_that_fails_at_once_is_answered_with_500() {
    type App = fn(Environ, StartResponse) -> Result<Body>;
    let apps: [(App, &str); 4] = [
        (|_, _| Err("a secret".into()), "a secret"),
        (
            |_, _| panic!("a secret, as the test wants"),
            "the application panicked",
        ),
        (
            |_, mut start_response| {
                start_response.start("200 OK", plain())?;
                panic!("a secret, as the test wants");
            },
            "the application panicked",
        ),
        (
            |_, mut start_response| {
                start_response.start("200 OK", plain())?;
                Ok(Body::new(std::iter::once(Err("a secret".into()))))
            },
            "a secret",
        ),
    ];
    for (app, error) in apps {
        for method in ["GET", "HEAD"] {
            let (answer, outcome) = run_as(method, app);
            let (status, _, body) = split(&answer);
            let text = if method == "HEAD" {
                ""
            } else {
                "500 Internal Server Error\n"
            };
            assert_eq!((status, body), (FAILED, text));
            assert_eq!(field(&answer, "Content-Length"), Some("26"));
            assert!(!answer.contains("secret"), "{answer}");
            assert_eq!(complaint(&outcome), error);
        }
    }
}

/// What has left stays, and no second answer follows it.
#[test]
fn an_application_that_fails_later_breaks_its_answer_off() {
    type Step = fn() -> Option<Result<Vec<u8>>>;
    let late: [Step; 2] = [
        || Some(Err("an error".into())),
        || panic!("as the test wants"),
    ];
    for fail in late {
        let (answer, outcome) = run(move |_: Environ, mut start_response: StartResponse| {
            start_response.start("200 OK", headers([("Content-Length", "10")]))?;
            let mut chunks = 0;
            Ok(Body::new(std::iter::from_fn(move || {
                chunks += 1;
                if chunks == 1 {
                    Some(Ok(b"half".to_vec()))
                } else {
                    fail()
                }
            })))
        });
        assert_eq!((split(&answer).0, split(&answer).2), (OK, "half"));
        assert_eq!(field(&answer, "Content-Length"), Some("10"));
        assert!(outcome.error.is_some());
        assert_eq!(outcome.body, 4);
    }
}

#[test]
fn a_panic_while_the_body_is_dropped_is_caught() {
    struct Bomb;
    impl Iterator for Bomb {
        type Item = Result<Vec<u8>>;
        fn next(&mut self) -> Option<Result<Vec<u8>>> {
            None
        }
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as the test wants");
        }
    }
    let (answer, outcome) = run(|_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", plain())?;
        Ok(Body::new(Bomb))
    });
    assert_eq!(split(&answer).0, OK);
    assert_eq!(complaint(&outcome), "the application panicked");
}

#[test]
fn write_tells_that_the_client_has_left() {
    let wire = Wire::patient(1);
    let app = |_: Environ, mut start_response: StartResponse| {
        let mut write = start_response.start("200 OK", plain())?;
        write.send(b"1")?;
        assert_eq!(write.send(b"2").unwrap_err().to_string(), "broken pipe");
        let error = write.send(b"3").unwrap_err().to_string();
        assert_eq!(error, "the client has left, or its answer is over");
        Ok(Body::empty())
    };
    let outcome = respond(&app, Environ::testing_defaults(), wire.clone());
    assert_eq!(split(&wire.text()).2, "1");
    assert_eq!(outcome.body, 1);
    assert!(outcome.error.is_some());
}

/// An application that passes on what its input said blames the right side.
#[test]
fn a_broken_request_body_is_the_clients_mistake() {
    let wire = Wire::default();
    let input = RequestBody::new(&b"abc"[..], Framing::Length(5), &Limits::DEFAULT);
    let app = |mut environ: Environ, mut start_response: StartResponse| {
        let mut body = Vec::new();
        environ.input.read_to_end(&mut body)?;
        start_response.start("200 OK", plain())?;
        Ok(Body::from(body))
    };
    let mut environ = Environ::testing_defaults();
    environ.input = Box::new(input);
    let outcome = respond(&app, environ, wire.clone());
    let answer = wire.text();
    assert_eq!(split(&answer).0, "HTTP/1.1 400 Bad Request");
    assert_eq!(split(&answer).2, "400 Bad Request: the body breaks off\n");
    assert!(outcome.error.is_some());
}

#[test]
fn refuse_answers_with_the_status_of_the_refusal() {
    let wire = Wire::default();
    let refused =
        gateway::http::Head::parse(b"GET / HTTP/2.0\r\n\r\n", &Limits::DEFAULT).unwrap_err();
    let outcome = gateway::refuse(refused, wire.clone());
    let answer = wire.text();
    let (status, _, body) = split(&answer);
    assert_eq!(status, "HTTP/1.1 505 HTTP Version Not Supported");
    assert_eq!(body, format!("{refused}\n"));
    assert_eq!(
        field(&answer, "Content-Length"),
        Some(body.len().to_string().as_str())
    );
    assert_eq!(field(&answer, "Connection"), Some("close"));
    assert_eq!(
        (
            outcome.body as usize,
            outcome.error.map(|error| error.to_string())
        ),
        (body.len(), Some(refused.to_string()))
    );

    // To HEAD without the text, and as long as it would be to GET.
    for head in [
        "HEAD / HTTP/2.0\r\n\r\n",
        "\r\nHEAD / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "HEAD",
    ] {
        let mut bytes = head.as_bytes();
        let read = gateway::http::read_head(&mut bytes, &Limits::DEFAULT);
        let refused = read
            .and_then(
                |head| match gateway::http::Head::parse(&head, &Limits::DEFAULT) {
                    Ok(_) => Ok(()),
                    Err(refused) => Err(refused.into()),
                },
            )
            .unwrap_err();
        let wire = Wire::default();
        let text = format!("{refused}\n");
        let outcome = gateway::refuse(refused, wire.clone());
        let answer = wire.text();
        assert_eq!(split(&answer).2, "", "{head:?}");
        assert_eq!(
            split(&answer).0,
            format!("HTTP/1.1 {}", text.split(':').next().unwrap())
        );
        assert_eq!(
            field(&answer, "Content-Length"),
            Some(text.len().to_string().as_str())
        );
        assert_eq!(outcome.body, 0, "{head:?}");
    }

    // Also from inside of other errors; and another error is nobody's business.
    let wire = Wire::default();
    let held = std::io::Error::other(std::io::Error::from(refused));
    gateway::refuse(held, wire.clone());
    assert_eq!(
        split(&wire.text()).0,
        "HTTP/1.1 505 HTTP Version Not Supported"
    );
    let wire = Wire::default();
    gateway::refuse(std::io::Error::other("a secret"), wire.clone());
    assert_eq!(
        (split(&wire.text()).0, split(&wire.text()).2),
        (FAILED, "500 Internal Server Error\n")
    );
}
