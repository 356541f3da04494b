//! Clients that leave, say nothing, or expect to be told.

use super::{ask, echoed, serves, whole};
use tests::client::{get, End};
use tests::server::Server;

#[test]
fn a_client_that_leaves_in_mid_answer_is_survived() {
    for name in ["app", "write", "large"] {
        let mut server = Server::start(&format!("webserver2 validator:streamapp:{name}"));
        let mut client = server.connect();
        client.send(get("/"));
        let first = client.read_some();
        assert!(first.starts_with(b"HTTP/1.1 200 OK\r\n"), "{name}");
        client.reset();
        serves(&mut server);
    }
}

#[test]
fn a_client_that_says_nothing_is_survived() {
    let mut server = Server::start("webserver2 validator:echoapp:app");
    drop(server.connect());
    server.connect().reset();
    assert_eq!(
        server.connect().finish().read_to_end(),
        (Vec::new(), End::Closed)
    );
    let silence = server.connect().send("\r\n\r\n").finish().read_to_end();
    assert_eq!(silence, (Vec::new(), End::Closed));
    serves(&mut server);
}

/// RFC 9110, section 10.1.1.
#[test]
fn a_client_that_expects_to_be_told_is_told() {
    let server = Server::start("webserver2 validator:echoapp:app");
    let head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let mut client = server.connect();
    assert_eq!(
        client.send(head).read_some(),
        b"HTTP/1.1 100 Continue\r\n\r\n"
    );
    let answer = whole(client.send("12345").read_to_end());
    assert_eq!(echoed(&answer).1, b"12345");

    // Not by HTTP/1.0, and not when the answer is known already.
    let head = head.replace("HTTP/1.1", "HTTP/1.0");
    let answer = ask(&server, head + "12345");
    assert_eq!(answer.status, "200 OK");
    let head =
        "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9999999999\r\n\r\n";
    assert_eq!(ask(&server, head).status, "413 Content Too Large");
}
