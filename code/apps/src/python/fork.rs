//! Forking with an interpreter inside.

use pyo3::ffi::{PyGILState_Ensure, PyGILState_Release, PyGILState_STATE, Py_IsInitialized};
use pyo3::ffi::{PyOS_AfterFork_Child, PyOS_AfterFork_Parent, PyOS_BeforeFork};
use std::marker::PhantomData;

// ANCHOR: fork
/// Python, held still between [`before_fork`] and what comes after.
pub(crate) struct Fork {
    /// None where there is no interpreter.
    held: Option<PyGILState_STATE>,
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
            held
        })
    };
    Fork {
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
        if let Some(held) = self.held.take() {
            // SAFETY: this process was forked while this thread, the only one
            // that it has, held the lock. It is given back as it was taken.
            unsafe {
                PyOS_AfterFork_Child();
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

// ANCHOR: in_parent
impl Drop for Fork {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            // SAFETY: this thread holds the lock, and gives it back as it was taken.
            unsafe {
                PyOS_AfterFork_Parent();
                PyGILState_Release(held);
            }
        }
    }
}
// ANCHOR_END: in_parent
