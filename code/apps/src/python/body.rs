//! What an application returns.

use super::exceptions::{traceback, wrong_type};
use super::finish::Request;
use super::streams::Streams;
use gateway::{Body, Result};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList};

// ANCHOR: body
/// A body that Python makes. Dropping it is `close()`.
pub(super) struct PythonBody {
    /// None once it has been closed, and where nothing can be.
    iterable: Option<Py<PyAny>>,
    chunks: Option<Py<PyIterator>>,
    /// The first chunk, where it is the only one.
    only: Option<Vec<u8>>,
    streams: Streams,
    /// The call that it is of; none while that has not returned.
    request: Option<Request>,
}

impl PythonBody {
    pub(super) fn new(iterable: Bound<'_, PyAny>, streams: Streams) -> PyResult<PythonBody> {
        let mut body = PythonBody {
            iterable: None,
            chunks: None,
            only: None,
            streams,
            request: None,
        };
        // A list has no `close()`, and of one chunk nothing is left to ask for.
        if let Ok(list) = iterable.cast_exact::<PyList>() {
            if list.len() == 1 {
                body.only = Some(to_bytes(&list.get_item(0)?)?);
                return Ok(body);
            }
        }
        // From here on it is closed whatever comes.
        body.iterable = Some(iterable.clone().unbind());
        let mut chunks = iterable.try_iter()?;
        body.chunks = Some(chunks.clone().unbind());
        // PEP 3333 lets a server count the bytes of a single chunk. A generator has
        // no length.
        if iterable.len().is_ok_and(|length| length == 1) {
            body.only = chunks
                .next()
                .transpose()?
                .map(|chunk| to_bytes(&chunk))
                .transpose()?;
        }
        Ok(body)
    }

    /// As the body of our interface. The call ends with it.
    pub(super) fn of(mut self, request: Request) -> Body {
        self.request = Some(request);
        let length = self.only.as_ref().map(|chunk| chunk.len() as u64);
        let body = Body::new(self);
        match length {
            Some(length) => body.with_length(length),
            None => body,
        }
    }
}
// ANCHOR_END: body

// ANCHOR: next
impl Iterator for PythonBody {
    type Item = Result<Vec<u8>>;

    /// Holds Python's lock for as long as Python makes the chunk. The server
    /// sends it without.
    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        if let Some(only) = self.only.take() {
            return Some(Ok(only));
        }
        let chunks = self.chunks.as_ref()?;
        Python::attach(|py| {
            let chunk = chunks.bind(py).clone().next()?;
            let bytes = chunk.and_then(|chunk| to_bytes(&chunk));
            Some(bytes.map_err(|exception| self.streams.report(py, exception)))
        })
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
        if let Some(iterable) = self.iterable.take() {
            Python::attach(|py| {
                let close = iterable.into_bound(py).getattr_opt("close").transpose();
                let closed = close.map(|close| close.and_then(|close| close.call0()));
                if let Some(Err(exception)) = closed {
                    self.streams.log(py, &traceback(py, &exception));
                }
                self.chunks = None; // dropped while the GIL is held
            });
        }
        self.streams.close();
        self.request = None;
    }
}
// ANCHOR_END: drop
