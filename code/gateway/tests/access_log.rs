//! The access log: a line for each request, however it ends, that says what the
//! client was told.

use crate::common::{run, run_as, split, Wire};
use gateway::http::{Framing, Limits, RequestBody};
use gateway::{access_log, headers, respond, validator};
use gateway::{Application, Body, Environ, Result, StartResponse};
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines of the log, the date of each cut out.
fn lines(log: &Log) -> Vec<String> {
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| {
            let (before, rest) = line.split_once('[').unwrap();
            let (_, after) = rest.split_once(']').unwrap();
            format!("{before}[]{after}")
        })
        .collect()
}

/// The line for one request, with the answer that it got.
fn logged(environ: Environ, application: impl Application) -> (String, String) {
    let (log, wire) = (Log::default(), Wire::default());
    respond(&access_log(application, log.clone()), environ, wire.clone());
    let lines = lines(&log);
    assert_eq!(lines.len(), 1, "{lines:?}");
    (lines[0].clone(), wire.text())
}

type App = fn(Environ, StartResponse) -> Result<Body>;

fn hello(_: Environ, mut start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", headers([("Content-Type", "text/plain")]))?;
    Ok(Body::from("Hello, World!\n"))
}

#[test]
fn a_line_has_the_common_format() {
    let (log, before) = (Log::default(), SystemTime::now());
    let mut environ = Environ::testing_defaults();
    environ.set("SCRIPT_NAME", "/app");
    environ.set("PATH_INFO", "/hello");
    environ.set("QUERY_STRING", "a=b");
    respond(&access_log(hello, log.clone()), environ, io::sink());

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = text.strip_suffix('\n').unwrap();
    let rest = line.strip_prefix("127.0.0.1 - - [").unwrap();
    let (date, rest) = rest.split_once("] ").unwrap();
    assert_eq!(rest, "\"GET /app/hello?a=b HTTP/1.1\" 200 14");
    // It is now, in the format of the log: one of the seconds of this test.
    let seconds = (0..30).map(|second| before + Duration::from_secs(second));
    let mut dates = seconds.map(|time| {
        let http = httpdate::fmt_http_date(time); // Tue, 24 Nov 2026 20:03:31 GMT
        let words: Vec<&str> = http.split_whitespace().collect();
        format!("{}/{}/{}:{} +0000", words[1], words[2], words[3], words[4])
    });
    assert!(dates.any(|wanted| wanted == date), "{date}");
}

#[test]
fn a_line_says_what_the_client_was_told() {
    let apps: [(&str, App); 13] = [
        ("200 14", hello),
        ("204 -", |_, mut start_response| {
            start_response.start("204 No Content", Vec::new())?;
            Ok(Body::empty())
        }),
        ("404 4", |_, mut start_response| {
            start_response.start("200 OK", Vec::new())?;
            start_response.restart("404 Not Found", Vec::new(), "no")?;
            Ok(Body::from("none"))
        }),
        ("200 6", |_, mut start_response| {
            start_response.start("200 OK", Vec::new())?.send(b"12")?;
            Ok(Body::new(["34", "", "56"].map(|chunk| Ok(chunk.into()))))
        }),
        ("201 4", |_, mut start_response| {
            Ok(Body::new(std::iter::once_with(move || {
                start_response.start("201 Created", Vec::new())?;
                Ok(b"late".to_vec())
            })))
        }),
        // Failures before the first byte: the server answers.
        ("500 -", |_, _| Err("it fails".into())),
        ("500 -", |_, mut start_response| {
            start_response.start("200 OK", Vec::new())?;
            Err("it fails".into())
        }),
        ("500 -", |_, mut start_response| {
            start_response.start("200 OK", Vec::new())?;
            let mut steps = [Ok(Vec::new()), Err("it fails".into())].into_iter();
            Ok(Body::new(std::iter::from_fn(move || steps.next())))
        }),
        ("500 -", |_, mut start_response| {
            start_response.start("200 OK", Vec::new())?;
            panic!("as the test wants")
        }),
        ("500 -", |_, _| Ok(Body::empty())),
        ("500 -", |_, mut start_response| {
            start_response.start("OK", Vec::new())?;
            Ok(Body::from("never"))
        }),
        // And after it: what has left stays.
        ("200 4", |_, mut start_response| {
            start_response.start("200 OK", Vec::new())?;
            let mut steps = 0;
            Ok(Body::new(std::iter::from_fn(move || {
                steps += 1;
                Some(if steps == 1 {
                    Ok(b"half".to_vec())
                } else {
                    Err("it fails".into())
                })
            })))
        }),
        ("200 4", |_, mut start_response| {
            start_response.start("200 OK", Vec::new())?;
            let mut steps = 0;
            Ok(Body::new(std::iter::from_fn(move || {
                steps += 1;
                assert_eq!(steps, 1, "as the test wants");
                Some(Ok(b"half".to_vec()))
            })))
        }),
    ];
    for (number, (end, app)) in apps.into_iter().enumerate() {
        let (line, answer) = logged(Environ::testing_defaults(), app);
        let wanted = format!("127.0.0.1 - - [] \"GET / HTTP/1.1\" {end}");
        assert_eq!(line, wanted, "application {number}");
        let (status, _, body) = split(&answer);
        assert_eq!(
            status["HTTP/1.1 ".len()..][..3],
            end[..3],
            "application {number}"
        );
        if !status.contains("500") {
            let bytes = end[4..].parse().unwrap_or(0);
            assert_eq!(body.len(), bytes, "application {number}");
        }
    }
}

/// A request whose body is broken is answered with 400, and so logged.
#[test]
fn a_refusal_is_logged_as_one() {
    for late in [false, true] {
        let mut environ = Environ::testing_defaults();
        environ.input = Box::new(RequestBody::new(
            &b"123"[..],
            Framing::Length(5),
            &Limits::DEFAULT,
        ));
        let (line, answer) = logged(
            environ,
            move |mut environ: Environ, mut start_response: StartResponse| {
                start_response.start("200 OK", Vec::new())?;
                let mut read = move || {
                    let mut body = Vec::new();
                    environ.input.read_to_end(&mut body)?;
                    Ok(body)
                };
                match late {
                    true => Ok(Body::new(std::iter::once_with(read))),
                    false => Ok(Body::from(read()?)),
                }
            },
        );
        assert_eq!(line, "127.0.0.1 - - [] \"GET / HTTP/1.1\" 400 -");
        assert_eq!(split(&answer).0, "HTTP/1.1 400 Bad Request");
    }
}

/// A client cannot write lines of its own into the log.
#[test]
fn what_the_client_sends_is_escaped() {
    for (path, logged_as) in [
        ("/a b", "/a b"),
        ("/\"x\"", "/\\\"x\\\""),
        (
            "/x\n127.0.0.1 - - [] \"GET / HTTP/1.1\" 200 14",
            "/x\\n127.0.0.1 - - [] \\\"GET / HTTP/1.1\\\" 200 14",
        ),
        ("/\x1b[2J\r\0", "/\\u{1b}[2J\\r\\0"),
        ("/é", "/é"),
    ] {
        let mut environ = Environ::testing_defaults();
        environ.set("PATH_INFO", path);
        let (line, _) = logged(environ, hello);
        let wanted = format!("127.0.0.1 - - [] \"GET {logged_as} HTTP/1.1\" 200 14");
        assert_eq!(line, wanted);
    }
}

/// Nor can it where middleware has taken the address from a field.
#[test]
fn the_address_is_printable() {
    let mut environ = Environ::testing_defaults();
    environ.set("REMOTE_ADDR", "::1\n\x1b7");
    let (line, _) = logged(environ, hello);
    assert_eq!(line, "::1\\n\\u{1b}7 - - [] \"GET / HTTP/1.1\" 200 14");
}

/// The line comes with the end, and not with the return of the application.
#[test]
fn the_line_comes_when_the_answer_is_over() {
    let log = Log::default();
    let seen = log.clone();
    let app = move |_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", Vec::new())?;
        let seen = seen.clone();
        let mut steps = 0;
        Ok(Body::new(std::iter::from_fn(move || {
            steps += 1;
            assert_eq!(lines(&seen), [""; 0]);
            (steps <= 3).then(|| Ok(b"x".to_vec()))
        })))
    };
    respond(
        &access_log(app, log.clone()),
        Environ::testing_defaults(),
        io::sink(),
    );
    assert_eq!(lines(&log), ["127.0.0.1 - - [] \"GET / HTTP/1.1\" 200 3"]);
}

/// One line a request, of however many.
#[test]
fn requests_have_a_line_each() {
    let log = Log::default();
    let app = access_log(hello, log.clone());
    for _ in 0..3 {
        respond(&app, Environ::testing_defaults(), io::sink());
    }
    assert_eq!(lines(&log).len(), 3);
}

/// Nothing about the answer changes, and neither side has anything to object.
#[test]
fn the_answer_is_the_same() {
    for method in ["GET", "HEAD"] {
        let (bare, _) = run_as(method, hello);
        let app = validator(access_log(validator(hello), Log::default()));
        let (with_log, outcome) = run_as(method, app);
        let without_date = |answer: &str| {
            let (status, mut fields, body) = split(answer);
            fields.retain(|(name, _)| *name != "Date");
            format!("{status}{fields:?}{body}")
        };
        assert_eq!(without_date(&bare), without_date(&with_log));
        assert!(outcome.error.is_none());
    }
}

/// A disk that is full is no reason to fail the request.
#[test]
fn a_log_that_cannot_be_written_fails_nothing() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (answer, outcome) = run(access_log(hello, Full));
    assert_eq!(split(&answer).2, "Hello, World!\n");
    assert!(outcome.error.is_none());
}
