//! A handler that counts, and how often the kernel calls it.
//!
//!     cargo run -p part3 --example count_signals [blocked]

// ANCHOR: program
use nix::libc;
use nix::sys::signal::{raise, sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};
use std::sync::atomic::{AtomicU32, Ordering};

static CALLS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: libc::c_int) {
    CALLS.fetch_add(1, Ordering::Relaxed);
}

fn main() -> nix::Result<()> {
    let handler = SigHandler::Handler(count);
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: count touches one atomic number.
    unsafe { sigaction(Signal::SIGUSR1, &action) }?;

    let usr1 = SigSet::from(Signal::SIGUSR1);
    if std::env::args().len() > 1 {
        usr1.thread_block()?;
    }
    for _ in 0..128 {
        raise(Signal::SIGUSR1)?;
    }
    println!("128 sent, {} calls", CALLS.load(Ordering::Relaxed));
    usr1.thread_unblock()?;
    println!("unblocked, {} calls", CALLS.load(Ordering::Relaxed));
    Ok(())
}
// ANCHOR_END: program
