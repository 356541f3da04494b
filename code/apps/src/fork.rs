//! What applications ask of a server that forks.

use gateway::http::{Head, Limits};
use gateway::Application;
use std::io;

// ANCHOR: warm
/// Asks `application` for `path` once, for nobody, before the server forks: what
/// it makes at its first request, every child then has. Gives the status of the
/// answer.
///
/// What that request leaves open, such as the connection to a database, all
/// children share.
///
/// # Errors
///
/// A path that nobody could ask for, and an application that fails.
pub fn warm(application: &dyn Application, path: &str) -> gateway::Result<String> {
    let failed = |error: gateway::Error| format!("warm up with GET {path}: {error}");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = Head::parse(request.as_bytes(), &Limits::DEFAULT)
        .map_err(|refused| failed(refused.into()))?;
    let mut environ = head.environ(Box::new(io::empty()));
    environ.set("SERVER_NAME", "localhost");
    environ.set("SERVER_PORT", "80");
    environ.set("REMOTE_ADDR", "127.0.0.1");
    environ.multiprocess = true;
    // ANCHOR_END: warm

    // ANCHOR: ask
    let outcome = gateway::respond(application, environ, io::sink());
    if let Some(failure) = outcome.error {
        return Err(failed(failure.into()).into());
    }
    let head = String::from_utf8_lossy(&outcome.head);
    let status = head.lines().next().and_then(|line| line.split_once(' '));
    Ok(status.map_or("", |(_, status)| status).to_string())
}
// ANCHOR_END: ask

// ANCHOR: before_fork
/// What must be held still while a server forks, from [`before_fork`] on: the
/// locks that a thread of Python's might hold, and the child would never see given
/// back. Without Python in the program there is nothing.
#[must_use = "the child and the parent each have something to do after the fork"]
pub struct Fork(#[cfg(feature = "python")] crate::python::Fork);

/// Called before every fork, by the thread that forks:
///
/// ```
/// let still = apps::before_fork();
/// # fn fork() -> i32 { 1 }
/// match fork() {
///     0 => still.after_fork_in_child(),
///     _ => still.after_fork_in_parent(), // also where it has failed
/// }
/// ```
pub fn before_fork() -> Fork {
    Fork(
        #[cfg(feature = "python")]
        crate::python::before_fork(),
    )
}
// ANCHOR_END: before_fork

// ANCHOR: after_fork
impl Fork {
    /// The first thing that the child does: makes its interpreter whole.
    pub fn after_fork_in_child(self) {
        #[cfg(feature = "python")]
        self.0.in_child();
    }

    /// What the parent does after the fork, and where there was none after all.
    pub fn after_fork_in_parent(self) {
        #[cfg(feature = "python")]
        self.0.in_parent();
    }
}
// ANCHOR_END: after_fork
