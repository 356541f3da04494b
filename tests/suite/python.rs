//! Python's applications, unchanged, on the servers of the course.
//!
//!     cargo test --test suite --features tests/python python::
//!
//! They need a virtual environment: tests/src/python.rs says how it is made.

use serde_json::{json, Value};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use tests::client::{get, End};
use tests::python::{can_check, environment, Answer, Browser, Site};
use tests::server::{run_to_end, Server};
use tests::{left_out, wait_for};

/// One client at a time, in one process.
const ONE: &str = "webserver2";

/// Each request in a process of its own.
const FORKING: &str = "webserver3h";

/// The applications of the course, each under its own name and inside wsgiref's
/// validator.
const OURS: [[&str; 2]; 4] = [
    ["python:wsgiapp:app", "checked:wsgi"],
    ["flaskapp:app", "checked:flask"],
    ["pyramidapp:app", "checked:pyramid"],
    ["djangoapp:app", "checked:django"],
];

fn webserver2(application: &str) -> (Site, Server) {
    let site = Site::new();
    let server = site.serve(ONE, &[application]);
    (site, server)
}

fn text(answer: &Answer) -> (&str, String) {
    (answer.status.as_str(), answer.text())
}

// The applications of the course.

#[test]
fn our_applications_one_at_a_time() {
    if can_check("our applications under webserver2") {
        for application in OURS.iter().flatten() {
            visit(ONE, application);
        }
    }
}

#[test]
fn our_applications_in_forked_processes() {
    if can_check("our applications in forked processes") {
        for application in OURS.iter().flatten() {
            visit(FORKING, application);
        }
    }
}

#[test]
fn our_applications_inside_our_own_validator() {
    if can_check("our applications inside our own validator") {
        for [application, _] in OURS {
            visit(ONE, &format!("validator:{application}"));
        }
    }
}

/// Visits what all four have: a page, a form, a cookie, and nothing.
fn visit(program: &str, application: &str) {
    let site = Site::new();
    let server = site.serve(program, &[application]);
    let mut browser = Browser::new(&server);
    let context = || format!("{program} {application}: {}", server.errors());

    let hello = browser.get("/hello");
    assert_eq!(hello.status, "200 OK", "{}", context());
    assert!(hello.text().starts_with("Hello world from "), "{hello:?}");
    assert_eq!(hello.end, End::Closed);
    if !application.starts_with("checked") {
        let length = hello.body.len().to_string();
        assert_eq!(hello.header("Content-Length"), Some(length.as_str()));
    }

    let head = browser.ask("HEAD", "/hello", &[], b"");
    assert_eq!(text(&head), ("200 OK", String::new()), "{}", context());

    // Django wants to know that the form is its own.
    browser.get("/greet");
    let token = browser.cookie("csrftoken").unwrap_or_default().to_string();
    let form = [
        ("csrfmiddlewaretoken", token.as_str()),
        ("name", "Ada & Zoë"),
    ];
    let greeting = browser.post("/greet", &form);
    assert_eq!(greeting.status, "200 OK", "{}", context());
    let html = greeting
        .text()
        .replace("&amp;", "&")
        .replace("\\u00eb", "ë");
    assert!(html.contains("Ada & Zoë"), "{html}");

    for visit in ["1", "2", "3"] {
        let visits = browser.get("/visits");
        assert!(visits.text().contains(visit), "{visits:?} {}", context());
    }
    let missing = browser.get("/no/such/page");
    let said = (
        "404 NOT FOUND", // as Flask spells it
        "There is no /no/such/page here.\n".to_string(),
    );
    let status = missing.status.to_uppercase();
    assert_eq!((status.as_str(), missing.text()), said, "{}", context());
    assert_eq!(server.errors(), "", "{program} {application}");
}

#[test]
fn a_project_of_djangos_under_its_own_name() {
    if !can_check("helloworld.wsgi:application") {
        return;
    }
    let (_site, server) = webserver2("helloworld.wsgi:application");
    let hello = Browser::new(&server).get("/hello");
    assert_eq!(
        text(&hello),
        ("200 OK", "Hello world from Django!\n".to_string())
    );
}

/// The session is in the database, and each request in another process.
#[test]
fn djangos_admin_and_its_sessions() {
    if !can_check("Django's admin") {
        return;
    }
    for (program, arguments) in [
        (ONE, &["djangoapp:app"][..]),
        (FORKING, &["djangoapp:app"]),
        (FORKING, &["djangoapp:app", "--warm", "/hello"]),
    ] {
        let site = Site::new();
        let server = site.serve(program, arguments);
        let mut create = Command::new(environment().join("bin/python"));
        create
            .current_dir(&site.folder)
            .args(["manage.py", "createsuperuser"]);
        create.args([
            "--noinput",
            "--username",
            "ada",
            "--email",
            "ada@example.com",
        ]);
        create.env("DJANGO_SUPERUSER_PASSWORD", "analytical");
        let (code, _, errors) = run_to_end(&mut create);
        assert_eq!(code, Some(0), "{errors}");

        let mut browser = Browser::new(&server);
        let page = browser.get("/admin/login/");
        assert!(page.text().contains("Django administration"), "{page:?}");
        let token = browser
            .cookie("csrftoken")
            .expect("Django sets it")
            .to_string();
        let fields = [
            ("csrfmiddlewaretoken", token.as_str()),
            ("username", "ada"),
            ("password", "analytical"),
            ("next", "/admin/"),
        ];
        let login = browser.post("/admin/login/", &fields);
        assert_eq!(login.status, "302 Found", "{}", server.errors());
        assert!(browser
            .get("/admin/")
            .text()
            .contains("Site administration"));

        let token = browser
            .cookie("csrftoken")
            .expect("Django sets it")
            .to_string();
        let fields = [
            ("csrfmiddlewaretoken", token.as_str()),
            ("name", "Engineers"),
        ];
        let added = browser.post("/admin/auth/group/add/", &fields);
        assert_eq!(added.status, "302 Found", "{added:?}");
        assert!(browser
            .get("/admin/auth/group/")
            .text()
            .contains("Engineers"));

        // A file, by way of wsgi.file_wrapper.
        let style = browser.get("/static/admin/css/base.css");
        let length = style.body.len().to_string();
        assert_eq!(style.header("Content-Length"), Some(length.as_str()));
        assert!(style.body.len() > 10_000, "{}", style.status);
        assert!(Browser::new(&server)
            .get("/admin/")
            .status
            .starts_with("302"));
    }
}

/// Which variables of the environ our applications need for a page that says Hello.
#[test]
fn what_each_cannot_do_without() {
    if !can_check("applications without a variable") {
        return;
    }
    let (_site, server) = webserver2("probes:environ");
    let environ = Browser::new(&server).get("/").json();
    let names: Vec<&String> = environ.as_object().expect("a dict").keys().collect();
    assert!(names.len() >= 20, "{names:?}");
    for (application, missed) in [
        (
            "without:flask",
            &[
                ("PATH_INFO", "404 NOT FOUND"),
                ("REQUEST_METHOD", "500 Internal Server Error"),
                ("wsgi.url_scheme", "500 Internal Server Error"),
            ][..],
        ),
        (
            "without:pyramid",
            &[
                ("PATH_INFO", "500 Internal Server Error"),
                ("REQUEST_METHOD", "500 Internal Server Error"),
            ],
        ),
        (
            "without:django",
            &[
                ("PATH_INFO", "404 Not Found"),
                ("REQUEST_METHOD", "500 Internal Server Error"),
                ("wsgi.input", "500 Internal Server Error"),
            ],
        ),
    ] {
        let (_site, server) = webserver2(application);
        for name in &names {
            let answer = Browser::new(&server).get(&format!("/hello?{name}"));
            let missed = missed.iter().find(|(missed, _)| missed == name);
            let status = missed.map_or("200 OK", |(_, status)| status);
            assert_eq!(answer.status, status, "{application} without {name}");
        }
        // Nor is a Host needed, but by Django, which then asks for the server's name.
        let status = |path: &str| {
            let mut client = server.connect();
            client.send(format!("GET {path} HTTP/1.0\r\n\r\n"));
            Answer::read(&mut client).status
        };
        assert_eq!(status("/hello"), "200 OK", "{application}");
        for name in ["SERVER_NAME", "SERVER_PORT"] {
            let status = status(&format!("/hello?{name}"));
            match application {
                "without:django" => assert_eq!(status, "500 Internal Server Error", "{name}"),
                _ => assert_eq!(status, "200 OK", "{application} without {name}"),
            }
        }
    }
}

#[test]
fn an_environ_is_a_dict_and_nothing_like_one() {
    if !can_check("an environ that is like a dict") {
        return;
    }
    let site = Site::new();
    site.write("alike.py", "import without\nclass Alike(dict): pass\ndef alike(app):\n    return lambda environ, start: app(Alike(environ), start)\nflask, pyramid, django = map(alike, (without.flaskapp.app, without.pyramidapp.app, without.djangoapp.app))\n");
    for (application, status) in [
        ("alike:flask", "200 OK"),
        ("alike:pyramid", "500 Internal Server Error"),
        ("alike:django", "200 OK"),
    ] {
        let server = site.serve(ONE, &[application]);
        let answer = Browser::new(&server).get("/hello");
        assert_eq!(answer.status, status, "{application}");
    }
}

#[test]
fn an_upload_of_ten_megabytes() {
    if !can_check("an upload to Flask") {
        return;
    }
    let content: Vec<u8> = (0..10_000_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut body =
        b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"data\"\r\n\r\n"
            .to_vec();
    body.extend_from_slice(&content);
    body.extend_from_slice(b"\r\n--edge--\r\n");
    let kind = ("Content-Type", "multipart/form-data; boundary=edge");
    for program in [ONE, FORKING] {
        for application in ["flaskapp:app", "checked:flask"] {
            let site = Site::new();
            let server = site.serve(program, &[application]);
            let answer = Browser::new(&server).ask("POST", "/upload", &[kind], &body);
            let size = answer.json()["size"].as_u64();
            assert_eq!(size, Some(content.len() as u64), "{}", server.errors());
            let sum = answer.json()["sha256"].clone();
            let python =
                "import hashlib,sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())";
            assert_eq!(
                sum,
                output_of_python(python, &content),
                "{program} {application}"
            );
        }
    }
}

#[test]
fn a_form_without_a_length() {
    if !can_check("a form in chunks") {
        return;
    }
    let chunks = "4\r\nname\r\n4\r\n=Ada\r\n0\r\n\r\n";
    let form = "application/x-www-form-urlencoded";
    for application in ["flaskapp:app", "pyramidapp:app"] {
        let (_site, server) = webserver2(application);
        let browser = Browser::new(&server);
        let fields = [("Transfer-Encoding", "chunked"), ("Content-Type", form)];
        let mut client = server.connect();
        client
            .send(browser.head("POST", "/greet", &fields, 0))
            .send(chunks);
        let greeting = Answer::read(&mut client).text();
        assert!(greeting.contains("Ada"), "{application}: {greeting}");
    }
}

fn output_of_python(code: &str, input: &[u8]) -> String {
    use std::io::Write;
    let mut python = Command::new(environment().join("bin/python"));
    python
        .args(["-c", code])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = python.spawn().expect("the environment has a python");
    let mut stdin = child.stdin.take().expect("it has a pipe");
    stdin.write_all(input).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

// What PEP 3333 says.

#[test]
fn the_environ() {
    if !can_check("the environ of a Python application") {
        return;
    }
    let (_site, server) = webserver2("probes:environ");
    let mut browser = Browser::new(&server);
    let fields = [
        ("Content-Type", "text/x-\u{e9}"),
        ("X-Twice", "a"),
        ("X-Twice", "b"),
        ("Cookie", "a=1"),
    ];
    let answer = browser.ask(
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
    for name in [
        "HTTP_CONTENT_TYPE",
        "HTTP_CONTENT_LENGTH",
        "wsgi.input_terminated",
    ] {
        assert_eq!(environ[name], Value::Null, "{name}");
    }
    // What has no length ends all the same, and the application may rely on it.
    let environ = browser.get("/").json();
    assert_eq!(environ["wsgi.input_terminated"], "True");
}

#[test]
fn the_flags_are_true_to_the_server() {
    if !can_check("wsgi.multiprocess and its like") {
        return;
    }
    for (program, flags) in [
        (ONE, "[False, False, False]"),
        (FORKING, "[False, True, True]"),
    ] {
        let site = Site::new();
        let server = site.serve(program, &["probes:flags"]);
        assert_eq!(Browser::new(&server).get("/").text(), flags, "{program}");
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
    let mut browser = Browser::new(&server);
    assert_eq!(browser.ask("POST", "/", &[], body).text(), seen);

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
    client.send(browser.head("POST", "/", &chunked, 0));
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
    assert!(server.errors().contains("OSError"), "{}", server.errors());
    assert_eq!(
        Browser::new(&server).ask("POST", "/", &[], b"whole").text(),
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
        let answer = Browser::new(&server).ask("POST", "/", &[], &body);
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
    assert_eq!(Browser::new(&server).get("/").text(), "6");
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
            Browser::new(&server).get("/");
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
    let mut browser = Browser::new(&server);
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
        let answer = browser.get(&format!("/?{what}"));
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

/// Waits until the server has printed `text` among its errors.
fn wait_for_errors(server: &Server, text: &str) {
    wait_for(&format!("{text:?} among the errors"), || {
        server.errors().contains(text).then_some(())
    });
}

#[test]
fn start_response_is_checked() {
    if !can_check("start_response") {
        return;
    }
    let (_site, server) = webserver2("probes:start");
    let mut browser = Browser::new(&server);
    let wrong_type = |what, wanted, got| {
        format!("TypeError: PEP 3333 wants {what} to be {wanted}, and this is of the type {got}")
    };
    let broken = |rule| format!("AssertionError: the application broke a rule of PEP 3333: {rule}");
    for (how, said) in [
        ("status_bytes", wrong_type("a status", "a str", "bytes")),
        ("status_none", wrong_type("a status", "a str", "NoneType")),
        (
            "status_short",
            broken("a status is three digits from 200 to 599, a space, a reason"),
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
        ("hop", broken("hop-by-hop header fields are the server's")),
        (
            "hop_te",
            broken("hop-by-hop header fields are the server's"),
        ),
        (
            "exc_info_wrong",
            wrong_type("exc_info", "what sys.exc_info() gives", "ValueError"),
        ),
        (
            "exc_info_empty",
            wrong_type("exc_info", "what sys.exc_info() gives", "tuple"),
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
        let answer = browser.get(&format!("/?{how}"));
        assert!(answer.text().starts_with(&said), "{how}: {}", answer.text());
        assert_eq!(answer.status, "200 OK", "{how}");
        assert_eq!(answer.header("X-C"), None, "{how}");
    }
    let bytes = server.connect().send(get("/?latin_1")).read_to_end().0;
    let value = bytes.windows(8).any(|bytes| bytes == b"X-A: \xe9\r\n");
    assert!(value, "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(server.errors(), "");
}

#[test]
fn a_head_that_has_not_left_is_replaced() {
    if !can_check("exc_info before the first byte") {
        return;
    }
    let (_site, server) = webserver2("probes:replaced");
    let answer = Browser::new(&server).get("/");
    assert_eq!(
        text(&answer),
        ("503 Service Unavailable", "come back later".to_string())
    );
    assert_eq!(
        (answer.header("X-Old"), answer.header("X-New")),
        (None, Some("1"))
    );
    assert_eq!(server.errors(), "");
}

#[test]
fn an_error_after_the_first_byte_is_raised_again() {
    if !can_check("exc_info after the first byte") {
        return;
    }
    let (site, server) = webserver2("probes:reraised");
    let answer = Browser::new(&server).get("/");
    assert_eq!(text(&answer), ("200 OK", "first\n".to_string()));
    assert_eq!(answer.header("Content-Length"), None);
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
        let answer = Browser::new(&server).get("/");
        assert_eq!(
            text(&answer),
            ("201 Created", "late\n".to_string()),
            "{application}"
        );
    }
    let (_site, server) = webserver2("probes:nothing");
    let answer = Browser::new(&server).get("/");
    assert_eq!(text(&answer), ("204 No Content", String::new()));
    assert_eq!(answer.header("Content-Length"), None);

    let (_site, server) = webserver2("probes:never_starts");
    assert_eq!(
        Browser::new(&server).get("/").status,
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
        let answer = Browser::new(&server).get("/");
        assert_eq!(answer.text(), "written\nreturned\n", "{application}");
        assert_eq!(answer.header("Content-Length"), None);
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
        assert!(Browser::new(&server).get(path).body == probes, "{path}");
    }
    site.write("closed.py", "from probes import *\ndef app(environ, start):\n    if environ['PATH_INFO'] == '/closed': return kept_is_closed(environ, start)\n    return wrapped(environ, start)\n");
    let server = site.serve(ONE, &["closed:app"]);
    let mut client = server.connect();
    client.send(get("/?small")).read_some();
    client.reset();
    Browser::new(&server).get("/");
    assert_eq!(Browser::new(&server).get("/closed").text(), "[True, True]");

    let server = site.serve(ONE, &["probes:wrapped_unclosable"]);
    assert_eq!(Browser::new(&server).get("/").text(), "onetwo");
}

// How a request ends.

#[test]
fn chunks_are_sent_one_by_one() {
    if !can_check("chunks one by one") {
        return;
    }
    for program in [ONE, FORKING] {
        let site = Site::new();
        let server = site.serve(program, &["probes:paced"]);
        let mut client = server.connect();
        client.send(get("/"));
        for number in 0..3 {
            let asked = format!("asked for {number}\n");
            assert!(
                !site.notes().contains(&asked),
                "chunk {number} before its time"
            );
            site.write(&format!("go{number}"), "");
            let chunk = format!("chunk {number}\n");
            let mut came = String::new();
            while !came.ends_with(&chunk) {
                let bytes = client.read_some();
                assert!(!bytes.is_empty(), "the server closed after {came:?}");
                came.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        assert_eq!(client.read_to_end(), (Vec::new(), End::Closed));
    }
}

/// `close()` in every ending: once, and once only.
#[test]
fn close_is_called_once_however_it_ends() {
    if !can_check("close()") {
        return;
    }
    for (application, path, status, body, error) in [
        ("probes:whole", "/", "200 OK", "ab", ""),
        (
            "probes:breaks",
            "/",
            "200 OK",
            "first\n",
            "ValueError: no such fruit",
        ),
        (
            "probes:breaks",
            "/?early",
            "500 Internal Server Error",
            "500 Internal Server Error\n",
            "ValueError: no such fruit",
        ),
        (
            "probes:close_raises",
            "/",
            "200 OK",
            "all there",
            "OSError: cannot close",
        ),
        (
            "probes:not_iterable",
            "/",
            "500 Internal Server Error",
            "500 Internal Server Error\n",
            "TypeError: 'NoneType' object is not iterable",
        ),
        ("checked_probes:whole", "/", "200 OK", "ab", ""),
    ] {
        for program in [ONE, FORKING] {
            let site = Site::new();
            let server = site.serve(program, &[application]);
            let answer = Browser::new(&server).get(path);
            assert_eq!(text(&answer), (status, body.to_string()), "{application}");
            wait_for("close()", || (!site.notes().is_empty()).then_some(()));
            wait_for_errors(&server, error);
            server.connect().ask("GET / HTTP/1.0\r\n\r\n");
            wait_for("another close()", || {
                (site.notes() != "closed\n").then_some(())
            });
            assert_eq!(site.notes(), "closed\nclosed\n", "{program} {application}");
        }
    }
}

#[test]
fn close_is_called_after_a_head_alone() {
    if !can_check("close() after HEAD") {
        return;
    }
    let (site, server) = webserver2("probes:endless");
    let answer = Browser::new(&server).ask("HEAD", "/", &[], b"");
    assert_eq!(text(&answer), ("200 OK", String::new()));
    wait_for("close()", || (site.notes() == "closed\n").then_some(()));
}

#[test]
fn close_is_called_when_the_client_leaves() {
    if !can_check("a client that leaves") {
        return;
    }
    for program in [ONE, FORKING] {
        let site = Site::new();
        let server = site.serve(program, &["probes:endless"]);
        let mut client = server.connect();
        client.send(get("/")).read_some();
        assert_eq!(site.notes(), "");
        client.reset();
        wait_for("close()", || (site.notes() == "closed\n").then_some(()));
        assert!(
            !server.errors().contains("Traceback"),
            "{}",
            server.errors()
        );
    }
}

#[test]
fn write_raises_when_the_client_leaves() {
    if !can_check("write to a client that leaves") {
        return;
    }
    let (site, server) = webserver2("probes:writes_much");
    let mut client = server.connect();
    client.send(get("/")).read_some();
    client.reset();
    wait_for("an exception", || (!site.notes().is_empty()).then_some(()));
    let known = ["BrokenPipeError\n", "ConnectionResetError\n"];
    assert!(known.contains(&site.notes().as_str()), "{}", site.notes());
}

#[test]
fn exceptions_are_errors_and_the_server_lives() {
    if !can_check("exceptions") {
        return;
    }
    for (path, line) in [
        ("/", "the application raised ValueError: no such fruit\n"),
        ("/?SystemExit", "the application raised SystemExit: 3\n"),
        (
            "/?KeyboardInterrupt",
            "the application raised KeyboardInterrupt\n",
        ),
        (
            "/?Unprintable",
            "the application raised raises.<locals>.Unprintable\n",
        ),
        (
            "/?escape",
            "the application raised ValueError:  [2Jgone X\n",
        ),
    ] {
        for program in [ONE, FORKING] {
            let site = Site::new();
            let mut server = site.serve(program, &["probes:raises"]);
            let mut client = server.connect();
            let peer = client.address();
            client.send(get(path));
            let answer = Answer::read(&mut client);
            let said = (
                "500 Internal Server Error",
                "500 Internal Server Error\n".to_string(),
            );
            assert_eq!(text(&answer), said, "{path}");
            // A child has one request, and need not say whose.
            let line = match program {
                FORKING => format!("request: {line}"),
                _ => format!("{peer}: {line}"),
            };
            wait_for_errors(&server, &line);
            assert!(
                server
                    .errors()
                    .starts_with("Traceback (most recent call last):\n"),
                "{}",
                server.errors()
            );
            assert!(
                server.errors().contains("probes.py\", line "),
                "{}",
                server.errors()
            );
            Browser::new(&server).get("/");
            assert!(server.is_running(), "{path}");
            if path == "/" {
                let errors = server.errors();
                assert!(errors.contains("KeyError: 'the cause'"), "{errors}");
                assert!(errors.contains("direct cause"), "{errors}");
            }
        }
    }
    let (_site, mut server) = webserver2("probes:exits_late");
    let answer = Browser::new(&server).get("/");
    assert_eq!(text(&answer), ("200 OK", "first\n".to_string()));
    Browser::new(&server).get("/");
    assert!(server.is_running());
}

/// The environ of a request may live as long as it likes; its connection not.
#[test]
fn nothing_of_a_request_outlives_it() {
    if !can_check("an environ that is kept") {
        return;
    }
    let (_site, server) = webserver2("probes:keeps");
    let mut browser = Browser::new(&server);
    let first = browser.ask("POST", "/", &[], b"left unread");
    assert_eq!(first.end, End::Closed);
    let second = browser.get("/").text();
    let said: Vec<&str> = second.lines().collect();
    assert_eq!(said.len(), 3, "{second}");
    assert_eq!(
        said[0],
        "ValueError: the request is over, and its input is closed"
    );
    assert_eq!(
        said[1],
        "RuntimeError: the client has left, or its answer is over"
    );
    assert!(said[2].starts_with("AssertionError: "), "{second}");

    let (_site, server) = webserver2("probes:leaves_a_cycle");
    let answer = Browser::new(&server).ask("POST", "/", &[], b"left unread");
    assert_eq!(answer.status, "500 Internal Server Error");
    assert_eq!(answer.end, End::Closed);
}

/// Python's lock is given back while a socket is waited for.
#[test]
fn other_threads_run_while_a_client_is_waited_for() {
    if !can_check("Python's lock") {
        return;
    }
    let (site, server) = webserver2("probes:other_thread_runs");
    let ticks = |times: usize| {
        wait_for("the other thread's fiftieth tick", || {
            (site.notes().matches("50 ticks").count() == times).then_some(())
        });
    };

    // It ticks while the server waits for the body's second byte,
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1");
    ticks(1);
    client.send("2").read_to_end();

    // and while it waits for a client that does not read.
    let mut client = server.connect();
    client.send(get("/?write"));
    ticks(2);
    let (bytes, _) = client.read_to_end();
    assert!(bytes.len() > 100_000_000);
}

// Names, and why they lead nowhere.

#[test]
fn names_of_applications() {
    if !can_check("names of Python applications") {
        return;
    }
    let site = Site::empty();
    site.write("site_of.py", SITE);
    fs::create_dir_all(site.folder.join("package/inner")).expect("it is ours");
    site.write("package/__init__.py", "");
    site.write("package/inner/wsgi.py", SITE);
    for (name, said) in [
        ("site_of:app", "plain"),
        ("python:site_of:app", "plain"),
        ("package.inner.wsgi:app", "plain"),
        ("site_of:holder.inner.app", "dotted"),
        ("site_of:make_app()", "made with () {}"),
        (
            "site_of:holder.make('a, (b', 2, debug=True)",
            "made with ('a, (b', 2) {'debug': True}",
        ),
        ("validator:site_of:app", "plain"),
        (
            "accesslog:site_of:make_app([1, {'a': None}])",
            "made with ([1, {'a': None}],) {}",
        ),
    ] {
        let server = site.serve(ONE, &[name]);
        assert_eq!(Browser::new(&server).get("/").text(), said, "{name}");
    }
    // What is compiled in comes first.
    site.write("wsgiapp.py", SITE);
    let server = site.serve(ONE, &["wsgiapp:app"]);
    let hello = "Hello world from a simple WSGI application!\n";
    assert_eq!(Browser::new(&server).get("/").text(), hello);
    let server = site.serve(ONE, &["python:wsgiapp:app"]);
    assert_eq!(Browser::new(&server).get("/").text(), "plain");
}

const SITE: &str = "
import datetime
from os.path import join

class Holder: pass

def answer(text):
    def app(environ, start_response):
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return [text.encode()]
    return app

app = answer('plain')
holder = Holder()
holder.inner = Holder()
holder.inner.app = answer('dotted')

def make_app(*arguments, **named):
    return answer(f'made with {arguments} {named}')

holder.make = make_app
text = 'no application'
nothing = None

def broken():
    raise KeyError('no settings')

def makes_nothing():
    pass
";

#[test]
fn every_error_is_a_clear_line() {
    if !can_check("errors of names and modules") {
        return;
    }
    let site = Site::empty();
    site.write("site_of.py", SITE);
    site.write("lacks.py", "import no_such_package_anywhere\n");
    site.write(
        "raises.py",
        "def inner():\n    raise ValueError('no such fruit')\ninner()\n",
    );
    site.write("exits.py", "import sys\nsys.exit(3)\n");
    site.write("wrong.py", "def (:\n");
    let here = site.folder.display();
    let there = "it has answer, app, make_app, broken, makes_nothing";
    for (name, lines) in [
        ("nothing", "`nothing` names no application: write module:callable, such as wsgiapp:app".to_string()),
        ("nosuch:app", format!("there is no module `nosuch`: none is compiled in, and Python finds none in {here}")),
        ("nosuch.inner:app", format!("there is no module `nosuch.inner`: none is compiled in, and Python finds none in {here}")),
        (":app", format!("there is no module ``: none is compiled in, and Python finds none in {here}")),
        ("a..b:app", format!("there is no module `a..b`: none is compiled in, and Python finds none in {here}")),
        ("site_of:nosuch", format!("the module `site_of` has no `nosuch`; {there}")),
        ("site_of:holder.nosuch", format!("the module `site_of` has no `holder.nosuch`; {there}")),
        ("site_of:", format!("the module `site_of` has no ``; {there}")),
        ("site_of:text", "site_of:text is of the type str, and cannot be called".to_string()),
        ("site_of:nothing", "site_of:nothing is of the type NoneType, and cannot be called".to_string()),
        ("site_of:makes_nothing()", "site_of:makes_nothing() is of the type NoneType, and cannot be called".to_string()),
        ("site_of:make_app(x)", "the arguments of site_of:make_app(x): ValueError: malformed node or string*".to_string()),
        ("site_of:make_app(", "the arguments of site_of:make_app(: SyntaxError: *".to_string()),
        ("site_of:make_app().x", "the arguments of site_of:make_app().x: SyntaxError: something follows them".to_string()),
        ("site_of:broken()", "Traceback (most recent call last):\n*, in broken\n*KeyError: 'no settings'\ncall site_of:broken(): KeyError: 'no settings'".to_string()),
        ("lacks:app", format!("Traceback (most recent call last):\n*lacks.py\", line 1, in <module>\n*ModuleNotFoundError: No module named 'no_such_package_anywhere'\nimport lacks: ModuleNotFoundError: No module named 'no_such_package_anywhere'; the virtual environment is {}", environment().display())),
        ("raises:app", "Traceback (most recent call last):\n*raises.py\", line 3, in <module>\n*ValueError: no such fruit\nimport raises: ValueError: no such fruit".to_string()),
        ("exits:app", "Traceback (most recent call last):\n*SystemExit: 3\nimport exits: SystemExit: 3".to_string()),
        ("wrong:app", "*SyntaxError: invalid syntax\nimport wrong: SyntaxError: invalid syntax (wrong.py, line 1)".to_string()),
    ] {
        let (code, output, errors) = run_to_end(&mut site.command(ONE, &[name]));
        assert_eq!((code, output.as_str()), (Some(1), ""), "{name}: {errors}");
        assert!(matches(&errors, &format!("{lines}\n")), "{name}:\n{errors}");
    }
    let mut command = site.command(ONE, &["lacks:app"]);
    let (_, _, errors) = run_to_end(command.env_remove("VIRTUAL_ENV"));
    assert!(
        errors.ends_with("; no virtual environment is active\n"),
        "{errors}"
    );
}

/// Whether `text` is this pattern, in which `*` stands for anything.
fn matches(text: &str, pattern: &str) -> bool {
    let escaped = regex::escape(pattern).replace("\\*", "(?s:.*)");
    let pattern = regex::Regex::new(&format!("^{escaped}$")).expect("it is escaped");
    pattern.is_match(text)
}

/// What the program without Python says of a Python module.
#[test]
fn without_python_the_error_says_how_to_get_it() {
    let site = Site::new();
    let run = |name: &str| {
        let mut command = Command::new(tests::python::without(ONE));
        run_to_end(command.arg(name).current_dir(&site.folder))
    };
    for (name, line) in [
        ("flaskapp:app", "flaskapp.py is Python, which was not compiled in; cargo run -p part2 --features python --bin webserver2 -- flaskapp:app does that\n"),
        ("helloworld.wsgi:application", "helloworld/wsgi.py is Python, which was not compiled in; cargo run -p part2 --features python --bin webserver2 -- helloworld.wsgi:application does that\n"),
        ("python:wsgiapp:app", "the module `python` was not compiled in; cargo run -p part2 --features python --bin webserver2 -- python:wsgiapp:app does that\n"),
    ] {
        assert_eq!(run(name), (Some(1), String::new(), line.to_string()));
    }
    let (code, _, errors) = run("nosuch:app");
    assert_eq!(code, Some(1));
    assert!(
        errors.starts_with("there is no module `nosuch`; there are wsgiapp, "),
        "{errors}"
    );
}

// The interpreter.

#[test]
fn the_virtual_environment_is_the_active_one() {
    if !can_check("the virtual environment") {
        return;
    }
    let (site, server) = webserver2("probes:interpreter");
    let said = Browser::new(&server).get("/").json();
    assert_eq!(said["prefix"], environment().display().to_string());
    assert_eq!(said["path"], site.folder.display().to_string());
    assert_eq!(said["subprocess"], "1\n");
    assert_eq!(said["main"], true);

    // None is active, and this machine's own packages are what there is.
    let mut command = site.command(ONE, &["probes:interpreter", "127.0.0.1:0"]);
    command.env_remove("VIRTUAL_ENV");
    let server = Server::spawn(ONE, command).unwrap_or_else(|error| panic!("{error}"));
    let said = Browser::new(&server).get("/").json();
    assert_ne!(said["prefix"], environment().display().to_string());
}

#[test]
fn a_virtual_environment_that_does_not_fit_is_refused() {
    if !can_check("virtual environments of another version") {
        return;
    }
    let site = Site::new();
    let folder = site.folder.join("venv");
    fs::create_dir_all(folder.join("bin")).expect("it is ours");
    let start = || {
        let mut command = site.command(ONE, &["flaskapp:app"]);
        run_to_end(command.env("VIRTUAL_ENV", &folder))
    };
    let settings = fs::read_to_string(environment().join("pyvenv.cfg")).expect("it has one");
    let version = settings
        .lines()
        .find_map(|line| line.strip_prefix("version = "));
    let ours = version.expect("venv writes it").to_string();
    let shown = folder.display();

    for (line, theirs) in [
        ("version = 3.6.15", "3.6.15"),
        ("version_info = 3.6.15.final.0", "3.6.15.final.0"),
        ("home = /usr/bin", "of no known version"),
    ] {
        site.write("venv/pyvenv.cfg", &format!("home = /usr/bin\n{line}\n"));
        let (code, output, errors) = start();
        assert_eq!((code, output.as_str()), (Some(1), ""));
        let said = format!("the virtual environment {shown} is for Python {theirs}, this program has Python {ours} inside; build it again while that environment is active\n");
        assert_eq!(errors, said);
    }
    // Another one of the same minor version is as good.
    site.write("venv/pyvenv.cfg", &settings);
    let (_, _, errors) = start();
    assert!(errors.contains("No module named 'flask'"), "{errors}");

    fs::remove_file(folder.join("pyvenv.cfg")).expect("it was written");
    let (code, _, errors) = start();
    let said = format!("read {shown}/pyvenv.cfg: No such file or directory (os error 2); deactivate, or make the virtual environment anew\n");
    assert_eq!((code, errors), (Some(1), said));
}

/// The library is the one of the interpreter that the build has found, and no other
/// of that name.
#[test]
fn the_library_is_found_by_its_own_folder() {
    if !can_check("the rpath") {
        return;
    }
    let (_site, server) = webserver2("probes:flags");
    let Ok(maps) = fs::read_to_string(format!("/proc/{}/maps", server.pid())) else {
        return left_out("the library that is loaded", "/proc");
    };
    let code = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))";
    let folder = output_of_python(code, b"");
    let loaded: Vec<&str> = maps
        .lines()
        .filter(|line| line.contains("/libpython3."))
        .collect();
    assert!(!loaded.is_empty(), "{maps}");
    for line in loaded {
        assert!(
            line.contains(&format!(" {folder}/")),
            "{line}: not from {folder}"
        );
    }
}

#[test]
fn ctrl_c_and_sigterm_stop_the_server() {
    if !can_check("Ctrl-C") {
        return;
    }
    use nix::sys::signal::{kill, Signal};
    for application in [
        "signals:app",
        "signals:make_app()",
        "checked:django",
        "flaskapp:app",
    ] {
        for program in [ONE, FORKING] {
            for signal in [Signal::SIGINT, Signal::SIGTERM] {
                let site = Site::new();
                let mut server = site.serve(program, &[application]);
                Browser::new(&server).get("/hello");
                let pid = nix::unistd::Pid::from_raw(server.pid() as i32);
                kill(pid, signal).expect("it is ours");
                let status = wait_for("the server's end", || server.ended());
                assert_eq!(
                    status.signal(),
                    Some(signal as i32),
                    "{program} {application}"
                );
            }
        }
    }
}

// Forks.

#[test]
fn a_forked_child_is_a_whole_interpreter() {
    if !can_check("forked children") {
        return;
    }
    for application in ["probes:interpreter", "probes:with_background_thread()"] {
        let site = Site::new();
        let server = site.serve(FORKING, &[application]);
        let answers: Vec<Value> = (0..20)
            .map(|_| Browser::new(&server).get("/").json())
            .collect();
        for answer in &answers {
            assert_eq!(answer["threads"], json!(["MainThread"]), "{application}");
            assert_eq!(answer["main"], true);
            assert_eq!(answer["thread"], json!(["ran"]));
            assert_eq!(answer["subprocess"], "1\n");
            assert_eq!(answer["requests"], 0);
            let hooks = answer["hooks"].as_array().expect("a list");
            let last = &hooks[hooks.len() - 2..];
            assert_eq!(last, [json!("before"), json!("child")], "{application}");
        }
        let different = |key: &str| {
            let mut values: Vec<String> = answers
                .iter()
                .map(|answer| answer[key].to_string())
                .collect();
            values.sort();
            values.dedup();
            values.len()
        };
        assert_eq!(different("pid"), 20);
        assert_eq!(different("random"), 20, "children draw the same numbers");
        let hooks = answers[19]["hooks"].as_array().expect("a list");
        let parents = hooks
            .iter()
            .filter(|hook| **hook == json!("parent"))
            .count();
        assert_eq!(parents, 19, "{hooks:?}");
    }
}

/// The handler that reaps the server's children is not for the children of an
/// application: Python takes one that has vanished for one that went well.
#[test]
fn an_application_has_its_children_to_itself() {
    if !can_check("a child of an application's") {
        return;
    }
    for (program, arguments) in [
        (ONE, &["probes:child_status"][..]),
        (FORKING, &["probes:child_status"]),
        (FORKING, &["probes:child_status", "--warm", "/"]),
    ] {
        let site = Site::new();
        let server = site.serve(program, arguments);
        for _ in 0..3 {
            let status = Browser::new(&server).get("/").text();
            assert_eq!(status, "3", "{program}: {}", server.errors());
        }
    }
}

#[test]
fn children_of_a_warm_parent_are_warm() {
    if !can_check("an application that is warm") {
        return;
    }
    let site = Site::new();
    let server = site.serve(FORKING, &["probes:interpreter", "--warm", "/first?x=%20y"]);
    assert_eq!(
        server.errors(),
        "warmed up with GET /first?x=%20y: 200 OK\n"
    );
    for _ in 0..3 {
        let answer = Browser::new(&server).get("/").json();
        assert_eq!(answer["requests"], 1);
        assert_eq!(answer["threads"], json!(["MainThread"]));
    }
    // A path that is not there warms too, and an application that fails does not.
    let server = site.serve(FORKING, &["flaskapp:app", "--warm", "/nosuch"]);
    assert_eq!(
        server.errors(),
        "warmed up with GET /nosuch: 404 NOT FOUND\n"
    );
    for (path, why) in [
        ("/", "the application raised ValueError: no such fruit\n"),
        (
            "no path",
            "400 Bad Request: the first line is not of three words\n",
        ),
    ] {
        let mut command = site.command(FORKING, &["probes:raises", "--warm", path]);
        let (code, _, errors) = run_to_end(&mut command);
        assert_eq!(code, Some(1));
        assert!(
            errors.ends_with(&format!("warm up with GET {path}: {why}")),
            "{errors}"
        );
    }
}

/// What is read is copied: Python counts. And nobody inherits a database.
#[test]
fn what_is_read_is_copied_and_no_database_is_inherited() {
    let check = "memory and descriptors that children share";
    if !can_check(check) {
        return;
    }
    if !std::path::Path::new("/proc/self/smaps_rollup").exists() {
        return left_out(check, "/proc");
    }
    let site = Site::new();
    let server = site.serve(FORKING, &["readapp:app"]);
    let said = Browser::new(&server).get("/").text();
    let numbers = said.split_whitespace();
    let numbers: Vec<u64> = numbers.filter_map(|word| word.parse().ok()).collect();
    let [before, after] = numbers[..] else {
        panic!("{said}")
    };
    assert!(before < 4_000 && after > before + 20_000, "{said}");

    for arguments in [
        &["djangoapp:app"][..],
        &["djangoapp:app", "--warm", "/visits"],
    ] {
        let server = site.serve(FORKING, arguments);
        let descriptors = fs::read_dir(format!("/proc/{}/fd", server.pid()));
        for descriptor in descriptors.expect("it runs").flatten() {
            let file = fs::read_link(descriptor.path()).unwrap_or_default();
            let file = file.display().to_string();
            assert!(!file.contains("sqlite"), "{arguments:?}: {file}");
        }
    }
}

/// Nobody is lost, and nothing is left of the children.
#[test]
fn a_hundred_and_twenty_eight_clients_at_once() {
    if !can_check("many clients") {
        return;
    }
    for arguments in [
        &["flaskapp:app"][..],
        &["djangoapp:app", "--warm", "/hello"],
    ] {
        let site = Site::new();
        let server = site.serve(FORKING, arguments);
        let mut clients: Vec<_> = (0..128).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send(get("/hello").replace("Host: localhost", "Host: 127.0.0.1"));
        }
        for (number, client) in clients.iter_mut().enumerate() {
            let answer = Answer::read(client);
            assert_eq!(
                answer.status,
                "200 OK",
                "client {number}: {}",
                server.errors()
            );
            assert!(answer.text().starts_with("Hello world from "), "{answer:?}");
        }
        wait_for("the children to be gone", || {
            let children = children(server.pid());
            (children.is_empty()).then_some(())
        });
        assert_eq!(server.errors().matches("Traceback").count(), 0);
    }
}

/// The processes, zombies too, whose parent this is.
fn children(pid: u32) -> Vec<String> {
    let mut ps = Command::new("ps");
    ps.args(["-A", "-o", "ppid=,pid=,stat="]);
    let output = ps.output().expect("every Unix has ps");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let ours = text
        .lines()
        .filter(|line| line.split_whitespace().next() == Some(&pid.to_string()));
    ours.map(str::to_string).collect()
}

// The README.

/// Its third command, with an address of our own.
#[test]
fn the_readmes_command_serves() {
    if !can_check("the README's command") {
        return;
    }
    let readme = fs::read_to_string(book::root().join("README.md")).expect("there is one");
    let command = readme
        .lines()
        .find(|line| line.starts_with("cd code/apps/python && cargo run"));
    let command = command.expect("it stands in the README");
    let sh = |line: &str| {
        let mut sh = Command::new("sh");
        sh.args(["-c", line]).current_dir(book::root());
        sh.env("VIRTUAL_ENV", environment())
            .env_remove("PYO3_PYTHON");
        sh.env("CARGO_TARGET_DIR", tests::python::target());
        sh.env("PYTHONDONTWRITEBYTECODE", "1");
        sh
    };
    let with_processes = command.replace("part2", "part3h");
    let with_processes = with_processes.replace("webserver2", "webserver3h");
    for command in [command, &with_processes] {
        let (build, _) = command.split_once(" -- ").expect("it names an application");
        let build = sh(&build.replace("cargo run", "cargo build --quiet")).output();
        let build = build.expect("every Unix has sh");
        let errors = String::from_utf8_lossy(&build.stderr);
        assert!(build.status.success(), "{errors}");

        let server = Server::spawn("README.md", sh(&format!("{command} 127.0.0.1:0")));
        let server = server.unwrap_or_else(|error| panic!("{error}"));
        let hello = Browser::new(&server).get("/hello");
        let said = ("200 OK", "Hello world from Flask!\n".to_string());
        assert_eq!(text(&hello), said, "{command}");
    }
}

/// The chapter has the README's commands, word for word.
#[test]
fn the_chapter_sets_up_as_the_readme_does() {
    let read = |file: &str| fs::read_to_string(book::root().join(file)).expect("it is there");
    let readme = read("README.md");
    let section = readme.split("## Python's applications").nth(1);
    let commands = section.and_then(|section| section.split("```").nth(1));
    let commands = commands.expect("the section has a block");
    assert_eq!(commands.lines().count(), 4, "{commands}");
    let page = read("book/part2/flask-pyramid-django.md");
    assert!(page.contains(commands), "the page has no\n{commands}");
}

// Memory.

#[test]
fn ten_thousand_requests_leave_nothing_behind() {
    if !can_check("memory after 10,000 requests") {
        return;
    }
    if !std::path::Path::new("/proc/self/status").exists() {
        return left_out("memory after 10,000 requests", "/proc");
    }
    for (application, request) in [
        ("python:wsgiapp:app", get("/greet")),
        ("flaskapp:app", get("/visits")),
        ("probes:raises", get("/")),
        ("probes:breaks", get("/")),
        (
            "probes:echo",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".to_string(),
        ),
    ] {
        let site = Site::new();
        let server = site.serve(ONE, &[application]);
        let ask = |count: usize| {
            for _ in 0..count {
                let (answer, end) = server.connect().ask(&request);
                assert!(answer.starts_with("HTTP/1.1 "), "{application}: {answer}");
                assert_eq!(end, End::Closed, "{application}");
            }
        };
        ask(500);
        let before = resident(server.pid());
        ask(10_000);
        let after = resident(server.pid());
        let growth = after.saturating_sub(before);
        tests::say(&format!(
            "{application}: {before} kB, and {growth} kB more after 10,000 requests"
        ));
        assert!(growth < 2048, "{application}: {growth} kB more");
    }
}

/// Memory of a process that stands in real memory, in kB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("Linux tells it")
}

// Applications that nobody here has written.

/// The blog of Flask's tutorial, from Flask's own source distribution.
#[test]
fn flasks_tutorial_blog() {
    if !can_check("Flask's tutorial blog") {
        return;
    }
    let source = environment().join("flaskr");
    if !source.is_dir() {
        return left_out(
            "Flask's tutorial blog",
            "target/venv/flaskr, which .ci/run takes from Flask's source distribution",
        );
    }
    for program in [ONE, FORKING] {
        let site = Site::empty();
        tests::python::copy(&source, &site.folder.join("flaskr"));
        let mut prepare = Command::new(environment().join("bin/flask"));
        prepare
            .current_dir(&site.folder)
            .args(["--app", "flaskr", "init-db"]);
        let (code, _, errors) = run_to_end(&mut prepare);
        assert_eq!(code, Some(0), "{errors}");

        let server = site.serve(program, &["flaskr:create_app()"]);
        let mut browser = Browser::new(&server);
        let account = [("username", "ada"), ("password", "analytical")];
        assert_eq!(
            browser.post("/auth/register", &account).header("Location"),
            Some("/auth/login")
        );
        assert_eq!(
            browser.get("/create").header("Location"),
            Some("/auth/login")
        );
        let wrong = browser.post("/auth/login", &[("username", "ada"), ("password", "no")]);
        assert!(wrong.text().contains("Incorrect password."), "{wrong:?}");
        assert_eq!(
            browser.post("/auth/login", &account).header("Location"),
            Some("/")
        );

        let article = [
            ("title", "On the <Engine>"),
            ("body", "It weaves algebraic patterns. \u{2713}"),
        ];
        let created = browser.post("/create", &article);
        assert_eq!(created.header("Location"), Some("/"), "{}", server.errors());
        let page = browser.get("/").text();
        assert!(page.contains("On the &lt;Engine&gt;"), "{page}");
        assert!(page.contains("algebraic patterns. \u{2713}"), "{page}");
        let edited = browser.post(
            "/1/update",
            &[("title", "Notes"), ("body", "by the translator")],
        );
        assert_eq!(edited.header("Location"), Some("/"));
        assert!(Browser::new(&server)
            .get("/")
            .text()
            .contains("by the translator"));
        assert_eq!(
            Browser::new(&server)
                .post("/1/delete", &[])
                .header("Location"),
            Some("/auth/login")
        );
        assert!(browser.get("/static/style.css").text().contains("html"));
        assert_eq!(server.errors(), "", "{program}");
    }
}

/// A server for calendars.
#[test]
fn radicale() {
    if !can_check("Radicale") {
        return;
    }
    let site = Site::empty();
    site.write("users", "ada:analytical\n");
    site.write("config", "[auth]\ntype = htpasswd\nhtpasswd_filename = users\nhtpasswd_encryption = plain\ndelay = 0\n\n[storage]\nfilesystem_folder = calendars\n\n[logging]\nlevel = error\n");
    for program in [ONE, FORKING] {
        let mut command = site.command(program, &["radicale:application", "127.0.0.1:0"]);
        command.env("RADICALE_CONFIG", site.folder.join("config"));
        let server = Server::spawn(program, command).unwrap_or_else(|error| panic!("{error}"));
        let mut browser = Browser::new(&server);
        assert_eq!(
            browser
                .ask("PROPFIND", "/ada/", &[("Depth", "0")], b"")
                .status,
            "401 Unauthorized"
        );
        browser.authorization = Some("Basic YWRhOmFuYWx5dGljYWw=".to_string()); // ada:analytical

        let calendar = format!("/ada/{}/", program.replace('/', "-"));
        let made = browser.ask("MKCALENDAR", &calendar, &[], b"");
        assert_eq!(made.status, "201 Created", "{}", server.errors());
        let event = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//course//EN\r\nBEGIN:VEVENT\r\nUID:tea\r\nDTSTAMP:20261124T160000Z\r\nDTSTART:20261124T160000Z\r\nDTEND:20261124T163000Z\r\nSUMMARY:Tea with Zo\u{eb}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let path = format!("{calendar}tea.ics");
        let stored = browser.ask(
            "PUT",
            &path,
            &[("Content-Type", "text/calendar; charset=utf-8")],
            event.as_bytes(),
        );
        assert_eq!(stored.status, "201 Created", "{}", server.errors());
        let read = browser.get(&path);
        assert!(
            read.text().contains("SUMMARY:Tea with Zo\u{eb}"),
            "{read:?}"
        );
        let etag = read.header("ETag").expect("Radicale gives one").to_string();

        let report = "<?xml version=\"1.0\"?><C:calendar-query xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\"><D:prop><D:getetag/><C:calendar-data/></D:prop><C:filter><C:comp-filter name=\"VCALENDAR\"><C:comp-filter name=\"VEVENT\"/></C:comp-filter></C:filter></C:calendar-query>";
        let found = browser.ask(
            "REPORT",
            &calendar,
            &[("Depth", "1"), ("Content-Type", "application/xml")],
            report.as_bytes(),
        );
        assert_eq!(found.status, "207 Multi-Status");
        assert!(
            found.text().contains("Tea with Zo\u{eb}")
                && found.text().contains(etag.trim_matches('"')),
            "{}",
            found.text()
        );
        assert_eq!(browser.ask("DELETE", &path, &[], b"").status, "200 OK");
        assert_eq!(browser.get(&path).status, "404 Not Found");
    }
}

/// Mozilla's store for JSON, on Pyramid.
#[test]
fn kinto() {
    if !can_check("Kinto") {
        return;
    }
    let site = Site::empty();
    // As Kinto's own app.wsgi has it.
    site.write("storage.py", "from kinto import main\nsettings = {\n    'kinto.storage_backend': 'kinto.core.storage.memory',\n    'kinto.permission_backend': 'kinto.core.permission.memory',\n    'kinto.cache_backend': 'kinto.core.cache.memory',\n    'kinto.userid_hmac_secret': 'analytical',\n    'kinto.includes': 'kinto.plugins.accounts',\n    'multiauth.policies': 'account',\n    'multiauth.policy.account.use': 'kinto.plugins.accounts.authentication.AccountsAuthenticationPolicy',\n    'kinto.account_create_principals': 'system.Everyone',\n    'kinto.bucket_create_principals': 'system.Authenticated',\n}\napplication = main({}, None, **settings)\n");
    let server = site.serve(ONE, &["storage:application"]);
    let mut browser = Browser::new(&server);
    let json = [("Content-Type", "application/json")];
    let about = browser.get("/v1/").json();
    assert_eq!(about["project_name"], "kinto");
    let account = json!({"data": {"password": "analytical"}}).to_string();
    let made = browser.ask("PUT", "/v1/accounts/ada", &json, account.as_bytes());
    assert_eq!(made.status, "201 Created", "{}", made.text());
    assert_eq!(
        browser.ask("PUT", "/v1/buckets/notes", &json, b"").status,
        "401 Unauthorized"
    );

    browser.authorization = Some("Basic YWRhOmFuYWx5dGljYWw=".to_string()); // ada:analytical
    assert_eq!(browser.get("/v1/").json()["user"]["id"], "account:ada");
    assert_eq!(
        browser.ask("PUT", "/v1/buckets/notes", &json, b"").status,
        "201 Created"
    );
    assert_eq!(
        browser
            .ask("PUT", "/v1/buckets/notes/collections/engine", &json, b"")
            .status,
        "201 Created"
    );
    let record = json!({"data": {"title": "Note G", "text": "Bernoulli \u{2713}"}}).to_string();
    let records = "/v1/buckets/notes/collections/engine/records";
    let stored = browser.ask("POST", records, &json, record.as_bytes());
    assert_eq!(stored.status, "201 Created", "{}", stored.text());
    let id = stored.json()["data"]["id"]
        .as_str()
        .expect("it has one")
        .to_string();
    let path = format!("{records}/{id}");
    assert_eq!(
        browser.get(&path).json()["data"]["text"],
        "Bernoulli \u{2713}"
    );
    let patch = json!({"data": {"title": "Note H"}}).to_string();
    assert_eq!(
        browser.ask("PATCH", &path, &json, patch.as_bytes()).status,
        "200 OK"
    );
    assert_eq!(browser.get(records).json()["data"][0]["title"], "Note H");
    let head = browser.ask("HEAD", records, &[], b"");
    assert_eq!(
        (head.header("Total-Records"), head.body.len()),
        (Some("1"), 0)
    );
    browser.authorization = None;
    assert_eq!(browser.get(&path).status, "401 Unauthorized");
}
