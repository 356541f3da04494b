//! Processes that end with the bench: each leads a group of its own.

use crate::record::rounded;
use anyhow::{bail, Context, Result};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{killpg, Signal};
use nix::sys::wait::{waitid, waitpid, Id, WaitPidFlag, WaitStatus};
use nix::unistd::{getppid, setsid, Pid};
use procfs::process::{Process, Stat};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// The groups that must not outlive the bench. Whoever starts or ends one holds
/// the lock, so that a signal finds all of them.
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

fn groups() -> MutexGuard<'static, Vec<Pid>> {
    GROUPS.lock().expect("no holder of the lock panics")
}

/// Makes SIGINT, SIGTERM and SIGHUP end every group and then the bench. To be
/// called once, before the first [`Group::spawn`].
///
/// # Errors
///
/// When the signals cannot be caught.
pub fn end_together() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("catch signals")?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // Never unlocked: nothing can be started any more.
            let groups = groups();
            for group in groups.iter() {
                end(*group);
            }
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// A process, and all that it starts in its group. Dropping it ends them.
pub struct Group {
    /// The leader; its output, where that is a pipe, can be taken from it.
    pub child: Child,
    what: String,
    leader: Pid,
}

impl Group {
    /// Starts `command`; `what` names it in errors.
    ///
    /// # Errors
    ///
    /// A command that cannot be started.
    pub fn spawn(command: &mut Command, what: &str) -> Result<Group> {
        command.process_group(0);
        Group::start(command, what)
    }

    /// The same, in a session of its own, as a service manager starts a server.
    /// Linux (`sched_autogroup`) shares the processors out between sessions, and
    /// only then between the processes of each.
    ///
    /// # Errors
    ///
    /// A command that cannot be started.
    pub fn spawn_session(command: &mut Command, what: &str) -> Result<Group> {
        // SAFETY: between fork and exec the closure calls setsid alone, which is
        // async-signal-safe and allocates nothing.
        unsafe {
            command.pre_exec(|| Ok(setsid().map(drop)?));
        }
        Group::start(command, what)
    }

    fn start(command: &mut Command, what: &str) -> Result<Group> {
        let bench = Pid::this();
        // SAFETY: between fork and exec the closure calls prctl and getppid
        // alone, which are async-signal-safe and allocate nothing.
        unsafe {
            command.pre_exec(move || {
                prctl::set_pdeathsig(Signal::SIGKILL)?;
                // The bench may have died before the kernel knew.
                match getppid() == bench {
                    true => Ok(()),
                    false => Err(Errno::ESRCH.into()),
                }
            });
        }
        let mut groups = groups();
        let child = command.spawn().with_context(|| format!("start {what}"))?;
        let leader = Pid::from_raw(child.id() as i32);
        groups.push(leader);
        Ok(Group {
            child,
            what: what.to_string(),
            leader,
        })
    }

    /// How the leader ended, if it has; it is left to be reaped, so that its
    /// number stays taken.
    pub fn ended(&self) -> Option<String> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.leader), flags) {
            Ok(WaitStatus::StillAlive) => None,
            Ok(WaitStatus::Exited(_, status)) => Some(format!("exit status {status}")),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(format!("{signal}")),
            Ok(other) => Some(format!("{other:?}")),
            Err(error) => Some(format!("waitid: {error}")),
        }
    }

    /// Waits until the leader has ended with status 0.
    ///
    /// # Errors
    ///
    /// Another end, or none within `limit`.
    pub fn finish(&self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            match self.ended().as_deref() {
                Some("exit status 0") => return Ok(()),
                Some(end) => bail!("{}: {end}", self.what),
                None if start.elapsed() > limit => {
                    bail!("{} did not end within {limit:?}", self.what)
                }
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Processor time of the group so far, that of children it has reaped included; a
    /// tick (a hundredth of a second) is the resolution.
    ///
    /// # Errors
    ///
    /// A `/proc` that cannot be read.
    pub fn processor_time(&self) -> Result<Processor> {
        let (mut user, mut system) = (0, 0);
        for (_, stat) in self.members()? {
            user += stat.utime + stat.cutime.max(0) as u64;
            system += stat.stime + stat.cstime.max(0) as u64;
        }
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        Ok(Processor {
            user: seconds(user),
            system: seconds(system),
        })
    }

    /// What the group holds of the memory now.
    ///
    /// # Errors
    ///
    /// A `/proc` that cannot be read.
    pub fn memory(&self) -> Result<Memory> {
        let mut memory = Memory::default();
        for (process, stat) in self.members()? {
            // One that ends now has no memory any more.
            let Ok(rollup) = process.smaps_rollup() else {
                continue;
            };
            let maps = rollup.memory_map_rollup.0;
            memory.processes += 1;
            memory.threads += stat.num_threads.max(0) as u64;
            // Not `Pss` itself: what is of files (the program, its libraries) is divided
            // among all who have it, and changes when a stranger starts the same program.
            for part in ["Pss_Anon", "Pss_Shmem"] {
                let bytes = maps.iter().filter_map(|map| map.extension.map.get(part));
                memory.resident += bytes.sum::<u64>();
            }
        }
        Ok(memory)
    }

    /// The processes of the group, as they stand now; each may end at any moment.
    fn members(&self) -> Result<Vec<(Process, Stat)>> {
        let all = procfs::process::all_processes().context("read /proc")?;
        let known = all.filter_map(|process| {
            let process = process.ok()?;
            let stat = process.stat().ok()?;
            Some((process, stat))
        });
        let ours = known.filter(|(_, stat)| stat.pgrp == self.leader.as_raw());
        Ok(ours.collect())
    }
}

/// Processor time of a group, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    /// In its own code.
    pub user: f64,
    /// In the kernel, on its behalf.
    pub system: f64,
}

impl Processor {
    /// Microseconds for each of `answers`, between an earlier look and this one: in its
    /// own code, in the kernel, and both.
    ///
    /// ```
    /// use bench::processes::Processor;
    /// let before = Processor { user: 1.0, system: 2.0 };
    /// let after = Processor { user: 1.2, system: 2.7 };
    /// assert_eq!(after.for_each(before, 100_000), [2.0, 7.0, 9.0]);
    /// ```
    pub fn for_each(self, before: Processor, answers: u64) -> [f64; 3] {
        let [user, system] = [self.user - before.user, self.system - before.system];
        [user, system, user + system].map(|seconds| rounded(seconds * 1e6 / answers as f64))
    }
}

/// What a group holds of the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Its processes.
    pub processes: u64,
    /// Their threads.
    pub threads: u64,
    /// Resident bytes that are of no file (`Pss_Anon` and `Pss_Shmem`): what several
    /// processes share is divided among them.
    pub resident: u64,
}

impl Drop for Group {
    fn drop(&mut self) {
        let mut groups = groups();
        end(self.leader);
        groups.retain(|group| *group != self.leader);
    }
}

/// Kills a group and reaps its members: the leader, and those that its death
/// leaves without a parent, for they come to the nearest subreaper. The bench is
/// one only here; in a round, the orphans of a server that forks twice would pile
/// up as zombies of the bench.
fn end(group: Pid) {
    let _ = prctl::set_child_subreaper(true);
    let _ = killpg(group, Signal::SIGKILL);
    let members = Pid::from_raw(-group.as_raw());
    while !matches!(waitpid(members, None), Err(Errno::ECHILD)) {}
    let _ = prctl::set_child_subreaper(false);
}
