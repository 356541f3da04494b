//! Middleware that writes a line for each request.

use crate::http::Refused;
use crate::respond::lock;
use crate::{printable, Application, Body, Environ, Error, Result, StartResponse, Write};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

/// `application`, with a line in `log` for each request, in the *common log
/// format* that Apache made common:
///
/// ```text
/// 127.0.0.1 - - [24/Nov/2026:20:03:31 +0000] "GET /hello HTTP/1.1" 200 14
/// ```
///
/// The line is written when the request is over, however it ended, with the
/// status that went with the first byte and the bytes that the body has given, a
/// `-` for none.
// ANCHOR: access_log
pub fn access_log<W>(application: impl Application, log: W) -> impl Application
where
    W: io::Write + Send + 'static,
{
    let log: Arc<Mutex<dyn io::Write + Send>> = Arc::new(Mutex::new(log));
    crate::application(move |environ, mut start_response| {
        let entry = Arc::new(Mutex::new(Entry::of(&environ)));
        let line = Line {
            entry: Arc::clone(&entry),
            log: Arc::clone(&log),
        };
        // ANCHOR_END: access_log

        // ANCHOR: started
        let started = StartResponse::new(move |status, headers, error| {
            let mut write = start_response.call(status, headers, error)?;
            lock(&entry).started = status.chars().take(3).collect();
            let entry = Arc::clone(&entry);
            Ok(Write::new(move |bytes| {
                write.send(bytes)?;
                lock(&entry).sent(bytes.len());
                Ok(())
            }))
        });
        // ANCHOR_END: started
        // ANCHOR: call
        let body = application.call(environ, started);
        let body = body.inspect_err(|error| lock(&line.entry).failed(error))?;
        Ok(body.wrapped(|body| Logged { body, line })) // as long: the server counts it
    })
}
// ANCHOR_END: call

// ANCHOR: logged
/// A body that counts.
struct Logged {
    body: Body,
    line: Line,
}

impl Iterator for Logged {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        let chunk = self.body.next(); // which may call start_response
        let mut entry = lock(&self.line.entry);
        match &chunk {
            Some(Ok(chunk)) => entry.sent(chunk.len()),
            Some(Err(error)) => entry.failed(error),
            None => entry.told(),
        }
        drop(entry);
        chunk
    }
}
// ANCHOR_END: logged

// ANCHOR: entry
/// What a line says of one request.
struct Entry {
    peer: String,
    request: String,
    /// The status of the head that was sent; until then, of the one that would be.
    status: String,
    /// The status given to start_response, which is sent with the first byte.
    started: String,
    bytes: usize,
}
// ANCHOR_END: entry

// ANCHOR: entry_of
impl Entry {
    fn of(environ: &Environ) -> Entry {
        let text = |name: &str| environ.text(name).unwrap_or_default();
        let query = match text("QUERY_STRING") {
            query if query.is_empty() => query,
            query => format!("?{query}"),
        };
        let request = format!(
            "{} {}{}{query} {}",
            text("REQUEST_METHOD"),
            text("SCRIPT_NAME"),
            text("PATH_INFO"),
            text("SERVER_PROTOCOL"),
        );
        Entry {
            peer: text("REMOTE_ADDR"),
            // A decoded path may hold a quote, a line feed, an escape sequence.
            request: request.escape_debug().to_string(),
            status: "500".to_string(), // the server's answer if start_response is never called
            started: "500".to_string(),
            bytes: 0,
        }
    }

    // ANCHOR_END: entry_of
    // ANCHOR: told
    /// The head has left, or leaves without a body.
    fn told(&mut self) {
        self.status.clone_from(&self.started);
    }

    fn sent(&mut self, bytes: usize) {
        if bytes > 0 {
            self.told();
            self.bytes += bytes;
        }
    }

    /// The server answers with the status of a refusal, if it can still answer.
    fn failed(&mut self, error: &Error) {
        if let (0, Some(refused)) = (self.bytes, Refused::of(&**error)) {
            self.status = refused.status.chars().take(3).collect();
        }
    }
}
// ANCHOR_END: told

// ANCHOR: line
/// The line, written when the request is over: PEP 3333's `close`.
struct Line {
    entry: Arc<Mutex<Entry>>,
    log: Arc<Mutex<dyn io::Write + Send>>,
}
// ANCHOR_END: line

// ANCHOR: drop
impl Drop for Line {
    fn drop(&mut self) {
        let entry = lock(&self.entry);
        let bytes = match entry.bytes {
            0 => "-".to_string(),
            bytes => bytes.to_string(),
        };
        let line = format!(
            "{} - - [{}] \"{}\" {} {bytes}\n",
            printable(&entry.peer, ""), // of middleware's making, perhaps from a field
            date(SystemTime::now()),
            entry.request,
            entry.status,
        );
        // A log that cannot be written is no reason to fail the request.
        let _ = lock(&self.log).write_all(line.as_bytes());
    }
}

/// `24/Nov/2026:20:03:31 +0000`, from the fixed columns of the date of HTTP,
/// `Tue, 24 Nov 2026 20:03:31 GMT`.
fn date(time: SystemTime) -> String {
    let date = httpdate::fmt_http_date(time);
    let (day, month, year, clock) = (&date[5..7], &date[8..11], &date[12..16], &date[17..25]);
    format!("{day}/{month}/{year}:{clock} +0000")
}
// ANCHOR_END: drop
