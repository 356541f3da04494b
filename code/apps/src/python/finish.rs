//! Python's end.
//!
//! CPython has a function for it, `Py_FinalizeEx`, which also takes apart what is
//! left of the interpreter. A thread of the application that comes back from our
//! side of the border after that is ended by Python in the middle of Rust's frames,
//! and the process is aborted. So what an application can count on is done one by
//! one, in `finish.py`, and the rest is left to the kernel.

use super::exceptions::{say, traceback};
use super::fork::is_child;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{raise, sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};
use pyo3::ffi::{c_str, Py_IsInitialized};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyModule;
use std::ffi::CStr;
use std::io::{self, PipeReader, Read};
use std::os::fd::IntoRawFd;
use std::process;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

// ANCHOR: finish
/// How long a server that is to end waits for what the application still does.
const PATIENCE: Duration = Duration::from_secs(5);

const CODE: &CStr = c_str!(include_str!("finish.py"));
static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// Compiles `finish.py`, once for all children.
pub(super) fn prepare(py: Python<'_>) -> PyResult<()> {
    let module = PyModule::from_code(py, CODE, c"finish.py", c"gateway.finish")?;
    let _ = MODULE.set(py, module.unbind()); // it is called once
    Ok(())
}

/// What [`crate::finish`] does.
pub(crate) fn finish() {
    finish_until(Instant::now() + PATIENCE);
}

fn finish_until(end: Instant) {
    // SAFETY: it may be called at any time.
    if unsafe { Py_IsInitialized() } == 0 {
        return;
    }
    let patience = end.saturating_duration_since(Instant::now());
    Python::attach(|py| {
        let Some(module) = MODULE.get(py) else { return };
        let module = module.bind(py);
        let finished = if is_child() {
            module.call_method0("finish_child")
        } else {
            module.call_method1("finish", (patience.as_secs_f64(),))
        };
        match finished.and_then(|ended| ended.extract::<Option<bool>>()) {
            Ok(Some(false)) => {
                say("a thread of the application does not end, and is not waited for\n");
            }
            Ok(_) => {}
            Err(exception) => say(&traceback(py, &exception)),
        }
    });
}

// ANCHOR_END: finish

// ANCHOR: requests
/// How many calls of applications have begun, and have not ended with their bodies.
static REQUESTS: AtomicUsize = AtomicUsize::new(0);

/// The process that ends, or none.
static ENDING: AtomicU32 = AtomicU32::new(0);

/// A call of an application. None begins once the process is to end.
pub(super) struct Request(());

impl Request {
    pub(super) fn begin() -> Request {
        REQUESTS.fetch_add(1, Ordering::SeqCst);
        let ending = ENDING.load(Ordering::SeqCst);
        // The kernel is asked who we are once there is somebody to compare with.
        if ending == 0 || ending != process::id() {
            return Request(());
        }
        REQUESTS.fetch_sub(1, Ordering::SeqCst);
        loop {
            thread::park(); // until the signal comes
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        REQUESTS.fetch_sub(1, Ordering::SeqCst);
    }
}
// ANCHOR_END: requests

// ANCHOR: signals
/// The signal that came, whose process it is meant for, and where its handler
/// writes to.
static CAME: AtomicI32 = AtomicI32::new(0);
static OWNER: AtomicI32 = AtomicI32::new(0);
static PIPE: AtomicI32 = AtomicI32::new(-1);

/// What [`crate::finish_on_signals`] does.
pub(crate) fn finish_on_signals() {
    // SAFETY: it may be called at any time.
    if unsafe { Py_IsInitialized() } == 0 || PIPE.load(Ordering::SeqCst) >= 0 {
        return; // there is no Python, or this was done before
    }
    if let Err(error) = wait_for_signals() {
        say(&format!(
            "on a signal, Python will not be finished: {error}\n"
        ));
    }
}

fn wait_for_signals() -> io::Result<()> {
    let (reader, writer) = io::pipe()?;
    thread::Builder::new().spawn(|| end(reader))?;
    OWNER.store(process::id() as i32, Ordering::SeqCst);
    PIPE.store(writer.into_raw_fd(), Ordering::SeqCst);

    // SA_RESETHAND: the second signal finds the default, which ends the process.
    let flags = SaFlags::SA_RESTART | SaFlags::SA_RESETHAND;
    let action = SigAction::new(SigHandler::Handler(note), flags, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // SAFETY: note calls only what a signal handler may call, and restores errno.
        let before = unsafe { sigaction(signal, &action) }?;
        if matches!(before.handler(), SigHandler::SigIgn) {
            // So that Ctrl-C does not end what runs in the background.
            // SAFETY: no function is installed.
            unsafe { sigaction(signal, &before) }?;
        }
    }
    Ok(())
}

extern "C" fn note(signal: libc::c_int) {
    let errno = Errno::last_raw(); // the interrupted code's; the handler may overwrite it

    // SAFETY: getpid, raise and write may be called in a handler. The pipe is never
    // closed, and the byte lives longer than the call.
    unsafe {
        if libc::getpid() == OWNER.load(Ordering::SeqCst) {
            CAME.store(signal, Ordering::SeqCst);
            libc::write(PIPE.load(Ordering::SeqCst), [0_u8].as_ptr().cast(), 1);
        } else {
            // A child that has not called exec. Its default is back in place.
            libc::raise(signal);
        }
    }
    Errno::set_raw(errno);
}
// ANCHOR_END: signals

// ANCHOR: end
/// Sleeps until a signal has come, and then ends the process, by that signal. The
/// thread that serves goes on meanwhile with the request that it has.
fn end(mut reader: PipeReader) {
    // A handler is to interrupt the threads that it always has.
    let _ = SigSet::all().thread_block();
    let mut byte = [0];
    if reader.read_exact(&mut byte).is_err() {
        return;
    }
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // SAFETY: no function is installed.
        let _ = unsafe { sigaction(signal, &default) };
    }

    let end = Instant::now() + PATIENCE;
    ENDING.store(process::id(), Ordering::SeqCst);
    while REQUESTS.load(Ordering::SeqCst) > 0 && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    finish_until(end);

    let number = CAME.load(Ordering::SeqCst);
    if let Ok(signal) = Signal::try_from(number) {
        let _ = SigSet::from_iter([signal]).thread_unblock();
        let _ = raise(signal);
    }
    // Still here: for process 1 no signal has a default.
    // SAFETY: _exit only ends the process: no destructor and no atexit hook runs.
    unsafe { libc::_exit(128 + number) }
}
// ANCHOR_END: end
