//! Processes that end with the bench: each leads a group of its own.

use anyhow::{bail, Context, Result};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{killpg, Signal};
use nix::sys::wait::{waitid, waitpid, Id, WaitPidFlag, WaitStatus};
use nix::unistd::{getppid, setsid, Pid};
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

    /// Processor time of the group so far, in seconds, that of children it has
    /// reaped included; a tick (a hundredth of a second) is the resolution.
    ///
    /// # Errors
    ///
    /// A `/proc` that cannot be read.
    pub fn processor_seconds(&self) -> Result<f64> {
        let mut ticks = 0;
        for process in procfs::process::all_processes().context("read /proc")? {
            // A process may end at any moment.
            let Ok(stat) = process.and_then(|process| process.stat()) else {
                continue;
            };
            if stat.pgrp == self.leader.as_raw() {
                ticks += stat.utime + stat.stime;
                ticks += (stat.cutime + stat.cstime).max(0) as u64;
            }
        }
        Ok(ticks as f64 / procfs::ticks_per_second() as f64)
    }
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
