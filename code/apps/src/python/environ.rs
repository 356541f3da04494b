//! The environ, as Python wants it.

use super::streams::{FileWrapper, Streams};
use gateway::Environ;
use pyo3::ffi::PyUnicode_DecodeLatin1;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::cell::Cell;
use std::ptr;

// ANCHOR: to_dict
/// The environ as a `dict`, and nothing but a `dict`: PEP 3333 insists.
pub(super) fn to_dict<'py>(
    py: Python<'py>,
    environ: &Environ,
    streams: &Streams,
) -> PyResult<Bound<'py, PyDict>> {
    let mut kept = KEPT.take();
    let dict = kept.server(py, environ)?.copy()?;
    for (place, (name, value)) in environ.variables().enumerate() {
        dict.set_item(kept.name(py, place, name), native(py, value)?)?;
    }
    KEPT.set(kept);
    dict.set_item(intern!(py, "wsgi.input"), streams.input(py)?)?;
    dict.set_item(intern!(py, "wsgi.errors"), streams.errors(py)?)?;
    Ok(dict)
}
// ANCHOR_END: to_dict

// ANCHOR: kept
/// What a thread keeps of one request for the next, since most are alike.
#[derive(Default)]
struct Kept {
    /// The names of the variables, in their order. A `str` keeps its hash.
    names: Vec<Py<PyString>>,
    /// What the server said of itself, and a `dict` of that.
    server: Option<(Fields, Py<PyDict>)>,
}

/// `wsgi.version`, `wsgi.url_scheme`, and the three that are true or false.
type Fields = ((u8, u8), &'static str, [bool; 3]);

thread_local! {
    static KEPT: Cell<Kept> = Cell::default();
}

// A client decides what its fields are called, and how many they are.
const NAMES: usize = 40; // are kept
const LONGEST: usize = 40; // bytes of one that is

impl Kept {
    /// A name as a `str`: the one that was at this place before, if it is the same.
    fn name<'py>(&mut self, py: Python<'py>, place: usize, name: &str) -> Bound<'py, PyString> {
        let before = self.names.get(place);
        if let Some(before) = before.filter(|one| one.to_str(py).is_ok_and(|one| one == name)) {
            return before.bind(py).clone();
        }
        let made = PyString::new(py, name);
        if name.len() <= LONGEST && place <= self.names.len() && place < NAMES {
            self.names.truncate(place); // what follows has moved as well
            self.names.push(made.clone().unbind());
        }
        made
    }

    /// What the server says of itself; to be copied.
    fn server<'py>(&mut self, py: Python<'py>, environ: &Environ) -> PyResult<Bound<'py, PyDict>> {
        let flags = [environ.multithread, environ.multiprocess, environ.run_once];
        let fields = (environ.version, environ.url_scheme, flags);
        if let Some((before, dict)) = &self.server {
            if *before == fields {
                return Ok(dict.bind(py).clone());
            }
        }
        let dict = PyDict::new(py);
        dict.set_item("wsgi.version", environ.version)?;
        dict.set_item("wsgi.url_scheme", environ.url_scheme)?;
        dict.set_item("wsgi.multithread", environ.multithread)?;
        dict.set_item("wsgi.multiprocess", environ.multiprocess)?;
        dict.set_item("wsgi.run_once", environ.run_once)?;
        dict.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        self.server = Some((fields, dict.clone().unbind()));
        Ok(dict)
    }
}
// ANCHOR_END: kept

// ANCHOR: native
/// PEP 3333's *native string*: a `str` whose characters are bytes, one for one.
/// That is the coding latin-1, whatever the bytes mean.
fn native<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: the pointer and the length are those of a slice, from which Python copies.
    // It gives a `str` that is ours, or null and raises.
    unsafe {
        let text = PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), bytes.len() as _, ptr::null());
        Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
    }
}

/// The bytes of a native string; none where a character is more than a byte.
pub(super) fn latin_1(text: &str) -> Option<Vec<u8>> {
    if text.is_ascii() {
        return Some(text.into()); // as nearly all are
    }
    let bytes = text.chars().map(|character| u8::try_from(character).ok());
    bytes.collect()
}

pub(super) fn is_latin_1(text: &str) -> bool {
    text.is_ascii() || text.chars().all(|character| character <= '\u{ff}')
}
// ANCHOR_END: native
