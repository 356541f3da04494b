//! The environ, as Python wants it.

use super::streams::{FileWrapper, Streams};
use gateway::Environ;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

// ANCHOR: to_dict
/// The environ as a `dict`, and nothing but a `dict`: PEP 3333 insists.
pub(super) fn to_dict<'py>(
    py: Python<'py>,
    environ: &Environ,
    streams: &Streams,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in environ.variables() {
        dict.set_item(name, native(py, value))?;
    }
    dict.set_item("wsgi.version", environ.version)?;
    dict.set_item("wsgi.url_scheme", environ.url_scheme)?;
    dict.set_item("wsgi.input", streams.input(py)?)?;
    dict.set_item("wsgi.errors", streams.errors(py)?)?;
    dict.set_item("wsgi.multithread", environ.multithread)?;
    dict.set_item("wsgi.multiprocess", environ.multiprocess)?;
    dict.set_item("wsgi.run_once", environ.run_once)?;
    dict.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
    Ok(dict)
}
// ANCHOR_END: to_dict

// ANCHOR: native
/// PEP 3333's *native string*: a `str` whose characters are bytes, one for one.
/// That is the coding latin-1, whatever the bytes mean.
pub(super) fn native<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => PyString::new(py, text),
        _ => {
            let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            PyString::new(py, &text)
        }
    }
}

/// The bytes of a native string; none where a character is more than a byte.
pub(super) fn latin_1(text: &str) -> Option<Vec<u8>> {
    let bytes = text.chars().map(|character| u8::try_from(character).ok());
    bytes.collect()
}
// ANCHOR_END: native
