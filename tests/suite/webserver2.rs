//! What Part 2 says of `webserver2`, under its applications.

mod answers;
mod clients;
mod failures;
mod operator;
mod refusals;
mod table;

use tests::client::{get, End};
use tests::server::Server;

/// A whole answer, and nothing behind it.
#[derive(Debug)]
struct Answer {
    status: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// The only answer in what came over a connection that was closed.
    fn of((bytes, end): (Vec<u8>, End)) -> Answer {
        assert_eq!(end, End::Closed);
        let head = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let text = String::from_utf8_lossy(&bytes);
        let head = head.unwrap_or_else(|| panic!("no answer: {text:?}"));
        let body = bytes[head + 4..].to_vec();
        let head = std::str::from_utf8(&bytes[..head]).expect("our heads are text");
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default().strip_prefix("HTTP/1.1 ");
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(": ").expect("a field has a colon");
            (name.to_ascii_lowercase(), value.to_string())
        });
        Answer {
            status: status.expect("we speak HTTP/1.1").to_string(),
            fields: fields.collect(),
            body,
        }
        .checked()
    }

    /// Every answer has a date, says that it is the last, and is as long as it
    /// says, if it says so.
    fn checked(self) -> Answer {
        assert!(self.field("date").is_some(), "{self:?}");
        assert_eq!(self.field("connection"), Some("close"));
        if let (Some(length), false) = (self.field("content-length"), self.body.is_empty()) {
            assert_eq!(length, self.body.len().to_string());
        }
        self
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut named = self.fields.iter().filter(|(field, _)| field == name);
        let value = named.next().map(|(_, value)| value.as_str());
        assert!(named.next().is_none(), "{name} stands twice");
        value
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn ask(server: &Server, request: impl AsRef<[u8]>) -> Answer {
    Answer::of(server.connect().exchange(request.as_ref()))
}

/// That the server has survived what came before, and how.
fn serves(server: &mut Server) {
    let answer = ask(server, get("/"));
    assert_eq!(answer.status, "200 OK");
    assert!(server.is_running());
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
}

/// What the server has printed of errors, when it is so many lines.
fn lines(server: &Server, number: usize) -> Vec<String> {
    let errors = tests::wait_for(&format!("{number} lines of errors"), || {
        let errors = server.errors();
        (errors.matches('\n').count() >= number).then_some(errors)
    });
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
