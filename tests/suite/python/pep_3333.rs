//! What PEP 3333 says of the environ, the input, `start_response` and the body.

use super::{text, wait_for_errors, webserver2, FORKING, KEEPING, LOOP, ONE, STAYING, THREADS};
use serde_json::Value;
use std::fs;
use tests::answer::Answer;
use tests::client::get;
use tests::python::{can_check, Site, Visitor};
use tests::wait_for;

#[test]
fn the_environ() {
    if !can_check("the environ of a Python application") {
        return;
    }
    let (_site, server) = webserver2("probes:environ");
    let mut visitor = Visitor::new(&server);
    let fields = [
        ("Content-Type", "text/x-\u{e9}"),
        ("X-Twice", "a"),
        ("X-Twice", "b"),
        ("Cookie", "a=1"),
    ];
    let answer = visitor.ask(
        "PUT",
        "/caf%C3%A9/%00%2F?q=%C3%A9&r=\u{2713}",
        &fields,
        b"body",
    );
    let environ = answer.json();
    let port = server.address.port().to_string();
    for (name, value) in [
        ("REQUEST_METHOD", "'PUT'"),
        ("SCRIPT_NAME", "''"),
        ("PATH_INFO", r"'/caf\xc3\xa9/\x00/'"),
        ("QUERY_STRING", r"'q=%C3%A9&r=\xe2\x9c\x93'"),
        ("CONTENT_TYPE", r"'text/x-\xc3\xa9'"),
        ("CONTENT_LENGTH", "'4'"),
        ("SERVER_NAME", "'127.0.0.1'"),
        ("SERVER_PORT", &format!("'{port}'")),
        ("SERVER_PROTOCOL", "'HTTP/1.1'"),
        ("SERVER_SOFTWARE", "'webserver2'"),
        ("REMOTE_ADDR", "'127.0.0.1'"),
        ("HTTP_HOST", &format!("'127.0.0.1:{port}'")),
        ("HTTP_X_TWICE", "'a, b'"),
        ("HTTP_COOKIE", "'a=1'"),
        ("wsgi.version", "(1, 0)"),
        ("wsgi.url_scheme", "'http'"),
        ("wsgi.multithread", "False"),
        ("wsgi.multiprocess", "False"),
        ("wsgi.run_once", "False"),
        ("wsgi.file_wrapper", "<class 'gateway.FileWrapper'>"),
    ] {
        assert_eq!(environ[name], value, "{name}");
    }
    for name in ["HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"] {
        assert_eq!(environ[name], Value::Null, "{name}");
    }
    // Without a body there is no length.
    assert_eq!(visitor.get("/").json()["CONTENT_LENGTH"], Value::Null);
}

/// The servers keep the names of one environ for the next, and a `dict` to copy: neither
/// the fields of another request nor what an application did to its environ is ever seen.
#[test]
fn an_environ_has_nothing_of_the_one_before() {
    if !can_check("one environ after another") {
        return;
    }
    let site = Site::new();
    site.write(
        "spoils.py",
        "import probes\n\
         def app(environ, start_response):\n    \
             answer = probes.environ(environ, start_response)\n    \
             for name in environ: environ[name] = 'spoiled'\n    \
             environ['HTTP_SPOILED'] = environ['wsgi.spoiled'] = 'spoiled'\n    \
             return answer\n",
    );
    let numbered = |count: usize| (1..=count).map(|number| format!("X-{number}"));
    let long = |length: usize| format!("X-{}", "l".repeat(length - "HTTP_X_".len()));
    let requests: Vec<Vec<String>> = vec![
        numbered(10).collect(),
        ["X-0".to_string()]
            .into_iter()
            .chain(numbered(10))
            .collect(), // all move by one
        numbered(60).collect(),
        numbered(60).rev().collect(),
        vec![long(39), long(40), long(41), long(400), "X-1".into()],
        numbered(3)
            .chain([long(41)])
            .chain(numbered(8).skip(3))
            .collect(),
        vec![],
        numbered(41).collect(),
        numbered(10).collect(),
    ];
    for server in [ONE, KEEPING] {
        let server = site.serve(server, &["spoils:app"]);
        let mut visitor = Visitor::new(&server);
        let plain = visitor.get("/").json();
        for (number, names) in requests.iter().chain(&requests).enumerate() {
            let value = |name: &str| format!("{number} of {name}");
            let fields: Vec<(&str, String)> = names
                .iter()
                .map(|name| (name.as_str(), value(name)))
                .collect();
            let fields: Vec<(&str, &str)> = fields
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let mut expected = plain.clone();
            for name in names {
                let variable = format!("HTTP_{}", name.replace('-', "_").to_uppercase());
                expected[variable] = format!("'{}'", value(name)).into();
            }
            let mut environ = visitor.ask("GET", "/", &fields, b"").json();
            // Where the client and the two streams are, which differs each time.
            for varies in ["REMOTE_PORT", "wsgi.input", "wsgi.errors"] {
                environ[varies] = plain[varies].clone();
            }
            assert_eq!(environ, expected, "{names:?}");
        }
    }
}

#[test]
fn the_flags_are_true_to_the_server() {
    if !can_check("wsgi.multiprocess and its like") {
        return;
    }
    for (program, flags) in [
        (ONE, "[False, False, False]"),
        (FORKING, "[False, True, True]"),
        (STAYING, "[False, True, False]"),
        (THREADS, "[True, True, False]"),
        (LOOP, "[False, False, False]"),
        (KEEPING, "[False, False, False]"),
    ] {
        let site = Site::new();
        let server = site.serve(program, &["probes:flags"]);
        assert_eq!(Visitor::new(&server).get("/").text(), flags, "{program}");
    }
}

#[test]
fn the_input_in_every_way_of_reading() {
    if !can_check("wsgi.input") {
        return;
    }
    let (_site, server) = webserver2("probes:reads");
    let body = b"0123456\nline\nab\ncd\nef\n\xff\x00 and the rest";
    let seen = r"[b'', b'012', b'3456\n', b'li', [b'ne\n', b'ab\n'], b'cd\n', b'ef\n\xff\x00 and the rest', b'', b'', b'', [], []]";
    let mut visitor = Visitor::new(&server);
    assert_eq!(visitor.ask("POST", "/", &[], body).text(), seen);

    // What is behind the body is not the application's.
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 43\r\n\r\n";
    let mut all = head.as_bytes().to_vec();
    all.extend_from_slice(body);
    assert_eq!(body.len(), 37);
    let all = [&all[..], b" GET /another HTTP/1.1\r\n"].concat();
    let mut client = server.connect();
    client.send(all);
    let answer = Answer::read(&mut client);
    assert!(
        answer.text().contains("and the rest GET /', b''"),
        "{}",
        answer.text()
    );

    let chunked = [("Transfer-Encoding", "chunked")];
    let mut client = server.connect();
    client.send(visitor.head("POST", "/", &chunked, 0));
    client.send("a\r\n0123456\nli\r\n1b\r\nne\nab\ncd\nef\n.. and the rest\r\n0\r\n\r\n");
    assert_eq!(
        Answer::read(&mut client).text(),
        seen.replace(r"\xff\x00", "..")
    );
}

#[test]
fn a_body_that_is_the_clients_mistake_is_answered_so() {
    if !can_check("a request that breaks off") {
        return;
    }
    let (_site, server) = webserver2("probes:echo");
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    assert_eq!(Answer::read(&mut client).status, "400 Bad Request");
    let mut client = server.connect();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nshort")
        .finish();
    assert_eq!(Answer::read(&mut client).status, "400 Bad Request");
    wait_for_errors(&server, "OSError");
    assert_eq!(
        Visitor::new(&server).ask("POST", "/", &[], b"whole").text(),
        "whole"
    );
}

#[test]
fn large_bodies_both_ways() {
    if !can_check("large bodies") {
        return;
    }
    let body: Vec<u8> = (0..10_000_000u32).map(|n| (n % 251) as u8).collect();
    for application in ["probes:echo", "probes:digest", "checked_probes:echo"] {
        let (_site, server) = webserver2(application);
        let answer = Visitor::new(&server).ask("POST", "/", &[], &body);
        match application {
            "probes:echo" => assert!(answer.body == body, "{} bytes", answer.body.len()),
            _ => {
                let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
                assert_eq!(answer.text(), format!("{} {sum}", body.len()));
            }
        }
    }
}

#[test]
fn the_errors_stream() {
    if !can_check("wsgi.errors") {
        return;
    }
    let (_site, server) = webserver2("probes:errors");
    assert_eq!(Visitor::new(&server).get("/").text(), "6");
    wait_for_errors(&server, "four\n");
    let errors = server.errors();
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), 4, "{errors}");
    assert_eq!(
        [lines[0], lines[1], lines[3]],
        ["one \u{2713}", "two", "four"]
    );
    assert!(lines[2].starts_with("three "), "{errors}");
}

#[test]
fn what_an_application_prints_comes_at_once() {
    if !can_check("print in an application") {
        return;
    }
    for program in [ONE, FORKING] {
        let site = Site::new();
        let server = site.serve(program, &["probes:prints"]);
        for _ in 0..3 {
            Visitor::new(&server).get("/");
        }
        let said = || server.output().matches("said by the application\n").count();
        wait_for("three lines", || (said() == 3).then_some(()));
    }
}

#[test]
fn bodies_that_are_no_body() {
    if !can_check("chunks that are not bytes") {
        return;
    }
    let (_site, server) = webserver2("probes:chunk");
    let mut visitor = Visitor::new(&server);
    let not_bytes = |kind| {
        format!("PEP 3333 wants each chunk of a body to be bytes, and this is of the type {kind}")
    };
    for (what, why) in [
        ("str", not_bytes("str")),
        ("bytearray", not_bytes("bytearray")),
        ("none", not_bytes("NoneType")),
        ("plain_str", not_bytes("str")),
        ("plain_bytes", not_bytes("int")),
        ("no_body", "'NoneType' object is not iterable".to_string()),
        ("number", "'int' object is not iterable".to_string()),
    ] {
        let answer = visitor.get(&format!("/?{what}"));
        let said = (
            "500 Internal Server Error",
            "500 Internal Server Error\n".to_string(),
        );
        assert_eq!(text(&answer), said, "{what}");
        wait_for_errors(
            &server,
            &format!("the application raised TypeError: {why}\n"),
        );
    }
}

#[test]
fn start_response_is_checked() {
    if !can_check("start_response") {
        return;
    }
    let (_site, server) = webserver2("probes:start");
    let mut visitor = Visitor::new(&server);
    let wrong_type = |what, wanted, got| {
        format!("TypeError: PEP 3333 wants {what} to be {wanted}, and this is of the type {got}")
    };
    let exc_info = |why| {
        format!("TypeError: PEP 3333 wants exc_info to be what sys.exc_info() gives, and {why}")
    };
    let broken = |rule| format!("AssertionError: the application broke a rule of PEP 3333: {rule}");
    for (how, said) in [
        ("status_bytes", wrong_type("a status", "a str", "bytes")),
        ("status_none", wrong_type("a status", "a str", "NoneType")),
        ("status_short", "it was taken".into()),
        ("status_odd", "it was taken".into()),
        (
            "status_interim",
            broken("a status is three digits from 200 on, a space, a reason"),
        ),
        ("status_line", broken("a status has no control characters")),
        (
            "headers_tuple",
            wrong_type("the headers", "a list", "tuple"),
        ),
        ("headers_dict", wrong_type("the headers", "a list", "dict")),
        (
            "header_list",
            wrong_type("a header", "a tuple of two", "list"),
        ),
        (
            "header_three",
            wrong_type("a header", "a tuple of two", "tuple"),
        ),
        (
            "name_bytes",
            wrong_type("the name of a header", "a str", "bytes"),
        ),
        (
            "name_wrong",
            broken("the name of a header field is a token"),
        ),
        (
            "value_bytes",
            wrong_type("the value of a header", "a str", "bytes"),
        ),
        (
            "value_int",
            wrong_type("the value of a header", "a str", "int"),
        ),
        (
            "value_wide",
            "ValueError: the header X-A has a character that is none of latin-1".into(),
        ),
        ("value_surrogate", "UnicodeEncodeError: ".into()),
        (
            "value_line",
            broken("a header field has no control characters"),
        ),
        (
            "value_nul",
            broken("a header field has no control characters"),
        ),
        (
            "status_wide",
            "ValueError: the status has a character that is none of latin-1".into(),
        ),
        ("hop", "it was taken".into()),
        ("hop_te", "it was taken".into()),
        ("exc_info_none", "it was taken".into()),
        ("exc_info_empty", "it was taken".into()),
        ("exc_info_nowhere", "it was taken".into()),
        ("exc_info_base", "it was taken".into()),
        ("exc_info_wrong", exc_info("this is of the type ValueError")),
        ("exc_info_list", exc_info("this is of the type list")),
        ("exc_info_two", exc_info("this tuple has 2 parts")),
        (
            "exc_info_text",
            exc_info("its second part is no exception: 'x'"),
        ),
        (
            "exc_info_class",
            exc_info("its second part is no exception: <class 'ValueError'>"),
        ),
        (
            "exc_info_half",
            exc_info("its second part is no exception: None"),
        ),
        (
            "exc_info_other",
            exc_info("its first part is not the class of its second: <class 'KeyError'>"),
        ),
        (
            "exc_info_number",
            exc_info("its first part is not the class of its second: 5"),
        ),
        (
            "exc_info_place",
            exc_info("its third part is no traceback: 5"),
        ),
        (
            "twice",
            broken("start_response is called once, and again only with an error"),
        ),
        ("nothing", "TypeError: ".into()),
        ("write_str", wrong_type("what is written", "bytes", "str")),
        ("latin_1", "it was taken".to_string()),
        ("subclass", "it was taken".to_string()),
        ("keyword", "it was taken".to_string()),
    ] {
        let answer = visitor.get(&format!("/?{how}"));
        assert!(answer.text().starts_with(&said), "{how}: {}", answer.text());
        let status = match how {
            "status_short" => "200 ",
            "status_odd" => "700 Odd",
            _ => "200 OK",
        };
        assert_eq!(answer.status, status, "{how}");
        assert_eq!(answer.field("X-C"), None, "{how}");
    }
    let bytes = server.connect().send(get("/?latin_1")).read_to_end().0;
    let value = bytes.windows(8).any(|bytes| bytes == b"X-A: \xe9\r\n");
    assert!(value, "{}", String::from_utf8_lossy(&bytes));
    // Each of them is told of once.
    let told = server.errors_when_idle();
    for (line, field) in told.lines().zip(["Connection", "Transfer-Encoding"]) {
        assert!(
            line.starts_with(&format!("the application's field {field} is left out")),
            "{line}"
        );
    }
    assert_eq!(told.lines().count(), 2, "{told}");
}

#[test]
fn a_head_that_has_not_left_is_replaced() {
    if !can_check("exc_info before the first byte") {
        return;
    }
    let (_site, server) = webserver2("probes:replaced");
    let answer = Visitor::new(&server).get("/");
    assert_eq!(
        text(&answer),
        ("503 Service Unavailable", "come back later".to_string())
    );
    assert_eq!(
        (answer.field("X-Old"), answer.field("X-New")),
        (None, Some("1"))
    );
    assert_eq!(server.errors_when_idle(), "");
}

#[test]
fn an_error_after_the_first_byte_is_raised_again() {
    if !can_check("exc_info after the first byte") {
        return;
    }
    let (site, server) = webserver2("probes:reraised");
    let answer = Visitor::new(&server).get("/");
    assert_eq!(text(&answer), ("200 OK", "first\n".to_string()));
    assert_eq!(answer.field("Content-Length"), None);
    assert_eq!(site.notes(), "the same: True, raised in reraised\n");
    let why = "the application raised ValueError: no such fruit";
    wait_for_errors(&server, why);
}

#[test]
fn start_response_may_come_late_and_a_body_may_be_missing() {
    if !can_check("a late start_response") {
        return;
    }
    for application in ["probes:late", "checked_probes:late"] {
        let (_site, server) = webserver2(application);
        let answer = Visitor::new(&server).get("/");
        assert_eq!(
            text(&answer),
            ("201 Created", "late\n".to_string()),
            "{application}"
        );
    }
    let (_site, server) = webserver2("probes:nothing");
    let answer = Visitor::new(&server).get("/");
    assert_eq!(text(&answer), ("204 No Content", String::new()));
    assert_eq!(answer.field("Content-Length"), None);

    let (_site, server) = webserver2("probes:never_starts");
    assert_eq!(
        Visitor::new(&server).get("/").status,
        "500 Internal Server Error"
    );
}

#[test]
fn write_comes_before_what_is_returned() {
    if !can_check("write") {
        return;
    }
    for application in ["probes:writes", "checked_probes:writes"] {
        let (_site, server) = webserver2(application);
        let answer = Visitor::new(&server).get("/");
        assert_eq!(answer.text(), "written\nreturned\n", "{application}");
        assert_eq!(answer.field("Content-Length"), None);
    }
}

#[test]
fn a_file_as_a_body() {
    if !can_check("wsgi.file_wrapper") {
        return;
    }
    let (site, server) = webserver2("probes:wrapped");
    let probes = fs::read(site.folder.join("probes.py")).expect("it was copied");
    for path in ["/", "/?small"] {
        assert!(Visitor::new(&server).get(path).body == probes, "{path}");
    }
    site.write("closed.py", "from probes import *\ndef app(environ, start):\n    if environ['PATH_INFO'] == '/closed': return kept_is_closed(environ, start)\n    return wrapped(environ, start)\n");
    let server = site.serve(ONE, &["closed:app"]);
    let mut client = server.connect();
    client.send(get("/?small")).read_some();
    client.reset();
    Visitor::new(&server).get("/");
    assert_eq!(Visitor::new(&server).get("/closed").text(), "[True, True]");

    let server = site.serve(ONE, &["probes:wrapped_unclosable"]);
    assert_eq!(Visitor::new(&server).get("/").text(), "onetwo");
}

/// As gunicorn and wsgiref have it: where nothing was handled, a head is replaced that
/// has not left.
#[test]
fn an_exc_info_of_nothing() {
    if !can_check("sys.exc_info() outside of an except") {
        return;
    }
    let (_site, server) = webserver2("probes:nothing_was_handled");
    let answer = Visitor::new(&server).get("/");
    let said =
        "first\nRuntimeError: exc_info had no exception, and the head of the answer has left\n";
    assert_eq!(text(&answer), ("200 New", said.to_string()));
}

/// A prefix of the body, exactly as long as was promised.
#[test]
fn a_body_is_cut_at_its_length() {
    if !can_check("bodies that are too long") {
        return;
    }
    let (site, server) = webserver2("probes:answers");
    let mut visitor = Visitor::new(&server);
    let probes = fs::read_to_string(site.folder.join("probes.py")).expect("it was copied");
    for (how, body) in [
        ("chunks", "abcde"),
        ("chunk", "abcde"),
        ("file", &probes[..5]),
    ] {
        let answer = visitor.get(&format!("/?{how}"));
        assert_eq!(text(&answer), ("200 OK", body.to_string()), "{how}");
        assert_eq!(answer.end, tests::client::End::Closed, "{how}");
    }
}

/// As an answer of an application in production may be, and is sent by gunicorn.
#[test]
fn fields_that_are_the_servers_are_left_out() {
    if !can_check("hop-by-hop fields") {
        return;
    }
    let (_site, server) = webserver2("probes:answers");
    let mut visitor = Visitor::new(&server);
    for how in ["events", "chunked", "events", "chunked"] {
        let answer = visitor.get(&format!("/?{how}"));
        assert_eq!(
            text(&answer),
            ("200 OK", "data: 1\n\n".to_string()),
            "{how}"
        );
        assert_eq!(answer.all("Connection"), ["close"], "{how}");
        assert_eq!(answer.field("Transfer-Encoding"), None, "{how}");
    }
    for name in ["Connection", "Transfer-Encoding"] {
        wait_for_errors(&server, &format!("field {name} is left out"));
        let said = server.errors();
        let times = said.matches(&format!("field {name} is left out")).count();
        assert_eq!(times, 1, "{said}");
    }
}

#[test]
fn a_reason_is_latin_1() {
    if !can_check("a reason that is not ASCII") {
        return;
    }
    let (_site, server) = webserver2("probes:answers");
    let bytes = server.connect().send(get("/?umlaut")).read_to_end().0;
    assert!(bytes.starts_with(b"HTTP/1.1 200 Sch\xf6n\r\n"), "{bytes:?}");
}

/// A path is a client's, and a terminal obeys what it is sent.
#[test]
fn no_command_to_a_terminal_comes_from_a_path() {
    if !can_check("control characters in a path") {
        return;
    }
    for program in [ONE, FORKING] {
        for application in [
            "probes:path_in_the_log",
            "flaskapp:app",
            "djangoapp:app",
            "pyramidapp:app",
        ] {
            let site = Site::new();
            let server = site.serve(program, &[application]);
            Visitor::new(&server).get("/%1B%5B31m%C2%9B2J%0D%07");
            Visitor::new(&server).get("/second");
            if application.starts_with("probes") {
                wait_for_errors(&server, "nothing\\nat /second\n");
                assert!(
                    server.errors().contains("Exception on /\\u{1b}[31m"),
                    "{}",
                    server.errors()
                );
            }
            server.wait_for_output("/second");
            let said = server.output() + &server.errors();
            let command = said
                .chars()
                .find(|c| c.is_control() && !"\n\t".contains(*c));
            assert_eq!(command, None, "{program} {application}: {said:?}");
        }
    }
}
