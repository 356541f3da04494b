//! Parent and child count, each in a variable of its own.
//!
//!     cargo run -p part3 --example two_copies

// ANCHOR: program
use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::{fork, ForkResult};

fn main() -> nix::Result<()> {
    let mut x = 1;
    // SAFETY: there is one thread, so no lock is held by one that the child lacks.
    match unsafe { fork() }? {
        ForkResult::Child => {
            x += 1;
            println!("child has {x}");
            // SAFETY: _exit only ends the process: no destructor and no atexit hook runs.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            waitpid(child, None)?; // until it has ended
            println!("parent has {x}");
            Ok(())
        }
    }
}
// ANCHOR_END: program
