//! What Part 1 says of `webserver1`.

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use tests::client::{get, End};
use tests::programs::executable;
use tests::server::{run_to_end, Server};
use tests::SILENCE;

const ANSWER: &str = "HTTP/1.1 200 OK\n\nHello, World!\n";

/// The server has its address out before it accepts, or this would not start.
#[test]
fn the_first_line_is_the_address() {
    let server = Server::start("webserver1");
    let line = format!("Serving HTTP on http://{}/ ...\n", server.address);
    assert_eq!(server.output(), line);
    assert_ne!(server.address.port(), 0);
}

#[test]
fn the_answer_is_the_series_byte_for_byte() {
    let server = Server::start("webserver1");
    let answer = server.connect().ask(&get("/hello"));
    assert_eq!(answer, (ANSWER.to_string(), End::Closed));
}

#[test]
fn the_request_is_printed_as_it_came() {
    let server = Server::start("webserver1");
    server.connect().ask(&get("/as/it/came"));
    server.wait_for_output(&get("/as/it/came"));
    // And nothing else, of the buffer say: the next request comes straight behind it.
    server.connect().ask(&get("/next"));
    server.wait_for_output(&get("/next"));
    let line = format!("Serving HTTP on http://{}/ ...\n", server.address);
    let all = format!("{line}{}{}", get("/as/it/came"), get("/next"));
    assert_eq!(server.output(), all);
}

/// What it has not read when it closes resets the connection.
#[test]
fn of_a_request_1024_bytes_are_read() {
    let server = Server::start("webserver1");
    for (length, end) in [(1024, End::Closed), (1025, End::Reset)] {
        let path = "x".repeat(length - get("/").len());
        let (answer, ended) = server.connect().ask(&get(&format!("/{path}")));
        assert_eq!(ended, end, "{length} bytes got {answer:?}");
    }
}

#[test]
fn serves_after_a_client_that_resets() {
    let mut server = Server::start("webserver1");
    for _ in 0..3 {
        let mut client = server.connect();
        client.send(get("/gone"));
        client.reset();
        server.connect().reset();
    }
    assert_eq!(server.connect().ask(&get("/")).0, ANSWER);
    assert!(server.is_running());
}

#[test]
fn serves_after_a_client_that_says_nothing() {
    let server = Server::start("webserver1");
    drop(server.connect());
    assert_eq!(server.connect().finish().read_to_end().0, ANSWER.as_bytes());
    assert_eq!(server.connect().ask(&get("/")).0, ANSWER);
}

#[test]
fn serves_after_bytes_that_are_not_text() {
    let server = Server::start("webserver1");
    let (answer, _) = server.connect().send(b"\xff\xfe\x00\x80").read_to_end();
    assert_eq!(answer, ANSWER.as_bytes());
    assert_eq!(server.connect().ask(&get("/")).0, ANSWER);
}

/// Rust's library asks for a queue of 128; the system may round that up a
/// little, and connections beyond it are not answered.
#[test]
fn the_queue_is_finite() {
    let server = Server::start("webserver1");
    let silent = server.connect();
    let mut waiting = Vec::new();
    while let Ok(connection) = TcpStream::connect_timeout(&server.address, SILENCE) {
        waiting.push(connection);
        assert!(waiting.len() < 300, "the queue has no end");
    }
    assert!(waiting.len() >= 128, "{} may wait", waiting.len());
    drop(silent);
    drop(waiting);
    assert_eq!(server.connect().ask(&get("/")).0, ANSWER);
}

#[test]
fn a_busy_port_is_one_clear_line() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let mut command = Command::new(executable("webserver1"));
    let (code, output, errors) = run_to_end(command.arg(&address));
    assert_eq!((code, output.as_str()), (Some(1), ""));
    let hint = "another address can be the first argument";
    assert!(
        errors.starts_with(&format!("bind {address}: Address")),
        "{errors}"
    );
    assert!(errors.trim_end().ends_with(hint), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn a_bad_address_is_one_clear_line() {
    for (address, message) in [
        ("nonsense", "bind nonsense: invalid socket address"),
        (
            "127.0.0.1:99999",
            "bind 127.0.0.1:99999: invalid port value",
        ),
    ] {
        let mut command = Command::new(executable("webserver1"));
        let (code, output, errors) = run_to_end(command.arg(address));
        assert_eq!((code, output.as_str()), (Some(1), ""));
        assert!(errors.starts_with(message), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

/// The smallest correct answer of a server that closes: RFC 9112, sections
/// 2.1, 6.3 and 9.6.
#[test]
fn the_smallest_answer_is_framed() {
    let server = Server::start("smallest_answer");
    let answer = server.connect().ask(&get("/hello"));
    let wanted =
        "HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\nHello, World!\n";
    assert_eq!(answer, (wanted.to_string(), End::Closed));
    let body = wanted.split("\r\n\r\n").nth(1).unwrap();
    assert_eq!(body.len(), 14);
}
