//! Applications that fail.

use super::{ask, lines};
use tests::client::get;
use tests::server::Server;

#[test]
fn an_application_that_fails_early_is_excused() {
    let server = Server::start("webserver2 validator:failapp:early");
    for _ in 0..2 {
        let answer = ask(&server, get("/"));
        assert_eq!(answer.status, "503 Service Unavailable");
        assert_eq!(answer.text(), "Come back later.\n");
    }
    assert_eq!(server.errors_when_idle(), "");
}

#[test]
fn an_application_that_fails_late_is_cut_off() {
    let mut server = Server::start("webserver2 validator:failapp:late");
    for number in 1..=2 {
        let answer = ask(&server, get("/"));
        assert_eq!(
            (answer.status.as_str(), answer.text().as_str()),
            ("200 OK", "All is w")
        );
        assert_eq!(answer.field("content-length"), None);
        // The line comes after the answer.
        for line in lines(&server, number) {
            assert!(line.ends_with(": the database is on fire"), "{line}");
        }
    }
    assert!(server.is_running());
}

#[test]
fn an_application_that_panics_is_survived() {
    let mut server = Server::start("webserver2 validator:failapp:panic");
    for _ in 0..2 {
        let answer = ask(&server, get("/"));
        assert_eq!(answer.status, "500 Internal Server Error");
        assert_eq!(answer.text(), "500 Internal Server Error\n");
        let answer = ask(&server, get("/?x"));
        assert_eq!(
            (answer.status.as_str(), answer.text().as_str()),
            ("200 OK", "x")
        );
    }
    tests::wait_for("the operator's line", || {
        server
            .errors()
            .contains(": the application panicked\n")
            .then_some(())
    });
    assert!(server.is_running());
}
