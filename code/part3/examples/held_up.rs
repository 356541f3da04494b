//! A handler that locks, and comes while the lock is held.
//!
//!     cargo run -p part3 --example held_up

// ANCHOR: program
use nix::libc;
use nix::sys::signal::{raise, sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};
use std::sync::Mutex;

static NAMES: Mutex<Vec<&str>> = Mutex::new(Vec::new());

extern "C" fn write_down(_: libc::c_int) {
    NAMES.lock().unwrap().push("USR1");
}

fn main() -> nix::Result<()> {
    let handler = SigHandler::Handler(write_down);
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: none. write_down locks, which no signal handler may do.
    unsafe { sigaction(Signal::SIGUSR1, &action) }?;

    raise(Signal::SIGUSR1)?;
    println!("between two uses: {:?}", NAMES.lock().unwrap());

    let names = NAMES.lock().unwrap();
    raise(Signal::SIGUSR1)?;
    println!("during one: {names:?}");
    Ok(())
}
// ANCHOR_END: program
