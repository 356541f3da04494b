//! shared_runtime: what becomes of a tokio runtime that was built before fork.
//!
//!     cargo run --example shared_runtime [own]
//!
//! Forks 16 children. Each waits on its parent's runtime for a byte in a pipe of
//! its own, and gets it; whoever has not noticed after three seconds is ended by
//! an alarm, and counted. With the argument `own`, each builds its own runtime.

use nix::sys::signal::Signal;
use nix::sys::wait::{wait, WaitStatus};
use nix::unistd::{alarm, fork, ForkResult};
use std::io::{self, PipeReader, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;
use tokio::net::unix::pipe::Receiver;
use tokio::runtime::{Builder, Runtime};

const CHILDREN: usize = 16;
const PAUSE: Duration = Duration::from_millis(60);
const PATIENCE: u32 = 3; // seconds

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shared_runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

// ANCHOR: run
fn run() -> io::Result<()> {
    let own = std::env::args().nth(1).as_deref() == Some("own");
    // Before the first fork, so that memory looks the same to all children.
    let mut writers = Vec::with_capacity(CHILDREN);
    let shared = build()?;

    for _ in 0..CHILDREN {
        let (reader, writer) = io::pipe()?;
        // SAFETY: this process has one thread, so no lock is held by another
        // that the child would not have.
        match unsafe { fork() }? {
            ForkResult::Parent { .. } => writers.push(writer),
            ForkResult::Child => {
                alarm::set(PATIENCE);
                let heard = match own {
                    true => build().and_then(|own| own.block_on(a_byte(reader))),
                    false => shared.block_on(a_byte(reader)),
                };
                // SAFETY: ends the process at once, and cleans up nothing of
                // what is the parent's as well.
                unsafe { nix::libc::_exit(heard.is_err().into()) }
            }
        }
        thread::sleep(PAUSE); // until it waits
    }
    for writer in &mut writers {
        let _ = writer.write_all(b"x"); // an error: its reader's alarm has been faster
        thread::sleep(PAUSE); // until whoever was woken waits again
    }
    count()
}

async fn a_byte(reader: PipeReader) -> io::Result<()> {
    let reader = Receiver::from_owned_fd(reader.into())?;
    loop {
        reader.readable().await?;
        match reader.try_read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {} // woken for nothing
            read => return read.map(|_| ()),
        }
    }
}
// ANCHOR_END: run

fn build() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn count() -> io::Result<()> {
    let mut hung = 0;
    for _ in 0..CHILDREN {
        match wait()? {
            WaitStatus::Exited(_, 0) => {}
            WaitStatus::Signaled(_, Signal::SIGALRM, _) => hung += 1,
            other => return Err(io::Error::other(format!("a child failed: {other:?}"))),
        }
    }
    println!("{hung} of {CHILDREN} children never heard of their byte");
    Ok(())
}
