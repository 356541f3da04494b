//! How a request ends, and what is left of it.

use super::{text, wait_for_errors, webserver2, FORKING, ONE};
use tests::answer::Answer;
use tests::client::{get, End};
use tests::python::{can_check, Site, Visitor};
use tests::wait_for;

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
            let answer = Visitor::new(&server).get(path);
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
    let answer = Visitor::new(&server).ask("HEAD", "/", &[], b"");
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
        let errors = server.errors_when_idle();
        assert!(!errors.contains("Traceback"), "{errors}");
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
            "the application raised ValueError: \\u{1b}[2Jgone\\nX\n",
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
            Visitor::new(&server).get("/");
            assert!(server.is_running(), "{path}");
            if path == "/" {
                let errors = server.errors();
                assert!(errors.contains("KeyError: 'the cause'"), "{errors}");
                assert!(errors.contains("direct cause"), "{errors}");
            }
        }
    }
    let (_site, mut server) = webserver2("probes:exits_late");
    let answer = Visitor::new(&server).get("/");
    assert_eq!(text(&answer), ("200 OK", "first\n".to_string()));
    Visitor::new(&server).get("/");
    assert!(server.is_running());
}

/// The environ of a request may live as long as it likes; its connection not.
#[test]
fn nothing_of_a_request_outlives_it() {
    if !can_check("an environ that is kept") {
        return;
    }
    let (_site, server) = webserver2("probes:keeps");
    let mut visitor = Visitor::new(&server);
    let first = visitor.ask("POST", "/", &[], b"left unread");
    assert_eq!(first.end, End::Closed);
    let second = visitor.get("/").text();
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
    let answer = Visitor::new(&server).ask("POST", "/", &[], b"left unread");
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
