//! Exceptions that become errors, and errors that become exceptions.

use gateway::http::Refused;
use gateway::Violation;
use pyo3::exceptions::{PyAssertionError, PyBaseException, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::error::Error;
use std::fmt;
use std::io::{self, Write};

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
            let text = text.to_string_lossy().replace('\n', "\\n");
            format!("{name}: {}", printable(&text))
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
        Ok(lines) => printable(&lines.concat()),
        Err(_) => line(py, exception) + "\n", // one that cannot even be printed
    }
}
/// Text of several lines, for a terminal. It may say what a client has sent, which
/// may be a command to the terminal: as `\u{1b}` it is none.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => shown.push(character),
            _ if character.is_control() => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    shown
}
/// Text of several lines, to the standard error, where there is no request.
pub(super) fn say(text: &str) {
    let _ = gateway::log::Stderr.write_all(text.as_bytes());
}

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
// ANCHOR_END: line

// ANCHOR: given
/// The exception of an `exc_info`, on its way through the server: it comes back
/// as it went if the head has left. None where nothing was being handled.
#[derive(Debug)]
pub(super) struct Given(Option<PyErr>);

impl Given {
    /// `exc_info` is what `sys.exc_info()` gives: a class, an exception of it, and
    /// where that was raised; or three times None.
    pub(super) fn of(exc_info: &Bound<'_, PyAny>) -> PyResult<Option<Given>> {
        if !exc_info.is_truthy()? {
            return Ok(None);
        }
        let wrong = |why: &str| {
            let why = format!("PEP 3333 wants exc_info to be what sys.exc_info() gives, and {why}");
            PyTypeError::new_err(why)
        };
        let Ok(parts) = exc_info.cast::<PyTuple>() else {
            let kind = type_name(exc_info);
            return Err(wrong(&format!("this is of the type {kind}")));
        };
        if parts.len() != 3 {
            return Err(wrong(&format!("this tuple has {} parts", parts.len())));
        }
        let (kind, value) = (parts.get_item(0)?, parts.get_item(1)?);
        let place = parts.get_item(2)?;
        if kind.is_none() && value.is_none() && place.is_none() {
            return Ok(Some(Given(None)));
        }
        let Ok(exception) = value.cast::<PyBaseException>() else {
            return Err(wrong(&format!(
                "its second part is no exception: {value:?}"
            )));
        };
        if !value.is_instance(&kind).unwrap_or(false) {
            return Err(wrong(&format!(
                "its first part is not the class of its second: {kind:?}"
            )));
        }
        let placed = exception.call_method1("with_traceback", (&place,));
        let placed =
            placed.map_err(|_| wrong(&format!("its third part is no traceback: {place:?}")))?;
        Ok(Some(Given(Some(PyErr::from_value(placed)))))
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(exception) => exception.fmt(f),
            None => f.write_str("exc_info had no exception, and the head of the answer has left"),
        }
    }
}

impl Error for Given {}
// ANCHOR_END: given

// ANCHOR: into_exception
/// An error of the server's, for an application that may want to catch it.
pub(super) fn into_exception(py: Python<'_>, error: gateway::Error) -> PyErr {
    let error = match error.downcast::<Given>() {
        Ok(given) => match *given {
            Given(Some(exception)) => return exception,
            nothing => nothing.into(), // there is nothing to raise again
        },
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
    exception.value(py); // made now, while the GIL is held
    exception
}
// ANCHOR_END: into_exception
