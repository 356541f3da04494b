//! What the tests of the gateway share: a client that is a buffer.

use gateway::{Application, Environ, Outcome};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// What happened, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The body was asked for its next chunk.
    Asked,
    /// The body was dropped.
    Dropped,
    /// These bytes have left: they were written, and flushed.
    Left(String),
}

/// A client that notes what reaches it, among whatever else is noted.
#[derive(Clone, Default)]
pub struct Wire {
    events: Arc<Mutex<Vec<Event>>>,
    /// Written, and not yet flushed.
    waiting: Vec<u8>,
    /// How many pieces it takes before it leaves; for ever, if none.
    patience: Option<usize>,
}

impl Wire {
    /// One whose client leaves after so many pieces.
    pub fn patient(pieces: impl Into<Option<usize>>) -> Wire {
        let patience = pieces.into();
        Wire {
            patience,
            ..Wire::default()
        }
    }

    pub fn note(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// How often this has happened.
    pub fn count(&self, event: &Event) -> usize {
        self.events().iter().filter(|e| *e == event).count()
    }

    /// All that has left.
    pub fn text(&self) -> String {
        let events = self.events();
        let left = events.iter().filter_map(|event| match event {
            Event::Left(text) => Some(text.as_str()),
            _ => None,
        });
        left.collect()
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.patience == Some(0) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.waiting.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.waiting.is_empty() {
            self.patience = self.patience.map(|pieces| pieces - 1);
            let text = String::from_utf8_lossy(&self.waiting).into_owned();
            self.note(Event::Left(text));
            self.waiting.clear();
        }
        Ok(())
    }
}

/// Runs `application` on a request with this method.
pub fn run_as(method: &str, application: impl Application) -> (String, Outcome) {
    let mut environ = Environ::testing_defaults();
    environ.set("REQUEST_METHOD", method);
    let wire = Wire::default();
    let outcome = gateway::respond(&application, environ, wire.clone());
    (wire.text(), outcome)
}

/// Runs `application` on a GET.
pub fn run(application: impl Application) -> (String, Outcome) {
    run_as("GET", application)
}

/// The first line of an answer, its fields and its body.
pub fn split(answer: &str) -> (&str, Vec<(&str, &str)>, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("the head has an end");
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let fields = lines.map(|line| line.split_once(": ").expect("a field has a colon"));
    (status, fields.collect(), body)
}

/// The value of a field that an answer has once.
pub fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (_, fields, _) = split(answer);
    let mut values = fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
    let value = values.next().map(|(_, value)| *value);
    assert_eq!(values.next(), None, "{name} stands twice in {answer}");
    value
}

/// What an outcome complains of.
pub fn complaint(outcome: &Outcome) -> String {
    let error = outcome.error.as_ref();
    error.map(|error| error.to_string()).unwrap_or_default()
}
