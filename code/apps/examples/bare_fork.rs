//! bare_fork: what becomes of Python in a process that was forked behind its back.
//!
//!     cd code/apps/python
//!     cargo run -p apps --features python --example bare_fork [told]
//!
//! Loads busyapp, which has a thread that never rests, and forks 16 children. Each
//! asks the application once; whoever has no answer after two seconds is ended by
//! an alarm, and counted. With the argument `told`, Python is told of each fork.

use gateway::{respond, Application, Environ};
use nix::sys::signal::Signal;
use nix::sys::wait::{wait, WaitStatus};
use nix::unistd::{alarm, fork, ForkResult};
use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const CHILDREN: usize = 16;
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: u32 = 2; // seconds

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare_fork: {error}");
            ExitCode::FAILURE
        }
    }
}

// ANCHOR: run
fn run() -> gateway::Result<()> {
    let told = std::env::args().nth(1).as_deref() == Some("told");
    let application = apps::load("busyapp:app")?;

    for _ in 0..CHILDREN {
        thread::sleep(PAUSE); // the other thread takes the lock
        let still = told.then(apps::before_fork);
        // SAFETY: what the child does afterwards is what this program is about.
        // It owns nothing but its memory, and an alarm ends it.
        match unsafe { fork() }? {
            ForkResult::Child => {
                alarm::set(PATIENCE);
                if let Some(still) = still {
                    still.after_fork_in_child();
                }
                ask(&application);
            }
            ForkResult::Parent { .. } => {
                if let Some(still) = still {
                    still.after_fork_in_parent();
                }
            }
        }
    }
    count()
}
// ANCHOR_END: run

// ANCHOR: ask
fn ask(application: &dyn Application) -> ! {
    let outcome = respond(application, Environ::testing_defaults(), io::sink());
    // SAFETY: ends the process at once, and cleans up nothing of the parent's.
    unsafe { nix::libc::_exit(outcome.error.is_some().into()) }
}
// ANCHOR_END: ask

fn count() -> gateway::Result<()> {
    let mut hung = 0;
    for _ in 0..CHILDREN {
        match wait()? {
            WaitStatus::Exited(_, 0) => {}
            WaitStatus::Signaled(_, Signal::SIGALRM, _) => hung += 1,
            other => return Err(format!("a child failed: {other:?}").into()),
        }
    }
    println!("{hung} of {CHILDREN} children never came to speak");
    Ok(())
}
