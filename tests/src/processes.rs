//! Processes, as the kernel lists them.

use std::time::Duration;

/// A process, or what is left of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The number of its parent.
    pub parent: u32,
    /// The number of its process group.
    pub group: u32,
    /// What `ps` shows: `R` runs, `S` sleeps in a call, `T` is stopped, `Z` is a
    /// zombie.
    pub state: char,
}

/// All processes of this system.
#[cfg(target_os = "linux")]
pub fn all() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").expect("Linux has /proc");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // One that has ended since it was listed cannot be read.
    names.filter_map(one).collect()
}

/// The process of that number, if there is one.
#[cfg(target_os = "linux")]
fn one(pid: u32) -> Option<Process> {
    // `PID (NAME) STATE PARENT GROUP ...`, and NAME may hold what it likes.
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[end_of_name + 1..]).ok()?;
    let mut words = rest.split_whitespace();
    Some(Process {
        pid,
        state: words.next()?.chars().next()?,
        parent: words.next()?.parse().ok()?,
        group: words.next()?.parse().ok()?,
    })
}

/// All processes of this system.
#[cfg(not(target_os = "linux"))]
pub fn all() -> Vec<Process> {
    let mut ps = std::process::Command::new("ps");
    let output = ps.args(["-axo", "pid=,ppid=,pgid=,state="]).output();
    let output = output.expect("every Unix has ps");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let mut number = || words.next()?.parse().ok();
            Some(Process {
                pid: number()?,
                parent: number()?,
                group: number()?,
                state: words.next()?.chars().next()?,
            })
        })
        .collect()
}

/// The process of that number, if there is one.
#[cfg(not(target_os = "linux"))]
fn one(pid: u32) -> Option<Process> {
    all().into_iter().find(|process| process.pid == pid)
}

/// The processes that this one has started and has not reaped.
pub fn children(pid: u32) -> Vec<Process> {
    let mut children = all();
    children.retain(|process| process.parent == pid);
    children
}

/// The state of a process; `None` when there is none of that number.
pub fn state(pid: u32) -> Option<char> {
    one(pid).map(|process| process.state)
}

/// The processor time that the processes of a group have used, those who have ended
/// excepted; `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub fn processor_time(group: u32) -> Option<Duration> {
    let processes = procfs::process::all_processes().ok()?;
    let ticks = processes
        .filter_map(|process| process.ok()?.stat().ok())
        .filter(|stat| stat.pgrp as u32 == group)
        .map(|stat| stat.utime + stat.stime)
        .sum::<u64>();
    let a_second = procfs::ticks_per_second();
    Some(Duration::from_secs_f64(ticks as f64 / a_second as f64))
}

/// The processor time that the processes of a group have used.
#[cfg(not(target_os = "linux"))]
pub fn processor_time(_: u32) -> Option<Duration> {
    None
}

/// How many descriptors a process holds; `None` when it has gone.
///
/// # Panics
///
/// Where there is no `/proc/PID/fd`: see [`lists_descriptors`].
pub fn descriptors(pid: u32) -> Option<usize> {
    assert!(lists_descriptors(), "this system has no /proc/PID/fd");
    let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    Some(folder.count())
}

/// Whether this system tells what descriptors a process holds.
pub fn lists_descriptors() -> bool {
    std::path::Path::new("/proc/self/fd").is_dir()
}

/// How many threads run under this user's name. Each counts where processes are
/// limited.
#[cfg(target_os = "linux")]
pub fn threads_of_this_user() -> u64 {
    let user = nix::unistd::getuid().as_raw();
    let processes = procfs::process::all_processes().expect("Linux has /proc");
    processes
        .filter_map(|process| process.ok())
        .filter(|process| process.uid().is_ok_and(|uid| uid == user))
        .filter_map(|process| process.stat().ok())
        .map(|stat| stat.num_threads.max(1) as u64)
        .sum()
}

/// How many processes run under this user's name.
#[cfg(not(target_os = "linux"))]
pub fn threads_of_this_user() -> u64 {
    let mut ps = std::process::Command::new("ps");
    let output = ps.args(["-x", "-o", "pid="]).output();
    let output = output.expect("every Unix has ps");
    String::from_utf8_lossy(&output.stdout).lines().count() as u64
}
