//! Answers of several chunks, and of a million bytes.

use super::ask;
use std::time::{Duration, Instant};
use tests::client::get;
use tests::server::Server;

/// When bytes of an answer came, each after the request was sent.
fn arrivals(server: &Server, path: &str) -> Vec<(Duration, String)> {
    let mut client = server.connect();
    let start = Instant::now();
    client.send(get(path));
    let mut arrivals = Vec::new();
    loop {
        let bytes = client.read_some();
        if bytes.is_empty() {
            return arrivals;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        arrivals.push((start.elapsed(), text));
    }
}

/// Applications that count, each with its path, how far, and how long it takes
/// them.
const COUNTING: [(&str, &str, usize, Duration); 3] = [
    (
        "validator:streamapp:app",
        "/",
        5,
        Duration::from_millis(400),
    ),
    (
        "validator:streamapp:late",
        "/",
        5,
        Duration::from_millis(400),
    ),
    (
        "validator:streamapp:write",
        "/",
        5,
        Duration::from_millis(400),
    ),
];

/// The last number is made only after all pauses; a server that kept the first
/// back for it could not be faster. A machine that is busy can only be slower, so
/// one quick answer is proof.
#[test]
fn chunks_arrive_one_by_one() {
    for (name, path, numbers, pauses) in COUNTING {
        let server = Server::start(&format!("webserver2 {name}"));
        let numbers: Vec<String> = (1..=numbers).map(|number| format!("{number}\n")).collect();
        let one_by_one = tests::at_last(|| {
            let arrivals = arrivals(&server, path);
            let texts: Vec<&str> = arrivals.iter().map(|(_, text)| text.as_str()).collect();
            let whole = format!("\r\n\r\n{}", numbers.concat());
            assert!(texts.concat().ends_with(&whole), "{name}: {texts:?}");
            let [(first, _), .., (last, _)] = arrivals[..] else {
                return false;
            };
            assert!(
                last >= pauses,
                "{name}: the pauses are shorter than this test thinks"
            );
            first < pauses && texts[1..] == numbers[1..]
        });
        assert!(one_by_one, "{name}: the first chunk waits for the last");
    }
}

#[test]
fn a_large_answer_is_whole() {
    let server = Server::start("webserver2 validator:streamapp:large");
    for _ in 0..20 {
        let answer = ask(&server, get("/"));
        assert_eq!(answer.field("content-length"), Some("1000000"));
        assert_eq!(answer.body.len(), 1_000_000);
    }
}
