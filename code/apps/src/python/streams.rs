//! `wsgi.input`, `wsgi.errors` and `wsgi.file_wrapper`.

use super::exceptions::{printable, traceback, Failed};
use gateway::http::Refused;
use gateway::Environ;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::io::{self, BufRead, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

// ANCHOR: streams
/// The two streams of a request, on our side of the border.
#[derive(Clone)]
pub(super) struct Streams {
    input: Arc<Mutex<Source>>,
    errors: Arc<Mutex<gateway::Errors>>,
}

/// Where a request's body comes from.
struct Source {
    /// None once the request is over, though Python may keep its end of this.
    stream: Option<gateway::Input>,
    /// What was wrong with the body, if its client sent it wrongly.
    refused: Option<Refused>,
}
// ANCHOR_END: streams

// ANCHOR: take_streams
impl Streams {
    /// Takes them out of the environ.
    pub(super) fn of(environ: &mut Environ) -> Streams {
        let input = std::mem::replace(&mut environ.input, Box::new(io::empty()));
        let errors = std::mem::replace(&mut environ.errors, Box::new(io::sink()));
        let input = Source {
            stream: Some(input),
            refused: None,
        };
        Streams {
            input: Arc::new(Mutex::new(input)),
            errors: Arc::new(Mutex::new(errors)),
        }
    }

    pub(super) fn input<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Input>> {
        Bound::new(py, Input(Arc::clone(&self.input)))
    }

    pub(super) fn errors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Errors>> {
        Bound::new(py, Errors(Arc::clone(&self.errors)))
    }
}
// ANCHOR_END: take_streams

// ANCHOR: close
impl Streams {
    /// The request is over. Somewhere in Python its environ may live on, in a
    /// traceback for instance, and it must not keep the connection open.
    pub(super) fn close(&self) {
        lock(&self.input).stream = None;
    }

    /// An exception that has left the application: to the operator with its
    /// traceback, and to the server as an error.
    pub(super) fn report(&self, py: Python<'_>, exception: PyErr) -> gateway::Error {
        self.log(py, &traceback(py, &exception));
        self.close();
        Failed::of(py, &exception, lock(&self.input).refused).into()
    }

    /// Writes into `wsgi.errors`.
    pub(super) fn log(&self, py: Python<'_>, text: &str) {
        // This is where errors are reported; its own failure is not.
        let _ = py.detach(|| lock(&self.errors).write_all(text.as_bytes()));
    }
}

/// A panic somewhere else must not become one here.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
// ANCHOR_END: close

// ANCHOR: input
/// `wsgi.input`.
#[pyclass(frozen, module = "gateway")]
pub(super) struct Input(Arc<Mutex<Source>>);

impl Input {
    /// Reads with the lock of Python given back: the client may take its time.
    fn read_with<'py, F>(&self, py: Python<'py>, read: F) -> PyResult<Bound<'py, PyBytes>>
    where
        F: FnOnce(&mut gateway::Input, &mut Vec<u8>) -> io::Result<usize> + Send,
    {
        let mut bytes = Vec::new();
        py.detach(|| {
            let mut source = lock(&self.0);
            let Some(stream) = &mut source.stream else {
                let over = "the request is over, and its input is closed";
                return Err(PyValueError::new_err(over));
            };
            let result = read(stream, &mut bytes);
            result.map_err(|error| {
                source.refused = Refused::of(&error).copied();
                PyErr::from(error)
            })
        })?;
        Ok(PyBytes::new(py, &bytes))
    }
}
// ANCHOR_END: input

// ANCHOR: read
/// A size as Python gives it: none, or one below zero, is no limit.
fn limit(size: Option<i64>) -> u64 {
    size.and_then(|size| size.try_into().ok())
        .unwrap_or(u64::MAX)
}

#[pymethods]
impl Input {
    /// So many bytes, or all; fewer where the body ends.
    #[pyo3(signature = (size=None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        self.read_with(py, |stream, bytes| {
            stream.take(limit(size)).read_to_end(bytes)
        })
    }

    /// Up to a line feed, and with it.
    #[pyo3(signature = (size=None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        self.read_with(py, |stream, bytes| {
            stream.take(limit(size)).read_until(b'\n', bytes)
        })
    }

    // ANCHOR_END: read
    // ANCHOR: rest
    /// The lines, up to the one that makes them so many bytes or more.
    #[pyo3(signature = (hint=None, /))]
    fn readlines<'py>(
        &self,
        py: Python<'py>,
        hint: Option<i64>,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let wanted = limit(hint.filter(|hint| *hint > 0));
        let mut lines = Vec::new();
        let mut size = 0;
        while size < wanted {
            let Some(line) = self.__next__(py)? else {
                break;
            };
            size += line.as_bytes().len() as u64;
            lines.push(line);
        }
        Ok(lines)
    }

    fn __iter__(this: Bound<'_, Input>) -> Bound<'_, Input> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.readline(py, None)?;
        Ok(Some(line).filter(|line| !line.as_bytes().is_empty()))
    }
}

/// `wsgi.errors`: text, for the operator.
#[pyclass(frozen, module = "gateway")]
pub(super) struct Errors(Arc<Mutex<gateway::Errors>>);

#[pymethods]
impl Errors {
    /// Gives the number of characters, as every text file does.
    fn write(&self, py: Python<'_>, text: &Bound<'_, PyString>) -> PyResult<usize> {
        let written = text.to_string_lossy(); // a lone surrogate is not worth an error
        let written = printable(&written);
        py.detach(|| lock(&self.0).write_all(written.as_bytes()))?;
        text.len()
    }

    fn writelines(&self, py: Python<'_>, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(py, line?.cast()?)?;
        }
        Ok(())
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| lock(&self.0).flush())?)
    }
}

/// `wsgi.file_wrapper`: a file as a body. A server with a faster way to send one
/// would recognize it; this one reads it block by block.
#[pyclass(frozen, module = "gateway")]
pub(super) struct FileWrapper {
    file: Py<PyAny>,
    block_size: usize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (file, block_size=8192))]
    fn new(file: Py<PyAny>, block_size: usize) -> FileWrapper {
        FileWrapper { file, block_size }
    }

    fn __iter__(this: Bound<'_, FileWrapper>) -> Bound<'_, FileWrapper> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let block = self
            .file
            .bind(py)
            .call_method1("read", (self.block_size,))?;
        Ok(block.is_truthy()?.then_some(block))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(close) = self.file.bind(py).getattr_opt("close")? {
            close.call0()?;
        }
        Ok(())
    }
}
// ANCHOR_END: rest
