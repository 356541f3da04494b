//! The children of a server that forks.

use gateway::log::complain;
use nix::libc::{self, pid_t};
use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

// ANCHOR: children
/// The children that a server has forked and not reaped yet. An application may have
/// others, and wait for them itself.
#[derive(Debug, Default)]
pub struct Children(HashSet<pid_t>);

impl Children {
    /// The server has forked this one.
    pub fn add(&mut self, child: pid_t) {
        self.0.insert(child);
    }
}
// ANCHOR_END: children

// ANCHOR: reap
impl Children {
    /// Reaps those that have ended, of our own children. What the application has
    /// started, in a thread of its own, is left to the application.
    pub fn reap(&mut self) {
        while !self.0.is_empty() {
            let Some(child) = one_that_has_ended() else {
                return;
            };
            if self.0.remove(&child) {
                is_there(child);
            } else {
                // It is not ours, and hides who comes after it.
                self.0.retain(|child| is_there(*child));
                return;
            }
        }
    }
}

/// A child of this process that has ended, whoever has started it. It is not reaped.
fn one_that_has_ended() -> Option<pid_t> {
    let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: it is made of numbers and addresses, which may be zero.
    let mut child: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: waitid writes into `child`, and no further.
    let found = unsafe { libc::waitid(libc::P_ALL, 0, &mut child, how) };
    // SAFETY: waitid has filled in the process id, or left it zero.
    let child = unsafe { child.si_pid() };
    (found == 0 && child != 0).then_some(child)
}

/// Whether our child has not ended yet. If it has, it is reaped, and if it was not
/// by its own will, that is said.
fn is_there(child: pid_t) -> bool {
    let mut status = 0;
    // SAFETY: waitpid writes into `status`, and no further.
    let reaped = unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) };
    let status = ExitStatus::from_raw(status);
    if reaped == child && !status.success() {
        complain(format!("child pid {child}: {status}"));
    }
    reaped == 0
}
// ANCHOR_END: reap
