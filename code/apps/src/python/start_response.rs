//! `start_response`, and the `write` that it returns.

use super::environ::{is_latin_1, latin_1};
use super::exceptions::{into_exception, wrong_type, Given};
use super::streams::lock;
use gateway::{Header, StartResponse};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use std::sync::Mutex;

// ANCHOR: call
/// `start_response`, as Python calls it.
#[pyclass(frozen, module = "gateway")]
pub(super) struct Start(Mutex<StartResponse>);

impl Start {
    pub(super) fn new(start_response: StartResponse) -> Start {
        Start(Mutex::new(start_response))
    }
}

#[pymethods]
impl Start {
    #[pyo3(signature = (status, headers, exc_info=None))]
    fn __call__(
        &self,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Write> {
        let py = status.py();
        let status = native(status, "a status")?;
        let status = status.to_str()?;
        if !is_latin_1(status) {
            let why = "the status has a character that is none of latin-1";
            return Err(PyValueError::new_err(why));
        }
        let headers = fields(headers)?;
        let given = exc_info.map(Given::of).transpose()?.flatten();

        let error = given.map(gateway::Error::from);
        let started = lock(&self.0).call(status, headers, error);
        let write = started.map_err(|error| into_exception(py, error))?;
        Ok(Write(Mutex::new(write)))
    }
}
// ANCHOR_END: call

// ANCHOR: fields
/// The header fields: a `list` of `tuple`s of two `str`s, and no other sequence.
fn fields(headers: &Bound<'_, PyAny>) -> PyResult<Vec<Header>> {
    let list = headers.cast::<PyList>();
    let list = list.map_err(|_| wrong_type("the headers", "a list", headers))?;
    list.iter().map(|header| field(&header)).collect()
}

fn field(header: &Bound<'_, PyAny>) -> PyResult<Header> {
    let pair = header.cast::<PyTuple>().ok();
    let pair = pair.filter(|pair| pair.len() == 2);
    let pair = pair.ok_or_else(|| wrong_type("a header", "a tuple of two", header))?;

    let (name, value) = (pair.get_item(0)?, pair.get_item(1)?);
    let name = native(&name, "the name of a header")?.to_str()?.to_string();
    let text = native(&value, "the value of a header")?.to_str()?;
    let value = latin_1(text).ok_or_else(|| {
        let why = format!("the header {name} has a character that is none of latin-1");
        PyValueError::new_err(why)
    })?;
    Ok((name, value))
}

fn native<'a, 'py>(value: &'a Bound<'py, PyAny>, what: &str) -> PyResult<&'a Bound<'py, PyString>> {
    let text = value.cast::<PyString>();
    text.map_err(|_| wrong_type(what, "a str", value))
}
// ANCHOR_END: fields

// ANCHOR: write
/// The `write` of PEP 3333.
#[pyclass(frozen, module = "gateway")]
pub(super) struct Write(Mutex<gateway::Write>);

#[pymethods]
impl Write {
    fn __call__(&self, bytes: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = bytes.py();
        let chunk = bytes.cast::<PyBytes>();
        let chunk = chunk.map_err(|_| wrong_type("what is written", "bytes", bytes))?;
        let chunk = chunk.as_bytes();
        let sent = py.detach(|| lock(&self.0).send(chunk));
        sent.map_err(|error| into_exception(py, error))
    }
}
// ANCHOR_END: write
