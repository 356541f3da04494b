//! Python inside: applications that are callables of a Python module, as
//! PEP 3333 wrote them down, run unchanged.
//!
//! | file                | what stands there                                     |
//! | ------------------- | ----------------------------------------------------- |
//! | [`mod.rs`](self)    | an application: one call across the border            |
//! | `interpreter.rs`    | starting Python, in its virtual environment           |
//! | `import.rs`         | from `module:callable` to the object of that name     |
//! | `environ.rs`        | the environ as a `dict`                               |
//! | `streams.rs`        | `wsgi.input`, `wsgi.errors`, `wsgi.file_wrapper`      |
//! | `start_response.rs` | `start_response` and `write`                          |
//! | `body.rs`           | what an application returns, chunk by chunk           |
//! | `exceptions.rs`     | exceptions that become errors, and the other way      |
//! | `length.rs`         | a length for a body that came without one             |
//! | `fork.rs`           | a process that forks with an interpreter inside       |
//! | `finish.rs`         | a process that ends with an interpreter inside        |
//!
//! The interpreter's lock is held while Python runs and never while a socket is
//! waited for: [`Python::attach`] takes it, [`Python::detach`] gives it back.

mod body;
mod environ;
mod exceptions;
mod finish;
mod fork;
mod import;
mod interpreter;
mod length;
mod start_response;
mod streams;

pub(crate) use finish::{finish, finish_on_signals};
pub(crate) use fork::{before_fork, Fork};
pub(crate) use import::load;

use body::PythonBody;
use finish::Request;
use gateway::{Application, Environ, StartResponse};
use length::give_length;
use pyo3::prelude::*;
use streams::Streams;

// ANCHOR: application
/// A callable of Python's as an application of ours.
fn application(callable: Py<PyAny>) -> impl Application + Send + Sync {
    gateway::application(move |mut environ, start_response| {
        let request = Request::begin();
        give_length(&mut environ)?;
        let streams = Streams::of(&mut environ);
        Python::attach(|py| {
            let answer = call(py, &callable, &environ, &streams, start_response);
            match answer {
                Ok(body) => Ok(body.of(request)),
                Err(exception) => Err(streams.report(py, exception)),
            }
        })
    })
}

fn call(
    py: Python<'_>,
    callable: &Py<PyAny>,
    environ: &Environ,
    streams: &Streams,
    start_response: StartResponse,
) -> PyResult<PythonBody> {
    let environ = environ::to_dict(py, environ, streams)?;
    let start_response = start_response::Start::new(start_response);
    let iterable = callable.bind(py).call1((environ, start_response))?;
    PythonBody::new(iterable, streams.clone())
}
// ANCHOR_END: application
