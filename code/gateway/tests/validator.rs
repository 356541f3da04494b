//! Each rule of the validator, broken by one side, under or above another that
//! checks nothing itself: the side at fault and the rule are named.

use crate::common::{complaint, run, run_as, split};
use gateway::http::{Framing, Limits, RequestBody};
use gateway::{headers, validator, Application, Body, Environ, Error, Header, Result};
use gateway::{Failure, Side, StartResponse, Violation, Write};
use std::io::{self, BufRead, Cursor, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// A server that lets everything pass, and gives an error back as it should.
fn serve(application: &dyn Application, environ: Environ) -> Result<()> {
    let left = Arc::new(AtomicBool::new(false));
    let wrote = Arc::clone(&left);
    let body = application.call(
        environ,
        StartResponse::new(move |_, _, error| match error {
            Some(error) if wrote.load(Ordering::Relaxed) => Err(error),
            _ => {
                let wrote = Arc::clone(&wrote);
                Ok(Write::new(move |_| {
                    wrote.store(true, Ordering::Relaxed);
                    Ok(())
                }))
            }
        }),
    )?;
    for chunk in body {
        left.fetch_or(!chunk?.is_empty(), Ordering::Relaxed);
    }
    Ok(())
}

/// The violation in an error, or in what caused it.
fn violation(error: &Error) -> Violation {
    let held = error.downcast_ref::<io::Error>();
    let held = held.and_then(|error| error.get_ref()?.downcast_ref());
    let violation = held.or(error.downcast_ref::<Violation>());
    *violation.unwrap_or_else(|| panic!("no violation: {error}"))
}

#[track_caller]
fn blames(result: Result<()>, side: Side, rule: &str) {
    let error = result.err();
    let error = error.unwrap_or_else(|| panic!("`{rule}` is broken, and nobody says so"));
    let violation = violation(&error);
    assert_eq!((violation.side, violation.rule), (side, rule));
    let name = match side {
        Side::Server => "server",
        Side::Application => "application",
    };
    let text = format!("the {name} broke a rule of PEP 3333: {rule}");
    assert_eq!(error.to_string(), text);
}

/// The validator finds that `application` breaks `rule`, and nobody else minds.
#[track_caller]
fn application_breaks(rule: &str, application: fn(Environ, StartResponse) -> Result<Body>) {
    let unchecked = serve(&application, Environ::testing_defaults());
    unchecked.expect("without the validator nobody minds");
    let checked = serve(&validator(application), Environ::testing_defaults());
    blames(checked, Side::Application, rule);
}

fn plain() -> Vec<Header> {
    headers([("Content-Type", "text/plain")])
}

fn hello(_: Environ, mut start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", plain())?;
    Ok(Body::from("hello"))
}

/// An application that calls `start_response` with these, and sends nothing.
fn starts(status: &'static str, headers: Vec<Header>) -> impl Application {
    move |_: Environ, mut start_response: StartResponse| {
        start_response.start(status, headers.clone())?;
        Ok(Body::empty())
    }
}

// The application's side.

#[test]
fn start_response_comes_before_the_first_byte() {
    let rule = "start_response is called before the first byte";
    application_breaks(rule, |_, _| Ok(Body::from("early")));
}

#[test]
fn start_response_comes_also_without_a_body() {
    let rule = "start_response is called, also without a body";
    application_breaks(rule, |_, _| Ok(Body::empty()));
    application_breaks(rule, |_, _| Ok(Body::from("")));
}

#[test]
fn start_response_comes_once() {
    let rule = "start_response is called once, and again only with an error";
    application_breaks(rule, |_, mut start_response| {
        start_response.start("200 OK", plain())?;
        start_response.start("200 OK", plain())?;
        Ok(Body::from("hello"))
    });
}

#[test]
fn a_status_is_well_formed() {
    let form = "a status is three digits from 200 to 599, a space, a reason";
    let control = "a status has no control characters";
    for (status, rule) in [
        ("OK", form),
        ("200", form),
        ("200OK", form),
        ("99 Low", form),
        ("100 Continue", form),
        ("2x0 OK", form),
        ("600 Beyond", form),
        ("700 Odd", form),
        ("200 \u{2713}", "a status is of the characters of latin-1"),
        ("200 OK\r\nX: y", control),
    ] {
        let app = validator(starts(status, plain()));
        let checked = serve(&app, Environ::testing_defaults());
        blames(checked, Side::Application, rule);
    }
}

#[test]
fn fields_are_well_formed() {
    for (name, value, rule) in [
        ("", "y", "the name of a header field is a token"),
        ("X Y", "z", "the name of a header field is a token"),
        ("X", "y\nz", "a header field has no control characters"),
        (
            "Connection",
            "close",
            "hop-by-hop header fields are the server's",
        ),
        (
            "Transfer-Encoding",
            "chunked",
            "hop-by-hop header fields are the server's",
        ),
        ("Content-Length", "five", "a Content-Length is a number"),
        (
            "Status",
            "200 OK",
            "the status is the first argument and no header field",
        ),
        (
            "status",
            "200 OK",
            "the status is the first argument and no header field",
        ),
        ("X-", "y", "no name ends in - or _"),
        ("X_", "y", "no name ends in - or _"),
    ] {
        let app = validator(starts("200 OK", headers([("X-Fine", "z"), (name, value)])));
        let checked = serve(&app, Environ::testing_defaults());
        blames(checked, Side::Application, rule);
    }
}

#[test]
fn the_type_and_the_length_come_once() {
    let rule = "there is one Content-Type and one Content-Length";
    for (first, second, value) in [
        ("Content-Type", "content-type", "text/plain"),
        ("Content-Length", "CONTENT-LENGTH", "0"),
    ] {
        let app = validator(starts("200 OK", headers([(first, value), (second, value)])));
        let checked = serve(&app, Environ::testing_defaults());
        blames(checked, Side::Application, rule);
    }
}

#[test]
fn a_body_has_a_type() {
    application_breaks("a body has a Content-Type", |_, mut start_response| {
        start_response.start("200 OK", Vec::new())?;
        Ok(Body::from("hello"))
    });
    // Without a body there is nothing to say the type of.
    let app = validator(starts("200 OK", Vec::new()));
    serve(&app, Environ::testing_defaults()).unwrap();
}

#[test]
fn what_has_no_body_has_no_type() {
    for status in ["204 No Content", "205 Reset Content", "304 Not Modified"] {
        let app = validator(starts(status, plain()));
        let checked = serve(&app, Environ::testing_defaults());
        blames(
            checked,
            Side::Application,
            "204, 205 and 304 have no Content-Type",
        );
        serve(
            &validator(starts(status, Vec::new())),
            Environ::testing_defaults(),
        )
        .unwrap();
    }
}

#[test]
fn what_has_no_body_sends_none() {
    let rule = "204, 205 and 304 have no body";
    application_breaks(rule, |_, mut start_response| {
        start_response.start("204 No Content", Vec::new())?;
        Ok(Body::from("hello"))
    });
    application_breaks(rule, |_, mut start_response| {
        let mut write = start_response.start("304 Not Modified", Vec::new())?;
        write.send(b"hello")?;
        Ok(Body::empty())
    });
    application_breaks(rule, |_, mut start_response| {
        start_response.start("205 Reset Content", Vec::new())?;
        Ok(Body::from("hello"))
    });
    // A length that is not kept is that of a 200.
    let app = validator(starts(
        "304 Not Modified",
        headers([("Content-Length", "5")]),
    ));
    serve(&app, Environ::testing_defaults()).unwrap();
}

fn promises(length: &str) -> Vec<Header> {
    headers([("Content-Type", "text/plain"), ("Content-Length", length)])
}

#[test]
fn a_body_is_as_long_as_its_length() {
    let longer = "the body is no longer than Content-Length";
    application_breaks(longer, |_, mut start_response| {
        start_response.start("200 OK", promises("4"))?;
        Ok(Body::from("hello"))
    });
    application_breaks(longer, |_, mut start_response| {
        let mut write = start_response.start("200 OK", promises("4"))?;
        write.send(b"hell")?;
        write.send(b"o")?;
        Ok(Body::empty())
    });
    application_breaks(
        "the body is no shorter than Content-Length",
        |_, mut start_response| {
            start_response.start("200 OK", promises("6"))?;
            Ok(Body::from("hello"))
        },
    );
    // Of several chunks, and of `write`, together.
    let app = validator(|_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", promises("7"))?.send(b"he")?;
        Ok(Body::new(
            ["ll", "", "o", "!!"].map(|chunk| Ok(chunk.into())),
        ))
    });
    serve(&app, Environ::testing_defaults()).unwrap();
}

/// To HEAD an application may say what GET would bring, and bring as much of it
/// as it likes.
#[test]
fn after_head_the_length_is_that_of_get() {
    for length in ["4", "5", "6"] {
        let app = validator(move |_: Environ, mut start_response: StartResponse| {
            start_response.start("200 OK", promises(length))?;
            Ok(Body::from("hello"))
        });
        let mut environ = Environ::testing_defaults();
        environ.set("REQUEST_METHOD", "HEAD");
        serve(&app, environ).unwrap();
    }
}

#[test]
fn a_body_does_not_call_write() {
    application_breaks("a body does not call write", |_, mut start_response| {
        let mut write = start_response.start("200 OK", plain())?;
        let mut steps = 0;
        Ok(Body::new(std::iter::from_fn(move || {
            steps += 1;
            (steps == 1).then(|| write.send(b"hello").map(|()| Vec::new()))
        })))
    });
}

// The server's side.

#[test]
fn the_environ_is_well_formed() {
    type Wrong = fn(&mut Environ);
    let wrong: [(Wrong, &str); 25] = [
        (
            |e| drop(e.remove("REQUEST_METHOD")),
            "REQUEST_METHOD is a method",
        ),
        (
            |e| e.set("REQUEST_METHOD", ""),
            "REQUEST_METHOD is a method",
        ),
        (
            |e| e.set("REQUEST_METHOD", "G T"),
            "REQUEST_METHOD is a method",
        ),
        (
            |e| drop(e.remove("SERVER_NAME")),
            "SERVER_NAME is there and not empty",
        ),
        (
            |e| e.set("SERVER_NAME", ""),
            "SERVER_NAME is there and not empty",
        ),
        (
            |e| e.set("SERVER_NAME", "::1"),
            "an address of IPv6 in SERVER_NAME is in brackets",
        ),
        (|e| drop(e.remove("SERVER_PORT")), "SERVER_PORT is a number"),
        (|e| e.set("SERVER_PORT", ""), "SERVER_PORT is a number"),
        (|e| e.set("SERVER_PORT", "http"), "SERVER_PORT is a number"),
        (|e| e.set("SERVER_PORT", "65536"), "SERVER_PORT is a number"),
        (
            |e| drop(e.remove("SERVER_PROTOCOL")),
            "SERVER_PROTOCOL is a version of HTTP",
        ),
        (
            |e| e.set("SERVER_PROTOCOL", "1.1"),
            "SERVER_PROTOCOL is a version of HTTP",
        ),
        (
            |e| e.set("SCRIPT_NAME", "app"),
            "SCRIPT_NAME begins with a slash, or is empty",
        ),
        (
            |e| e.set("SCRIPT_NAME", "/"),
            "SCRIPT_NAME is empty where the application is the root",
        ),
        (
            |e| e.set("PATH_INFO", "hello"),
            "PATH_INFO begins with a slash, or is empty",
        ),
        (
            |e| e.set("PATH_INFO", "*"),
            "PATH_INFO begins with a slash, or is empty",
        ),
        (
            |e| drop(e.remove("PATH_INFO")),
            "PATH_INFO is there where SCRIPT_NAME is empty",
        ),
        (
            |e| e.set("CONTENT_LENGTH", "five"),
            "CONTENT_LENGTH is a number, where it is there",
        ),
        (
            |e| e.set("CONTENT_LENGTH", "-5"),
            "CONTENT_LENGTH is a number, where it is there",
        ),
        (
            |e| e.set("HTTP_CONTENT_TYPE", "x"),
            "CONTENT_TYPE and CONTENT_LENGTH have no HTTP_",
        ),
        (
            |e| e.set("HTTP_CONTENT_LENGTH", "5"),
            "CONTENT_TYPE and CONTENT_LENGTH have no HTTP_",
        ),
        (|e| e.url_scheme = "ftp", "wsgi.url_scheme is http or https"),
        (|e| e.url_scheme = "", "wsgi.url_scheme is http or https"),
        (|e| e.version = (1, 1), "wsgi.version is (1, 0)"),
        (|e| e.version = (0, 0), "wsgi.version is (1, 0)"),
    ];
    for (change, rule) in wrong {
        let mut environ = Environ::testing_defaults();
        change(&mut environ);
        blames(serve(&validator(hello), environ), Side::Server, rule);
    }
    let right: [Wrong; 7] = [
        |e| e.set("REQUEST_METHOD", "M-SEARCH"),
        |e| e.set("SERVER_NAME", "[::1]"),
        |e| e.set("SCRIPT_NAME", "/app"),
        |e| e.set("PATH_INFO", ""),
        |e| {
            e.set("SCRIPT_NAME", "/app");
            e.remove("PATH_INFO");
        },
        |e| e.set("CONTENT_LENGTH", ""),
        |e| e.url_scheme = "https",
    ];
    for change in right {
        let mut environ = Environ::testing_defaults();
        change(&mut environ);
        serve(&validator(hello), environ).unwrap();
    }
}

/// Reads all of its input, with buffers of this size.
fn reads(size: usize) -> impl Application {
    move |mut environ: Environ, mut start_response: StartResponse| {
        let mut buffer = vec![0; size];
        let mut body = Vec::new();
        loop {
            match environ.input.read(&mut buffer)? {
                0 => break,
                read => body.extend_from_slice(&buffer[..read]),
            }
        }
        start_response.start("200 OK", plain())?;
        Ok(Body::from(body))
    }
}

#[test]
fn the_input_ends_where_its_length_says() {
    let rule = "wsgi.input ends where CONTENT_LENGTH says";
    let with_length = |length: &str| {
        let mut environ = Environ::testing_defaults();
        environ.input = Box::new(Cursor::new("12345"));
        environ.set("CONTENT_LENGTH", length);
        environ
    };
    for size in [1, 4, 5, 100] {
        for wrong in ["0", "4", "6", "100"] {
            let checked = serve(&validator(reads(size)), with_length(wrong));
            blames(checked, Side::Server, rule);
        }
        for right in ["5", ""] {
            serve(&validator(reads(size)), with_length(right)).unwrap();
        }
    }
    // Also for those who read lines.
    let app = validator(|environ: Environ, mut start_response: StartResponse| {
        let lines: io::Result<Vec<String>> = environ.input.lines().collect();
        start_response.start("200 OK", plain())?;
        Ok(Body::from(lines?.join(" ")))
    });
    blames(serve(&app, with_length("4")), Side::Server, rule);
    serve(&app, with_length("5")).unwrap();
}

/// A client that leaves is its own fault, and the error says so.
#[test]
fn a_broken_request_is_nobodys_violation() {
    let mut environ = Environ::testing_defaults();
    environ.set("CONTENT_LENGTH", "5");
    environ.input = Box::new(RequestBody::new(
        &b"123"[..],
        Framing::Length(5),
        &Limits::DEFAULT,
    ));
    let error = serve(&validator(reads(100)), environ).unwrap_err();
    assert_eq!(error.to_string(), "400 Bad Request: the body breaks off");
}

#[test]
fn a_body_is_not_asked_again() {
    let rule = "a body is not asked again after its end";
    let anything = StartResponse::new(|_, _, _| Ok(Write::new(|_| Ok(()))));
    let app = validator(hello);
    let mut body = app.call(Environ::testing_defaults(), anything).unwrap();
    assert_eq!(body.next().unwrap().unwrap(), b"hello");
    assert!(body.next().is_none());
    for _ in 0..2 {
        let again = body.next().expect("it complains").map(drop);
        blames(again, Side::Server, rule);
    }

    // A failure is an end too, and so is a violation.
    type App = fn(Environ, StartResponse) -> Result<Body>;
    let apps: [App; 2] = [
        |_, mut start_response| {
            start_response.start("200 OK", plain())?;
            Ok(Body::new(std::iter::repeat_with(|| Err("it fails".into()))))
        },
        |_, _| Ok(Body::new(std::iter::repeat_with(|| Ok(b"early".to_vec())))),
    ];
    for app in apps {
        let anything = StartResponse::new(|_, _, _| Ok(Write::new(|_| Ok(()))));
        let mut body = validator(app)
            .call(Environ::testing_defaults(), anything)
            .unwrap();
        assert!(body.next().unwrap().is_err());
        let again = body.next().expect("it complains").map(drop);
        blames(again, Side::Server, rule);
    }
}

/// Fails after its first byte, and says so in the way of PEP 3333.
fn fails_late(_: Environ, mut start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", plain())?;
    let mut steps = 0;
    Ok(Body::new(std::iter::from_fn(move || {
        steps += 1;
        if steps == 1 {
            return Some(Ok(b"All is w".to_vec()));
        }
        let again = start_response.restart("500 Oh", plain(), "it fails");
        Some(again.map(|_| Vec::new()))
    })))
}

#[test]
fn start_response_gives_the_error_back() {
    let rule = "start_response gives the error back once bytes have left";
    let app = validator(fails_late);
    let anything = StartResponse::new(|_, _, _| Ok(Write::new(|_| Ok(()))));
    let mut body = app.call(Environ::testing_defaults(), anything).unwrap();
    assert!(body.next().unwrap().is_ok());
    blames(body.next().unwrap().map(drop), Side::Server, rule);

    let error = serve(&app, Environ::testing_defaults()).unwrap_err();
    assert_eq!(error.to_string(), "it fails");

    // Before the first byte the head is replaced, and what was promised with it.
    let app = validator(|_: Environ, mut start_response: StartResponse| {
        start_response.start("200 OK", promises("100"))?;
        start_response.restart("204 No Content", Vec::new(), "it fails")?;
        start_response.restart("500 Oh", promises("2"), "it fails")?;
        Ok(Body::from("oh"))
    });
    serve(&app, Environ::testing_defaults()).unwrap();
}

// Nobody's fault.

/// The validator changes nothing about what is right, `respond` included.
#[test]
fn what_is_right_passes_unchanged() {
    for method in ["GET", "HEAD"] {
        let (bare, _) = run_as(method, hello);
        let (checked, outcome) = run_as(method, validator(hello));
        let without_date = |answer: &str| {
            let (status, mut fields, body) = split(answer);
            fields.retain(|(name, _)| *name != "Date");
            format!("{status}{fields:?}{body}")
        };
        assert_eq!(without_date(&bare), without_date(&checked));
        assert_eq!(complaint(&outcome), "");
    }
    // Nor does it make the server believe that it knows the whole.
    let (answer, _) = run(validator(
        |_: Environ, mut start_response: StartResponse| {
            start_response.start("200 OK", plain())?;
            let mut chunks = ["hel", "lo"].iter();
            Ok(Body::new(std::iter::from_fn(move || {
                Some(Ok(chunks.next()?.as_bytes().to_vec()))
            })))
        },
    ));
    assert_eq!(split(&answer).2, "hello");
    assert_eq!(crate::common::field(&answer, "Content-Length"), None);

    let (answer, outcome) = run(validator(fails_late));
    assert_eq!(
        (split(&answer).2, complaint(&outcome).as_str()),
        ("All is w", "it fails")
    );

    let (answer, outcome) = run(validator(
        |_: Environ, mut start_response: StartResponse| {
            start_response.start("200 OK", plain())?.send(b"hel")?;
            Ok(Body::new(["", "lo"].map(|chunk| Ok(chunk.into()))))
        },
    ));
    assert_eq!(
        (split(&answer).2, complaint(&outcome).as_str()),
        ("hello", "")
    );
}

/// Called late, by the body's first step.
#[test]
fn a_late_start_passes() {
    let (answer, outcome) = run(validator(
        |_: Environ, mut start_response: StartResponse| {
            Ok(Body::new(std::iter::once_with(move || {
                start_response.start("200 OK", plain())?;
                Ok(b"late".to_vec())
            })))
        },
    ));
    assert_eq!(
        (split(&answer).2, complaint(&outcome).as_str()),
        ("late", "")
    );
}

/// Also when the client leaves under an application that wants to apologize.
#[test]
fn a_client_that_leaves_is_nobodys_violation() {
    let wire = crate::common::Wire::patient(0);
    let app = validator(|_: Environ, mut start_response: StartResponse| {
        let mut write = start_response.start("200 OK", plain())?;
        if let Err(error) = write.send(b"anybody there?") {
            start_response.restart("500 Oh", plain(), error)?;
        }
        Ok(Body::empty())
    });
    let outcome = gateway::respond(&app, Environ::testing_defaults(), wire);
    assert_eq!(complaint(&outcome), "broken pipe");
}

/// A violation is answered with 500, and the client is not told why.
#[test]
fn a_violation_is_answered_with_500() {
    let (answer, outcome) = run(validator(|_: Environ, _: StartResponse| {
        Ok(Body::from("early"))
    }));
    assert_eq!(split(&answer).0, "HTTP/1.1 500 Internal Server Error");
    assert_eq!(split(&answer).2, "500 Internal Server Error\n");
    let Some(Failure::Broken(violation)) = outcome.error else {
        panic!("{:?}", outcome.error)
    };
    assert_eq!(violation.side, Side::Application);
}
