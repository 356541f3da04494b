//! Which memory is a child's own: none, until it writes.
//!
//!     cargo run -p part3 --example copy_on_write

// ANCHOR: program
use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::{fork, ForkResult};
use std::fs::read_to_string;

const MB: usize = 1 << 20;
const PAGE: usize = 4096; // bytes

fn main() -> std::io::Result<()> {
    let mut memory = vec![1_u8; 64 * MB];
    println!("parent: {} MB its own", own()?);
    // SAFETY: there is one thread, so no lock is held by one that the child lacks.
    match unsafe { fork() }? {
        ForkResult::Child => {
            println!("child: {} MB its own", own()?);
            let sum: usize = memory.iter().step_by(PAGE).map(|byte| *byte as usize).sum();
            println!("child, {sum} pages read: {} MB its own", own()?);
            let before = faults()?;
            memory[..16 * MB]
                .iter_mut()
                .step_by(PAGE)
                .for_each(|byte| *byte = 2);
            println!("page faults: {}", faults()? - before);
            println!("child, 16 MB written: {} MB its own", own()?);
            // SAFETY: _exit only ends the process: no destructor and no atexit hook runs.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => waitpid(child, None)?,
    };
    println!("parent, first byte {}", memory[0]);
    Ok(())
}

/// The memory that this process has written and shares with no other, in MB.
fn own() -> std::io::Result<u64> {
    let sums = read_to_string("/proc/self/smaps_rollup")?;
    let found = |line: &str| {
        line.strip_prefix("Private_Dirty:")?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    };
    Ok(sums.lines().find_map(found).unwrap_or(0_u64) / 1024)
}

/// How often the kernel had to do something about a page of this process.
fn faults() -> std::io::Result<u64> {
    let stat = read_to_string("/proc/self/stat")?;
    Ok(stat
        .split(' ')
        .nth(9)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0))
}
// ANCHOR_END: program
