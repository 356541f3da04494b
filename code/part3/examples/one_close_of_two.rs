//! A pipe ends with the last copy of its writing end, and not with the first close.
//!
//!     cargo run -p part3 --example one_close_of_two

// ANCHOR: program
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{kill, Signal};
use nix::sys::wait::waitpid;
use nix::unistd::{fork, pause, ForkResult};
use std::os::fd::AsFd;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (reader, writer) = std::io::pipe()?;
    // SAFETY: there is one thread, so no lock is held by one that the child lacks.
    let child = match unsafe { fork() }? {
        ForkResult::Child => loop {
            pause(); // and keeps its copy of both ends
        },
        ForkResult::Parent { child } => child,
    };
    let at_end = |milliseconds: u16| {
        let mut ends = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        poll(&mut ends, PollTimeout::from(milliseconds)).map(|ready| ready == 1)
    };

    drop(writer);
    println!("after the parent's close, at its end: {}", at_end(500)?);

    kill(child, Signal::SIGKILL)?;
    waitpid(child, None)?;
    println!("after the child's death, at its end: {}", at_end(500)?);
    Ok(())
}
// ANCHOR_END: program
