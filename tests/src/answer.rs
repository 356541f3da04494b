//! An answer of HTTP, taken apart.

use crate::client::{Client, End};
use crate::server::Server;

/// A whole answer: all that came over a connection, and how that ended.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status: `200 OK`.
    pub status: String,
    /// The header fields, as they came.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How the connection ended.
    pub end: End,
}

impl Answer {
    /// Takes apart what came over a connection. A head that is not UTF-8 is read as
    /// latin-1.
    ///
    /// # Errors
    ///
    /// What it has that no answer of HTTP/1.1 has, or lacks.
    pub fn parse(bytes: &[u8], end: End) -> Result<Answer, String> {
        let wrong = |what: &str| {
            let text = String::from_utf8_lossy(bytes);
            format!("{what}: {text:?}, and then the connection was {end:?}")
        };
        let blank = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let blank = blank.ok_or_else(|| wrong("there is no head"))?;
        let head = match std::str::from_utf8(&bytes[..blank]) {
            Ok(text) => text.to_string(),
            Err(_) => bytes[..blank]
                .iter()
                .map(|byte| char::from(*byte))
                .collect(),
        };
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status.ok_or_else(|| wrong("this is not HTTP/1.1"))?;
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_string(), value.trim().to_string()))
        });
        let fields: Option<Vec<(String, String)>> = fields.collect();
        Ok(Answer {
            status: status.to_string(),
            fields: fields.ok_or_else(|| wrong("a line of the head has no colon"))?,
            body: bytes[blank + 4..].to_vec(),
            end,
        })
    }

    /// The answer that came over a connection: see [`Client::read_to_end`].
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn of((bytes, end): (Vec<u8>, End)) -> Answer {
        Answer::parse(&bytes, end).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The answer that comes to this client.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn read(client: &mut Client) -> Answer {
        Answer::of(client.read_to_end())
    }

    /// The answer to a request for `path` with some more fields, each of which ends
    /// with CR LF.
    ///
    /// # Errors
    ///
    /// When it is none: see [`Answer::parse`].
    pub fn to(server: &Server, method: &str, path: &str, fields: &str) -> Result<Answer, String> {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        let (bytes, end) = server.connect().send(request).read_to_end();
        let answer = Answer::parse(&bytes, end);
        answer.map_err(|error| format!("{method} {path}: {error}"))
    }

    /// The number of the status: `200`.
    pub fn code(&self) -> &str {
        self.status.split(' ').next().unwrap_or_default()
    }

    /// The value of the field of that name.
    ///
    /// # Panics
    ///
    /// When there are several.
    pub fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} stands there more than once: {all:?}");
        all.first().copied()
    }

    /// The values of all fields of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter();
        let named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The values of all fields of that name as those of one, for a field whose
    /// value is a list.
    pub fn list(&self, name: &str) -> Option<String> {
        let all = self.all(name);
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn json(&self) -> serde_json::Value {
        let value = serde_json::from_slice(&self.body);
        value.unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}
