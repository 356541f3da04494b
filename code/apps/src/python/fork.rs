//! Forking with an interpreter inside.

use pyo3::ffi::{PyGILState_Ensure, PyGILState_Release, PyGILState_STATE, Py_IsInitialized};
use pyo3::ffi::{PyOS_AfterFork_Child, PyOS_AfterFork_Parent, PyOS_BeforeFork};
use pyo3::prelude::*;
use pyo3::types::IntoPyDict;
use std::io::{self, StderrLock, StdoutLock};
use std::marker::PhantomData;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

// ANCHOR: fork
/// Python, held still between [`before_fork`] and what comes after.
pub(crate) struct Fork {
    /// None where there is no interpreter.
    held: Option<PyGILState_STATE>,
    /// The locks of std's outputs, which a thread that writes may hold.
    outputs: Option<(StdoutLock<'static>, StderrLock<'static>)>,
    /// The lock is the thread's that has taken it.
    _thread: PhantomData<*const ()>,
}

/// Takes Python's lock: held by another thread, it would be held in the child
/// for ever, because that thread is not copied.
pub(crate) fn before_fork() -> Fork {
    // SAFETY: these may be called at any time; the second, which takes the lock,
    // where Python runs; the third, by whoever holds it.
    let held = unsafe {
        (Py_IsInitialized() != 0).then(|| {
            let held = PyGILState_Ensure();
            PyOS_BeforeFork();
            FORKING.store(true, Ordering::Relaxed);
            held
        })
    };
    Fork {
        // After Python's: whoever waits for an output may hold that, and not the reverse.
        outputs: held.map(|_| (io::stdout().lock(), io::stderr().lock())),
        held,
        _thread: PhantomData,
    }
}
// ANCHOR_END: fork

// ANCHOR: after_fork
impl Fork {
    /// In the child: the threads of the parent are forgotten, their locks are
    /// made anew, and Python's own `after_in_child` hooks run.
    pub(crate) fn in_child(mut self) {
        drop(self.outputs.take());
        if let Some(held) = self.held.take() {
            // SAFETY: this process was forked while this thread, the only one
            // that it has, held the lock. It is given back as it was taken.
            unsafe {
                PyOS_AfterFork_Child();
                FORKING.store(false, Ordering::Relaxed);
                CHILD.store(process::id(), Ordering::Relaxed);
                PyGILState_Release(held);
            }
        }
    }

    /// In the parent, and where the fork has failed.
    pub(crate) fn in_parent(self) {
        drop(self);
    }
}
// ANCHOR_END: after_fork

// ANCHOR: exit_hooks
/// Whether a server is forking.
static FORKING: AtomicBool = AtomicBool::new(false);

/// The process, if a server has forked it.
static CHILD: AtomicU32 = AtomicU32::new(0);

/// Whether a server has forked this process.
pub(super) fn is_child() -> bool {
    CHILD.load(Ordering::Relaxed) == process::id()
}

/// What was registered with `atexit` before the fork is to run once, in the parent.
#[pyfunction]
fn forget_exit_hooks(py: Python<'_>) -> PyResult<()> {
    if FORKING.load(Ordering::Relaxed) {
        py.import("atexit")?.call_method0("_clear")?;
    }
    Ok(())
}

/// Makes that the first hook of a fork: those that come after it may register
/// something with `atexit` in the child.
pub(super) fn prepare(py: Python<'_>) -> PyResult<()> {
    let hook = [("after_in_child", wrap_pyfunction!(forget_exit_hooks, py)?)];
    let register = py.import("os")?.getattr("register_at_fork")?;
    register.call((), Some(&hook.into_py_dict(py)?))?;
    Ok(())
}
// ANCHOR_END: exit_hooks

// ANCHOR: in_parent
impl Drop for Fork {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            // SAFETY: this thread holds the lock, and gives it back as it was taken.
            unsafe {
                FORKING.store(false, Ordering::Relaxed);
                PyOS_AfterFork_Parent();
                PyGILState_Release(held);
            }
        }
    }
}
// ANCHOR_END: in_parent
