//! A line is printed, then the process forks: who writes it out?
//!
//!     cargo run -p part3 --example printed_twice [exit]

// ANCHOR: program
use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::{fork, ForkResult};

fn main() -> nix::Result<()> {
    print!("printed once "); // without a line feed
                             // SAFETY: there is one thread, so no lock is held by one that the child lacks.
    match unsafe { fork() }? {
        ForkResult::Child if std::env::args().len() > 1 => std::process::exit(0),
        // SAFETY: _exit only ends the process: no destructor and no atexit hook runs.
        ForkResult::Child => unsafe { libc::_exit(0) },
        ForkResult::Parent { child } => waitpid(child, None).map(drop),
    }
}
// ANCHOR_END: program
