//! Eight processes wait for the clients of one listener, and fifty clients come, one after
//! the other. How many of the eight does a client wake?
//!
//!     cargo run -p part4 --example herd

// ANCHOR: program
use nix::libc;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{kill, Signal};
use nix::sys::wait::waitpid;
use nix::unistd::{fork, ForkResult, Pid};
use std::fs;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

const CLIENTS: u64 = 50;
const COUNT: &str = "voluntary_ctxt_switches:"; // in /proc/PID/status

fn main() -> io::Result<()> {
    println!("in accept: {} for each client", herd(false)?);
    println!("in poll: {} for each client", herd(true)?);
    Ok(())
}

/// How many of eight processes a client wakes, on average of fifty.
fn herd(polls: bool) -> io::Result<u64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(polls)?;
    let address = listener.local_addr()?;
    let mut herd = Vec::new();
    for _ in 0..8 {
        // SAFETY: there is one thread, so no lock is held by one that the child lacks.
        match unsafe { fork() }? {
            ForkResult::Child => serve(&listener, polls),
            ForkResult::Parent { child } => herd.push(child),
        }
    }
    let before = slept(&herd)?;
    for _ in 0..CLIENTS {
        TcpStream::connect(address)?.read_to_end(&mut Vec::new())?;
        slept(&herd)?;
    }
    let woken = slept(&herd)? - before;
    for each in herd {
        kill(each, Signal::SIGKILL)?;
        waitpid(each, None)?;
    }
    Ok((woken + CLIENTS / 2) / CLIENTS) // the nearest whole number
}

/// Takes one client after the other, and says nothing.
fn serve(listener: &TcpListener, polls: bool) -> ! {
    while !polls || wait(listener).is_ok() {
        drop(listener.accept()); // with poll, mostly EAGAIN: another was faster
    }
    // SAFETY: _exit only ends the process: no destructor and no atexit hook runs.
    unsafe { libc::_exit(1) }
}

fn wait(listener: &TcpListener) -> nix::Result<i32> {
    let mut files = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    poll(&mut files, PollTimeout::NONE)
}

/// How often these processes have gone to sleep, once all of them sleep.
fn slept(herd: &[Pid]) -> io::Result<u64> {
    loop {
        let mut times = 0;
        let mut all_sleep = true;
        for each in herd {
            let status = fs::read_to_string(format!("/proc/{each}/status"))?;
            all_sleep &= status.contains("\nState:\tS");
            let line = status.lines().find_map(|line| line.strip_prefix(COUNT));
            times += line.map_or(0, |count| count.trim().parse().unwrap_or(0));
        }
        if all_sleep {
            return Ok(times);
        }
    }
}
// ANCHOR_END: program
