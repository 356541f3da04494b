//! What an application returns.

use super::exceptions::{traceback, wrong_type};
use super::finish::Request;
use super::streams::Streams;
use gateway::Result;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator};

// ANCHOR: body
/// A body that Python makes. Dropping it is `close()`.
pub(super) struct PythonBody {
    /// None once it has been closed.
    iterable: Option<Py<PyAny>>,
    chunks: Option<Py<PyIterator>>,
    /// Chunks to come, where the iterable knows how many it has.
    remaining: Option<usize>,
    streams: Streams,
    /// The call that it is of; none while that has not returned.
    request: Option<Request>,
}

impl PythonBody {
    pub(super) fn new(iterable: Bound<'_, PyAny>, streams: Streams) -> PyResult<PythonBody> {
        let mut body = PythonBody {
            remaining: iterable.len().ok(), // a generator has none
            iterable: Some(iterable.clone().unbind()),
            chunks: None,
            streams,
            request: None,
        };
        // From here on it is closed whatever comes.
        body.chunks = Some(iterable.try_iter()?.unbind());
        Ok(body)
    }

    /// The call ends with this body.
    pub(super) fn of(mut self, request: Request) -> PythonBody {
        self.request = Some(request);
        self
    }
}
// ANCHOR_END: body

// ANCHOR: next
impl Iterator for PythonBody {
    type Item = Result<Vec<u8>>;

    /// Holds Python's lock for as long as Python makes the chunk. The server
    /// sends it without.
    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        let chunks = self.chunks.as_ref()?;
        let next = Python::attach(|py| {
            let chunk = chunks.bind(py).clone().next()?;
            let bytes = chunk.and_then(|chunk| to_bytes(&chunk));
            Some(bytes.map_err(|exception| self.streams.report(py, exception)))
        });
        self.remaining = self.remaining.map(|chunks| chunks.saturating_sub(1));
        next
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.remaining)
    }
}

fn to_bytes(chunk: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let bytes = chunk.cast::<PyBytes>();
    let bytes = bytes.map_err(|_| wrong_type("each chunk of a body", "bytes", chunk))?;
    Ok(bytes.as_bytes().to_vec())
}
// ANCHOR_END: next

// ANCHOR: drop
impl Drop for PythonBody {
    /// PEP 3333: `close()` is called once if there is one, however the request
    /// has ended. What it raises can change no answer any more.
    fn drop(&mut self) {
        Python::attach(|py| {
            let iterable = self.iterable.take().map(|iterable| iterable.into_bound(py));
            let close = iterable.map(|iterable| iterable.getattr_opt("close"));
            let closed = close.and_then(|close| close.transpose());
            let closed = closed.map(|close| close.and_then(|close| close.call0()));
            if let Some(Err(exception)) = closed {
                self.streams.log(py, &traceback(py, &exception));
            }
            self.chunks = None; // dropped while the GIL is held
        });
        self.streams.close();
        self.request = None;
    }
}
// ANCHOR_END: drop
