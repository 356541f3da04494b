//! What Part 2 says of `webserver2`, under its applications.

mod answers;
mod clients;
mod connections;
mod failures;
mod operator;
mod refusals;
mod table;

use tests::answer::Answer;
use tests::client::{get, End};
use tests::server::Server;

/// The only answer in what came over a connection that was closed. Every answer has
/// a date, says that it is the last, and is as long as it says, if it says so.
fn whole(came: (Vec<u8>, End)) -> Answer {
    let answer = Answer::of(came);
    assert_eq!(answer.end, End::Closed);
    assert!(answer.field("date").is_some(), "{answer:?}");
    assert_eq!(answer.field("connection"), Some("close"));
    if let (Some(length), false) = (answer.field("content-length"), answer.body.is_empty()) {
        assert_eq!(length, answer.body.len().to_string());
    }
    answer
}

fn ask(server: &Server, request: impl AsRef<[u8]>) -> Answer {
    whole(server.connect().exchange(request.as_ref()))
}

/// That the server has survived what came before, and how. It has answered one after
/// the other: what it had to say of the one before is said when it answers this.
fn serves(server: &mut Server) {
    let answer = ask(server, get("/"));
    assert_eq!(answer.status, "200 OK");
    assert!(server.is_running());
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
}

/// What the server has printed of errors, when it is so many lines and no more come.
fn lines(server: &Server, number: usize) -> Vec<String> {
    tests::wait_for(&format!("{number} lines of errors"), || {
        (server.errors().matches('\n').count() >= number).then_some(())
    });
    let errors = server.errors_when_idle();
    let lines: Vec<String> = errors.lines().map(str::to_string).collect();
    assert_eq!(lines.len(), number, "{errors}");
    lines
}

const HELLO: &str = "Hello world from a simple WSGI application!\n";

/// The environ and the body that `echoapp` has seen.
fn echoed(answer: &Answer) -> (String, &[u8]) {
    let end = answer.body.windows(2).position(|bytes| bytes == b"\n\n");
    let end = end.expect("the echo has an empty line");
    let environ = String::from_utf8_lossy(&answer.body[..end]).into_owned();
    (environ, &answer.body[end + 2..])
}
