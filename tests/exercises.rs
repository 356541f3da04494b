//! The exercises: each test fails on the program that the exercise starts from
//! and passes on its solution. To try your own:
//!
//! ```sh
//! PROGRAM=/path/to/your/program cargo test --test exercises NAME
//! ```
//!
//! `PROGRAM` may also be the name of a program of the course.

use tests::client::{get, Client, End};
use tests::server::Server;

type Check = fn(&Server) -> Result<(), String>;

/// Runs the check of an exercise on `PROGRAM`; without one, on the program it
/// starts from, where it must fail, and on the solution, where it must not.
fn exercise(start: &str, solution: &str, check: Check) {
    if let Ok(program) = std::env::var("PROGRAM") {
        let result = check(&Server::start(&program));
        result.unwrap_or_else(|error| panic!("{program}: {error}"));
        return;
    }
    assert!(
        check(&Server::start(start)).is_err(),
        "{start} needs no repair"
    );
    let result = check(&Server::start(solution));
    result.unwrap_or_else(|error| panic!("{solution}: {error}"));
}

fn ensure(holds: bool, error: impl Into<String>) -> Result<(), String> {
    match holds {
        true => Ok(()),
        false => Err(error.into()),
    }
}

fn answer(server: &Server, path: &str) -> Result<String, String> {
    let (answer, end) = server.connect().ask(&get(path));
    ensure(
        end == End::Closed,
        format!("the connection ended with {end:?}"),
    )?;
    Ok(answer)
}

#[test]
fn echo_path() {
    exercise("webserver1", "echo_path", |server| {
        for path in ["/hello", "/a/b?c=d"] {
            let answer = answer(server, path)?;
            let wanted = format!("Hello, {path}!");
            let found = answer.contains(&wanted);
            ensure(
                found,
                format!("asked for {path}, wanted `{wanted}`, got {answer:?}"),
            )?;
        }
        // A request of one word must not hurt it.
        let (answer, _) = server.connect().ask("GET\r\n\r\n");
        ensure(
            answer.starts_with("HTTP/1.1 "),
            format!("one word got {answer:?}"),
        )
    });
}

#[test]
fn smallest_answer() {
    exercise("webserver1", "smallest_answer", |server| {
        let answer = answer(server, "/hello")?;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .ok_or(format!("no CRLF CRLF ends the head: {answer:?}"))?;
        let bare = head.replace("\r\n", "").contains(['\r', '\n']);
        ensure(
            !bare,
            format!("a line of the head ends without CRLF: {head:?}"),
        )?;
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        ensure(
            status == "HTTP/1.1 200 OK",
            format!("the status line is {status:?}"),
        )?;
        let mut length = None;
        let mut closes = false;
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(format!("no header: {line:?}"))?;
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok(),
                "connection" => closes = value.trim().eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        let said = format!(
            "Content-Length is {length:?} and the body has {} bytes",
            body.len()
        );
        ensure(length == Some(body.len()), said)?;
        ensure(body == "Hello, World!\n", format!("the body is {body:?}"))?;
        ensure(closes, "there is no `Connection: close`, and yet it closes")
    });
}

#[test]
fn not_found() {
    exercise("webserver1", "not_found", |server| {
        let hello = answer(server, "/hello")?;
        ensure(
            hello.starts_with("HTTP/1.1 200 OK"),
            format!("/hello got {hello:?}"),
        )?;
        for path in ["/", "/hell", "/hello/", "/favicon.ico"] {
            let other = answer(server, path)?;
            let refused = other.starts_with("HTTP/1.1 404 Not Found");
            ensure(refused, format!("{path} got {other:?}"))?;
        }
        Ok(())
    });
}

#[test]
fn four_numbers() {
    exercise("webserver1", "four_numbers", |server| {
        let mut client = server.connect();
        let wanted = format!("{} -> {}", client.address(), server.address);
        client.ask(&get("/"));
        let printed = server.prints(&wanted);
        let output = server.output();
        ensure(
            printed,
            format!("wanted `{wanted}` in the output:\n{output}"),
        )
    });
}

#[test]
fn whole_request() {
    exercise("webserver1", "whole_request", |server| {
        for end_of_line in ["\r\n", "\n"] {
            let mut client = server.connect();
            client.send(format!("GET / HTTP/1.1{end_of_line}Host: lo"));
            let (early, _) = client.read_soon();
            ensure(early.is_empty(), "it answers half a request")?;
            let (answer, _) = client.ask(&format!("calhost{end_of_line}{end_of_line}"));
            let answered = answer.ends_with("Hello, World!\n");
            ensure(answered, format!("the whole request got {answer:?}"))?;
        }
        let (answer, end) = server
            .connect()
            .ask(&get(&format!("/{}", "x".repeat(3000))));
        let whole = answer.ends_with("Hello, World!\n") && end == End::Closed;
        ensure(whole, format!("3,000 bytes got {answer:?} and {end:?}"))?;
        // A head without end must have one.
        let (_, end) = flood(server);
        ensure(end != End::Silent, "a head without end is read for ever")
    });
}

fn flood(server: &Server) -> (Vec<u8>, End) {
    let mut client: Client = server.connect();
    client.send("x".repeat(20_000)).read_to_end()
}

#[test]
fn patience() {
    exercise("webserver1", "patience", |server| {
        let _silent = server.connect();
        let mut other = server.connect();
        other.send(get("/"));
        // Six times half a second.
        let answered = (0..6).any(|_| other.read_soon().0.ends_with(b"Hello, World!\n"));
        ensure(
            answered,
            "a silent client holds the server for more than three seconds",
        )
    });
}
