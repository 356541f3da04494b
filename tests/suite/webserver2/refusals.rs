//! What is no request, and what is too much of one.

use super::{ask, lines, serves, whole, HELLO};
use std::time::{Duration, Instant};
use tests::client::get;
use tests::server::Server;

const BAD: &str = "400 Bad Request";

const TOO_LARGE: &str = "413 Content Too Large";

const TOO_LONG: &str = "414 URI Too Long";

const FIELDS: &str = "431 Request Header Fields Too Large";

const NOT_HERE: &str = "501 Not Implemented";

const VERSION: &str = "505 HTTP Version Not Supported";

/// Each is refused with its status, with one answer, whatever stands behind it;
/// and the next client is served.
#[test]
fn malformed_requests_are_refused() {
    let mut server = Server::start("webserver2 validator:echoapp:app");
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n");
    let chunked = |body: &str| post("Transfer-Encoding: chunked") + body;
    let line = |line: &str| format!("{line}\r\nHost: x\r\n\r\n");
    let mut malformed: Vec<(String, &str)> = Vec::new();
    for bad in [
        // The first line.
        "GET /",
        "GET",
        "",
        " ",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.10",
        "GET / HTTP/one",
        "G\0T / HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\r HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET hello HTTP/1.1",
        "GET * HTTP/1.1",
        "GET ftp://x/ HTTP/1.1",
        "GET https://x:bad/ HTTP/1.1",
        "\u{16}\u{3}\u{1}\0\u{a5}\u{1}\0\0", // TLS
    ] {
        // An empty line before the first is passed over.
        let request = if bad.is_empty() {
            line("\r\nX")
        } else {
            line(bad)
        };
        malformed.push((request, BAD));
    }
    for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/3.0"] {
        malformed.push((line(&format!("GET / {version}")), VERSION));
    }
    malformed.push(("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_string(), VERSION));
    malformed.push((line("CONNECT x:80 HTTP/1.1"), NOT_HERE));
    for bad in [
        // The fields.
        "X",
        ": y",
        "X : y",
        "X\t: y",
        " X: y",
        "X: y\r\n folded",
        "X: y\r\n\tfolded",
        "X\0: y",
        "X: \0",
        "X: y\rz",
        "X: y\r",
        "\rX: y",
        "X\r: y",
        "X: \u{7f}",
        "X: \u{1b}[2J",
        "Host: x",
        "Host: y",
        "Content-Type: text/plain\r\nContent-Type: text/html",
        "Range: bytes=0-1\r\nRange: bytes=0-1",
        "X(: y",
        "GET / HTTP/1.1",
        // Where the body ends.
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: -5",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: 5, 5",
        "Content-Length: 5 5",
        "Content-Length:",
        "Content-Length: five",
        "Content-Length: 5\u{c}",
        "Content-Length : 5",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chunked\u{c}",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:",
    ] {
        malformed.push((post(bad), BAD));
    }
    malformed.push((post("Transfer-Encoding: gzip, chunked"), NOT_HERE));
    malformed.push((
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        NOT_HERE,
    ));
    malformed.push((
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_string(),
        BAD,
    ));
    malformed.push(("GET / HTTP/1.1\r\n\r\n".to_string(), BAD)); // no Host
    for host in [
        "x:bad", "x:-5", "x:65536", "::1", "[::1", "[[::1]", "[::1]x", "%zz", "a,b", "a@b", ":80",
    ] {
        malformed.push((format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), BAD));
        malformed.push((line(&format!("GET http://{host}/ HTTP/1.1")), BAD));
    }
    for large in ["1073741825", "18446744073709551616", &"9".repeat(1000)] {
        malformed.push((post(&format!("Content-Length: {large}")), TOO_LARGE));
    }
    for bad in [
        // The chunks.
        "\r\n\r\n",
        "x\r\n\r\n",
        "+5\r\n12345\r\n0\r\n\r\n",
        "-5\r\n12345\r\n0\r\n\r\n",
        "0x5\r\n12345\r\n0\r\n\r\n",
        "5 5\r\n12345\r\n0\r\n\r\n",
        " 5\r\n12345\r\n0\r\n\r\n",
        "5\n12345\r\n0\r\n\r\n",
        "5\r\n12345\n0\r\n\r\n",
        "5\r\n123456\r\n0\r\n\r\n",
        "5\r\n1234\r\n0\r\n\r\n",
        "5;a\rb\r\n12345\r\n0\r\n\r\n",
        "5;a\n12345\r\n0\r\n\r\n",
        "5;\0\r\n12345\r\n0\r\n\r\n",
        "5\r\r\n12345\r\n0\r\n\r\n",
        "0\r\nTrailer\r\n\r\n",
        "0\r\nX: y\n\r\n",
    ] {
        malformed.push((chunked(bad), BAD));
    }
    for large in [
        "40000001\r\n",
        "ffffffffffffffff\r\n",
        "10000000000000000\r\n",
        "1\r\nx\r\nffffffffffffffff\r\n",
    ] {
        malformed.push((chunked(large), TOO_LARGE));
    }
    // What has no end.
    let endless = "x".repeat(200_000);
    malformed.push((endless.clone(), TOO_LONG));
    malformed.push((line(&format!("GET /{endless} HTTP/1.1")), TOO_LONG));
    malformed.push(("\r\n".repeat(100_000), TOO_LONG));
    malformed.push((post(&format!("X: {endless}")), FIELDS));
    malformed.push((post(&endless), FIELDS));
    malformed.push((post(&["X: y"; 101].join("\r\n")), FIELDS));
    malformed.push((post(&["X: y"; 20_000].join("\r\n")), FIELDS));
    malformed.push((chunked(&format!("5;{endless}")), BAD));
    malformed.push((chunked(&endless.replace('x', "0")), BAD));
    malformed.push((chunked(&format!("0\r\nX: {endless}")), BAD));
    malformed.push((chunked(&format!("0\r\n{}", "X: y\r\n".repeat(30_000))), BAD));

    let number = malformed.len();
    for (request, status) in malformed {
        let start: String = request.chars().take(200).collect();
        let answer = ask(&server, request + &get("/second"));
        assert_eq!(answer.status, status, "{start:?}");
        let text = answer.text();
        assert!(
            text.starts_with(&format!("{status}: ")),
            "{start:?}: {text}"
        );
        assert_eq!(text.lines().count(), 1, "{start:?}: {text}");
        serves(&mut server);
    }
    // The operator reads a line for each.
    for line in lines(&server, number) {
        assert!(line.starts_with("127.0.0.1:"), "{line}");
    }
}

/// A head that breaks off is answered, if anybody is left to hear it.
#[test]
fn a_head_that_breaks_off_is_refused() {
    let mut server = Server::start("webserver2 validator:echoapp:app");
    for part in [
        "G",
        "GET / HTTP/1.1",
        "GET / HTTP/1.1\r\nHost: x\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r",
    ] {
        let answer = whole(server.connect().send(part).finish().read_to_end());
        assert_eq!(answer.status, BAD);
        server.connect().send(part);
        serves(&mut server);
    }
}

/// The client that does not stop sending hears why it should, and is not cut off
/// before it has.
#[test]
fn a_refused_upload_hears_why() {
    // It listens for longer than the upload takes, also on a busy machine.
    let linger = "--max-body 10M --linger 1h";
    let mut server = Server::start(&format!("webserver2 validator:wsgiapp:app {linger}"));
    let upload = vec![b'x'; 8_000_000]; // more than the system keeps for the server
    let length = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n";
    let chunk = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n";
    for (head, status) in [(length, TOO_LARGE), (chunk, BAD)] {
        for _ in 0..10 {
            let mut client = server.connect();
            let answer = whole(client.send(head).send(&upload).read_to_end());
            assert_eq!(answer.status, status);
        }
    }
    // Also where the application does not care for it.
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n";
    for _ in 0..10 {
        let mut client = server.connect();
        let answer = whole(client.send(head).send(&upload).read_to_end());
        assert_eq!(answer.text(), HELLO);
    }
    serves(&mut server);
}

/// What it hears has an end too.
#[test]
fn an_upload_without_end_is_cut_off() {
    let mut server = Server::start("webserver2 validator:wsgiapp:app --max-body 10M");
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n");
    let mut other = server.connect();
    other.send(get("/"));
    // The first neither closes nor stops: byte by byte, for as long as it may.
    let start = Instant::now();
    while client.takes("x") {
        assert!(
            start.elapsed() < tests::LIMIT,
            "the server listens for ever"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(whole(other.read_to_end()).text(), HELLO);
    serves(&mut server);
}

/// As much as it would be told, and no text: the method is known, whatever is
/// wrong behind it.
#[test]
fn a_refusal_of_head_has_no_text() {
    let server = Server::start("webserver2 validator:echoapp:app");
    let long = "x".repeat(100_000);
    for (rest, status) in [
        (" / HTTP/1.1\r\nHost: a b\r\n\r\n", BAD),
        (" / HTTP/1.1\r\n\r\n", BAD),
        ("  / HTTP/1.1\r\nHost: x\r\n\r\n", BAD),
        (" / HTTP/2.0\r\nHost: x\r\n\r\n", VERSION),
        (&format!(" /{long}"), "414 URI Too Long"),
        (
            &format!(" / HTTP/1.1\r\nX: {long}"),
            "431 Request Header Fields Too Large",
        ),
    ] {
        let get = ask(&server, format!("GET{rest}"));
        let head = ask(&server, format!("HEAD{rest}"));
        assert_eq!((&*get.status, &*head.status), (status, status));
        assert_eq!(head.text(), "", "{status}");
        let length = get.body.len().to_string();
        assert_eq!(head.field("Content-Length"), Some(&*length), "{status}");
    }
}
