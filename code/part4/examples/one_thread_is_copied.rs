//! What a fork copies of a process with two threads: a lock that the other one holds,
//! and not the other one.
//!
//!     cargo run -p part4 --example one_thread_is_copied

// ANCHOR: program
use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::{fork, ForkResult};
use std::fs;
use std::io;
use std::sync::mpsc::channel;
use std::sync::Mutex;
use std::thread;

static LOCK: Mutex<()> = Mutex::new(());

fn main() -> io::Result<()> {
    let (holds, is_held) = channel();
    let (goes_on, may_go_on) = channel::<()>();
    let other = thread::spawn(move || {
        let _held = LOCK.lock();
        let _ = holds.send(());
        let _ = may_go_on.recv(); // until the other end has gone
    });
    let _ = is_held.recv();
    // SAFETY: the child takes no lock that the other thread may hold.
    match unsafe { fork() }? {
        ForkResult::Child => {
            look("child")?;
            // SAFETY: _exit only ends the process.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => waitpid(child, None)?,
    };
    look("parent")?;
    drop(goes_on);
    let _ = other.join();
    look("parent")
}

fn look(who: &str) -> io::Result<()> {
    let threads = fs::read_dir("/proc/self/task")?.count();
    let lock = match LOCK.try_lock() {
        Ok(_) => "free",
        Err(_) => "taken",
    };
    println!("{who}: threads: {threads}, the lock is {lock}");
    Ok(())
}
// ANCHOR_END: program
