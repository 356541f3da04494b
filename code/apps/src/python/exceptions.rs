//! Exceptions that become errors, and errors that become exceptions.

use gateway::http::Refused;
use gateway::Violation;
use pyo3::exceptions::{PyAssertionError, PyBaseException, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::error::Error;
use std::fmt;
use std::io;

// ANCHOR: failed
/// An application that has failed, as the server hears of it.
#[derive(Debug)]
pub(super) struct Failed {
    exception: String,
    /// A request that could not be read to its end may be the reason.
    refused: Option<Refused>,
}

impl Failed {
    /// Keeps nothing of the exception itself: its traceback holds every
    /// variable of the request.
    pub(super) fn of(py: Python<'_>, exception: &PyErr, refused: Option<Refused>) -> Failed {
        let exception = line(py, exception);
        Failed { exception, refused }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the application raised {}", self.exception)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.refused.as_ref().map(|refused| refused as _)
    }
}
// ANCHOR_END: failed

// ANCHOR: line
/// An exception in one line: `ValueError: no such fruit`.
pub(super) fn line(py: Python<'_>, exception: &PyErr) -> String {
    let name = exception.get_type(py).qualname();
    let name = name.map_or_else(|_| "an exception".to_string(), |name| name.to_string());
    match exception.value(py).str() {
        Ok(text) if text.len().is_ok_and(|length| length > 0) => {
            // It may say what a client has sent, and stands in a terminal.
            let text = text.to_string_lossy().replace(char::is_control, " ");
            format!("{name}: {text}")
        }
        _ => name,
    }
}

/// An exception as Python itself prints one, with its causes.
pub(super) fn traceback(py: Python<'_>, exception: &PyErr) -> String {
    let (kind, value) = (exception.get_type(py), exception.value(py));
    let lines = py.import("traceback").and_then(|module| {
        let arguments = (kind, value, exception.traceback(py));
        let lines = module.call_method1("format_exception", arguments)?;
        lines.extract::<Vec<String>>()
    });
    match lines {
        Ok(lines) => lines.concat(),
        Err(_) => line(py, exception) + "\n", // one that cannot even be printed
    }
}
// ANCHOR_END: line

// ANCHOR: wrong_type
/// A `TypeError`: something is to be of one type, and is of another.
pub(super) fn wrong_type(what: &str, wanted: &str, got: &Bound<'_, PyAny>) -> PyErr {
    let got = type_name(got);
    let why = format!("PEP 3333 wants {what} to be {wanted}, and this is of the type {got}");
    PyTypeError::new_err(why)
}

pub(super) fn type_name(object: &Bound<'_, PyAny>) -> String {
    let name = object.get_type().qualname();
    name.map_or_else(|_| "without a name".to_string(), |name| name.to_string())
}
// ANCHOR_END: wrong_type

// ANCHOR: given
/// The exception of an `exc_info`, on its way through the server: it comes back
/// as it went if the head has left.
#[derive(Debug)]
pub(super) struct Given(PyErr);

impl Given {
    /// `exc_info` is what `sys.exc_info()` gives: a type, an exception, and
    /// where it was raised.
    pub(super) fn of(exc_info: &Bound<'_, PyAny>) -> PyResult<Option<Given>> {
        if !exc_info.is_truthy()? {
            return Ok(None);
        }
        let wrong = || wrong_type("exc_info", "what sys.exc_info() gives", exc_info);
        let parts = exc_info.cast::<PyTuple>().map_err(|_| wrong())?;
        let (exception, place) = (parts.get_item(1)?, parts.get_item(2)?);
        exception.cast::<PyBaseException>().map_err(|_| wrong())?;
        let exception = exception.call_method1("with_traceback", (place,))?;
        Ok(Some(Given(PyErr::from_value(exception))))
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Given {}
// ANCHOR_END: given

// ANCHOR: into_exception
/// An error of the server's, for an application that may want to catch it.
pub(super) fn into_exception(py: Python<'_>, error: gateway::Error) -> PyErr {
    let error = match error.downcast::<Given>() {
        Ok(given) => return given.0,
        Err(error) => error,
    };
    let error = match error.downcast::<io::Error>() {
        Ok(error) => return PyErr::from(*error), // an OSError of the right kind
        Err(error) => error,
    };
    let exception = match error.is::<Violation>() {
        true => PyAssertionError::new_err(error.to_string()),
        false => PyRuntimeError::new_err(error.to_string()),
    };
    exception.value(py); // made here, where Python's lock is held
    exception
}
// ANCHOR_END: into_exception
