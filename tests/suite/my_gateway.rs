//! The gateway that the reader grows: what each stage of it can do, and what the stage
//! before it cannot.

use tests::answer::Answer;
use tests::client::{get, End};
use tests::server::Server;

const CAKE: &str = "There is cake.\n";
const NONE: &str = "No such page.\n";

fn ask(server: &Server, target: &str) -> Answer {
    let answer = Answer::to(server, "GET", target, "");
    answer.unwrap_or_else(|error| panic!("{target}: {error}"))
}

#[test]
fn a_page_is_found_by_each_of_its_spellings() {
    let spellings = [
        "/cake",
        "/cake?guests=3",
        "/%63ake",
        "http://localhost/cake",
    ];
    let stages = [
        ("bytes_in_bytes_out", [CAKE, NONE, NONE, NONE]),
        ("what_was_asked", [CAKE, CAKE, NONE, NONE]),
        ("decoded_path", [CAKE, CAKE, CAKE, CAKE]),
        ("status_and_fields", [CAKE, CAKE, CAKE, CAKE]),
    ];
    for (stage, pages) in stages {
        let server = Server::start(stage);
        for (spelling, page) in spellings.into_iter().zip(pages) {
            assert_eq!(ask(&server, spelling).text(), page, "{stage}: {spelling}");
        }
    }
    // What looks like digits and is none stays as it was.
    let server = Server::start("decoded_path");
    for target in ["/%+3ake", "/%6", "/%", "/%zzcake", "/%c3", "http://", "x"] {
        assert_eq!(ask(&server, target).text(), NONE, "{target}");
    }
}

#[test]
fn the_server_counts_and_keeps_the_body_from_head() {
    let head = get("/cake").replace("GET", "HEAD");
    for (stage, body) in [("decoded_path", CAKE), ("status_and_fields", "")] {
        let server = Server::start(stage);
        let (bytes, end) = server.connect().ask(&head);
        let answer = Answer::parse(bytes.as_bytes(), end).unwrap();
        assert_eq!(answer.text(), body, "{stage}");
        assert_eq!(answer.field("Content-Length"), Some("15"), "{stage}");
    }
    let server = Server::start("status_and_fields");
    assert_eq!(ask(&server, "/pie").field("Content-Length"), Some("14"));
    assert_eq!(ask(&server, "/pie").field("Connection"), Some("close"));
}

#[test]
fn each_chunk_leaves_before_the_next_is_made() {
    // Three seconds of cutting, so that a client that is late by one is early enough.
    let whole = "12 slices for 3: 4 each\n".repeat(6);
    for (stage, at_once) in [("slow_cake", true), ("chunk_by_chunk", false)] {
        let server = Server::start(stage);
        let mut client = server.connect();
        client.send(get("/cake?3,3,3,3,3,3"));
        let mut came = String::new();
        while !came.contains("4 each\n") {
            came += &String::from_utf8(client.read_some()).unwrap();
        }
        assert_eq!(came.ends_with(&whole), at_once, "{stage}: {came}");
        let (rest, end) = client.read_to_end();
        came += &String::from_utf8(rest).unwrap();
        assert!(
            came.ends_with(&whole) && end == End::Closed,
            "{stage}: {came}"
        );
    }
}

#[test]
fn a_length_is_lost_and_found_again() {
    for (stage, length) in [("chunk_by_chunk", None), ("known_length", Some("14"))] {
        let server = Server::start(stage);
        assert_eq!(
            ask(&server, "/pie").field("Content-Length"),
            length,
            "{stage}"
        );
        assert_eq!(
            ask(&server, "/cake?1").field("Content-Length"),
            None,
            "{stage}"
        );
    }
}

#[test]
fn a_bug_of_a_page_ends_the_server() {
    let mut server = Server::start("known_length");
    let answer = ask(&server, "/cake?0");
    assert_eq!((answer.code(), answer.text().as_str()), ("200", ""));
    let (code, errors) = server.wait_for_end();
    assert_eq!(code, Some(101));
    assert!(errors.contains("attempt to divide by zero"), "{errors}");
}

#[test]
fn a_failure_is_a_500_before_the_first_byte_and_a_broken_answer_after_it() {
    for stage in ["failures", "start_response"] {
        let server = Server::start(stage);
        for target in ["/cake?0", "/cake?many", "/cake"] {
            let answer = ask(&server, target);
            let seen = (answer.code(), answer.text(), answer.end);
            assert_eq!(
                seen,
                ("500", String::new(), End::Closed),
                "{stage}: {target}"
            );
        }
        let answer = ask(&server, "/cake?3,0,2");
        let seen = (answer.code(), answer.text(), answer.end);
        let half = "12 slices for 3: 4 each\n".to_string();
        assert_eq!(seen, ("200", half, End::Closed), "{stage}");
        assert!(
            server.errors_when_idle().contains(": nobody wants cake\n"),
            "{stage}"
        );
        assert_eq!(ask(&server, "/cake?2").code(), "200", "{stage}");
    }
}

#[test]
fn a_status_may_be_called_for_late_and_once() {
    let server = Server::start("called_late");
    let line = "12 slices for 3: 4 each\n";
    assert_eq!(ask(&server, "/cake?3").text(), line);
    assert_eq!(ask(&server, "/cake?3,2").text(), line);
    let errors = server.errors_when_idle();
    assert_eq!(
        errors.matches(": start was called twice\n").count(),
        1,
        "{errors}"
    );
}

#[test]
fn what_was_said_is_taken_back_as_long_as_it_has_not_left() {
    for stage in [
        "restarted",
        "sent_along",
        "door",
        "any_application",
        "my_gateway",
    ] {
        let server = Server::start(stage);
        let answer = ask(&server, "/cake?0");
        let seen = (answer.code(), answer.text());
        assert_eq!(seen, ("400", "For how many?\n".into()), "{stage}");
        assert_eq!(server.errors_when_idle(), "", "{stage}");
        let answer = ask(&server, "/cake?3,0,2");
        let seen = (answer.code(), answer.text());
        assert_eq!(seen, ("200", "12 slices for 3: 4 each\n".into()), "{stage}");
        assert!(
            server.errors_when_idle().contains(": nobody wants cake\n"),
            "{stage}"
        );
    }
}

/// Sends a form that says `name`, in one piece, or in three of which the server has read
/// each before the next is sent.
fn come_in(server: &Server, name: &str, pieces: bool) -> Answer {
    let length = name.len() + 5;
    let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
    let mut client = server.connect();
    if pieces {
        for piece in [&head, "name="] {
            client.send(piece);
            assert!(server.comes_to_rest(), "it does not wait for the rest");
        }
        client.send(name);
    } else {
        client.send(format!("{head}name={name}"));
    }
    Answer::read(&mut client)
}

#[test]
fn a_form_in_two_pieces_is_read_whole() {
    for (stage, page) in [("sent_along", "NAME=ADA\n"), ("door", "Come in, Ada.\n")] {
        let server = Server::start(stage);
        for pieces in [false, true] {
            let answer = come_in(&server, "Ada", pieces);
            assert_eq!(answer.text(), page, "{stage}, in pieces: {pieces}");
        }
        // What comes behind the body is no part of it, and is not waited for.
        let request = "POST / HTTP/1.1\r\nContent-Length: 8\r\n\r\nname=Ada and more";
        let (answer, _) = server.connect().ask(request);
        assert!(answer.ends_with(page), "{stage}: {answer}");
    }
}

#[test]
fn a_form_is_decoded_and_has_its_field() {
    let server = Server::start("door");
    let answer = come_in(&server, "Ada+Lov%65lace&more=1", false);
    assert_eq!(answer.text(), "Come in, Ada Lovelace.\n");
    let request = "POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nage=28";
    let (answer, _) = server.connect().ask(request);
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(server
        .errors_when_idle()
        .contains(": the form lacks a field\n"));
}

#[test]
fn guests_are_remembered_and_are_no_markup() {
    let server = Server::start("my_gateway");
    for name in ["Ada", "%3Cb%3EGrace+%26+Co"] {
        let answer = come_in(&server, name, false);
        let seen = (answer.code(), answer.field("Location"));
        assert_eq!(seen, ("303", Some("/")));
    }
    let page = ask(&server, "/").text();
    assert!(page.contains("<p>Ada\n<p>&lt;b>Grace &amp; Co\n"), "{page}");
    assert!(page.contains("/cake?2"), "{page}");
}

/// What is asked for is printed as text, and a client cannot write on the terminal.
#[test]
fn an_application_around_another_prints_what_was_asked() {
    for stage in ["any_application", "my_gateway"] {
        let server = Server::start(stage);
        assert_eq!(ask(&server, "/%1b%5b2J").text(), NONE, "{stage}");
        let output = server.output_when_idle();
        assert!(
            output.ends_with("\"GET\" \"/\\u{1b}[2J\"\n"),
            "{stage}: {output}"
        );
    }
}

/// Nothing that a client sends ends it, or keeps the next from being served.
#[test]
fn no_request_ends_it() {
    let server = Server::start("my_gateway");
    let requests: [&[u8]; 9] = [
        b"",
        b"GET",
        b"\r\n\r\n",
        b"\xff\xfe \xff \xff\r\n\xff: \xff\r\n\r\n",
        b"GET /%c3%28 HTTP/1.1\r\n\r\n",
        b"GET http:// HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nname=x",
        b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nname",
        b"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\n=\xff&=&&",
    ];
    for request in requests {
        let mut client = server.connect();
        client.send(request).finish();
        client.read_to_end();
    }
    server.connect().reset();
    assert_eq!(ask(&server, "/pie").text(), NONE);
}
