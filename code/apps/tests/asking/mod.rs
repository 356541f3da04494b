//! An application, asked without a server.

#![allow(dead_code)] // each test takes what it needs

use gateway::http::{read_head, Head, Limits, RequestBody};
use gateway::{respond, validator, Application, Environ, Input, Outcome};
use std::io::{self, BufRead, Read, Write};
use std::sync::{Arc, Mutex};

/// The applications that were compiled in.
pub const FRAMEWORKS: &[&str] = &[
    #[cfg(feature = "axum")]
    "axumapp:app",
    #[cfg(feature = "actix")]
    "actixapp:app",
    #[cfg(feature = "rocket")]
    "rocketapp:app",
    #[cfg(feature = "cot")]
    "cotapp:app",
];

/// What came of a request.
pub struct Answer {
    /// The code and the reason.
    pub status: String,
    /// The fields, with their names in lower case.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The parts in which it was written, the head with the first.
    pub writes: Vec<Vec<u8>>,
    pub outcome: Outcome,
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let (_, value) = fields.find(|(n, _)| n == name)?;
        Some(value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The answer to the request that these bytes are, under the validator.
pub fn ask(application: &dyn Application, request: impl Into<Vec<u8>>) -> Answer {
    let mut connection = io::Cursor::new(request.into());
    let limits = Limits::DEFAULT;
    let bytes = read_head(&mut connection, &limits).unwrap();
    let head = Head::parse(&bytes, &limits).unwrap();
    let body = RequestBody::new(connection, head.framing, &limits);
    ask_with(
        application,
        environ(&head, Box::new(body)),
        Output::default(),
    )
}

/// The same, with a body that comes as it likes.
pub fn request(application: &dyn Application, line: &str, body: Input, output: Output) -> Answer {
    let bytes = format!("{line} HTTP/1.0\r\n\r\n");
    let head = Head::parse(bytes.as_bytes(), &Limits::DEFAULT).unwrap();
    ask_with(application, environ(&head, body), output)
}

/// The environ of a server that is not there.
pub fn environ(head: &Head, body: Input) -> Environ {
    let mut environ = head.environ(body);
    for (name, value) in [
        ("SERVER_NAME", "127.0.0.1"),
        ("SERVER_PORT", "8888"),
        ("REMOTE_ADDR", "192.0.2.7"),
        ("REMOTE_PORT", "40000"),
    ] {
        environ.set(name, value);
    }
    environ
}

/// The answer, written to `output`.
pub fn ask_with(application: &dyn Application, environ: Environ, output: Output) -> Answer {
    let outcome = respond(&validator(application), environ, output.clone());
    let writes = output.writes.lock().unwrap().clone();
    let bytes = writes.concat();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.map_or(bytes.len(), |end| end + 4);
    let (head, body) = bytes.split_at(end);
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    let status = status.strip_prefix("HTTP/1.1 ").unwrap_or_default();
    let fields = lines.filter_map(|line| line.split_once(": "));
    Answer {
        status: status.to_string(),
        fields: fields
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_string()))
            .collect(),
        body: body.to_vec(),
        writes,
        outcome,
    }
}

/// Where an answer goes: a client that keeps each write, and may leave.
#[derive(Clone, Default)]
pub struct Output {
    pub writes: Arc<Mutex<Vec<Vec<u8>>>>,
    /// After how many writes the client leaves, if it does.
    pub leaves_after: Option<usize>,
}

impl Output {
    pub fn contains(&self, text: &str) -> bool {
        let bytes = self.writes.lock().unwrap().concat();
        String::from_utf8_lossy(&bytes).contains(text)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut writes = self.writes.lock().unwrap();
        if self.leaves_after == Some(writes.len()) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        writes.push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A body of a request that comes piece by piece, and calls `before` with the
/// number of each piece, from 0, when it is asked for it. After the last it is
/// asked once more.
pub struct Pieces<F> {
    pieces: Vec<&'static str>,
    before: F,
    next: usize,
    here: &'static [u8],
}

impl<F: FnMut(usize)> Pieces<F> {
    pub fn new(pieces: Vec<&'static str>, before: F) -> Pieces<F> {
        Pieces {
            pieces,
            before,
            next: 0,
            here: b"",
        }
    }
}

impl<F: FnMut(usize)> BufRead for Pieces<F> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.here.is_empty() {
            (self.before)(self.next);
            let piece = self.pieces.get(self.next).copied();
            self.here = piece.unwrap_or_default().as_bytes();
            self.next += 1;
        }
        Ok(self.here)
    }

    fn consume(&mut self, read: usize) {
        self.here = &self.here[read..];
    }
}

impl<F: FnMut(usize)> Read for Pieces<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}
