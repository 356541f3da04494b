//! Python's applications, unchanged, on the servers of the course.
//!
//!     cargo test --test suite --features tests/python python::
//!
//! They need a virtual environment: tests/src/python.rs says how it is made.

mod applications;
mod endings;
mod ends;
mod foreign;
mod forks;
mod interpreter;
mod memory;
mod names;
mod pep_3333;
mod readme;
mod threads;
mod workers;

use std::process::{Command, Stdio};
use tests::answer::Answer;
use tests::python::{environment, Site};
use tests::server::Server;
use tests::wait_for;

/// One client at a time, in one process.
const ONE: &str = "webserver2";

/// Each request in a process of its own.
const FORKING: &str = "webserver3h";

/// Processes that stay, each with an interpreter.
const STAYING: &str = "webserver4a";

/// Several requests at once in a process.
const THREADS: &str = "webserver4b";

/// One that waits for all clients at once.
const LOOP: &str = "webserver4c";

/// The same with connections that are kept.
const KEEPING: &str = "webserver4d";

/// The applications of the course, each under its own name and inside wsgiref's
/// validator.
const OURS: [[&str; 2]; 4] = [
    ["python:wsgiapp:app", "checked:wsgi"],
    ["flaskapp:app", "checked:flask"],
    ["pyramidapp:app", "checked:pyramid"],
    ["djangoapp:app", "checked:django"],
];

fn webserver2(application: &str) -> (Site, Server) {
    let site = Site::new();
    let server = site.serve(ONE, &[application]);
    (site, server)
}

fn text(answer: &Answer) -> (&str, String) {
    (answer.status.as_str(), answer.text())
}

fn output_of_python(code: &str, input: &[u8]) -> String {
    use std::io::Write;
    let mut python = Command::new(environment().join("bin/python"));
    python
        .args(["-c", code])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = python.spawn().expect("the environment has a python");
    let mut stdin = child.stdin.take().expect("it has a pipe");
    stdin.write_all(input).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

/// Waits until the server has printed `text` among its errors.
fn wait_for_errors(server: &Server, text: &str) {
    wait_for(&format!("{text:?} among the errors"), || {
        server.errors().contains(text).then_some(())
    });
}
