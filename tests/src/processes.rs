//! Processes, as the kernel lists them.

#[cfg(target_os = "linux")]
use std::collections::BTreeMap;
#[cfg(target_os = "linux")]
use std::io::Read;
#[cfg(target_os = "linux")]
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    /// The processor time that it has used, in the kernel's ticks, where the system tells.
    pub ticks: Option<u64>,
    /// How many threads it has, where the system tells.
    pub threads: Option<u32>,
}

/// A list that takes a while to make, and when the last one was begun.
struct Shared<T>(Mutex<Option<(Instant, Arc<T>)>>);

impl<T> Shared<T> {
    const fn new() -> Shared<T> {
        Shared(Mutex::new(None))
    }

    /// The list, which was begun after this call. Those who ask while one is made share
    /// the next.
    fn list(&self, list: impl FnOnce() -> T) -> Arc<T> {
        let asked = Instant::now();
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some((begun, listed)) if *begun >= asked => listed.clone(),
            _ => {
                let begun = Instant::now();
                let (_, listed) = latest.insert((begun, Arc::new(list())));
                listed.clone()
            }
        }
    }
}

/// All processes of this system.
pub fn all() -> Vec<Process> {
    static ALL: Shared<Vec<Process>> = Shared::new();
    ALL.list(list).to_vec()
}

/// The processes of a group.
#[cfg(target_os = "linux")]
pub fn group(number: u32) -> Vec<Process> {
    static GROUPS: Shared<BTreeMap<u32, Vec<u32>>> = Shared::new();
    let groups = GROUPS.list(|| {
        let mut groups = BTreeMap::<u32, Vec<u32>>::new();
        // The call tells a group in a tenth of the time that `/proc/PID/stat` takes.
        for (pid, group) in numbers().filter_map(|pid| Some((pid, group_of(pid)?))) {
            groups.entry(group).or_default().push(pid);
        }
        groups
    });
    let group = groups.get(&number).into_iter().flatten();
    let read = group.filter_map(|pid| one(*pid).map(with_threads));
    // It may have gone since, and another may have its number.
    read.filter(|process| process.group == number).collect()
}

/// The process as it is with all its threads: its state is that of the first, and so it
/// may seem to sleep while another runs.
#[cfg(target_os = "linux")]
fn with_threads(process: Process) -> Process {
    if process.state != 'S' || process.threads == Some(1) {
        return process;
    }
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.pid));
    let mut tasks = tasks.into_iter().flatten().flatten();
    let running = tasks.find_map(|task| {
        let thread = read(&task.path().join("stat"))?;
        matches!(thread.state, 'R' | 'D').then_some(thread.state)
    });
    Process {
        state: running.unwrap_or(process.state),
        ..process
    }
}

/// The processes of a group.
#[cfg(not(target_os = "linux"))]
pub fn group(number: u32) -> Vec<Process> {
    let mut group = all();
    group.retain(|process| process.group == number);
    group
}

#[cfg(target_os = "linux")]
fn list() -> Vec<Process> {
    // The kernel's own threads, half of the list, are in the group 0. So is, to those
    // inside, what a container was entered with.
    let all = group_of(std::process::id()) == Some(0);
    let listed = numbers().filter(|pid| all || group_of(*pid) != Some(0));
    // One that has ended since it was listed cannot be read.
    listed.filter_map(one).collect()
}

#[cfg(target_os = "linux")]
fn numbers() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").expect("Linux has /proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The group of a process; `None` when there is none of that number.
#[cfg(target_os = "linux")]
fn group_of(pid: u32) -> Option<u32> {
    let group = nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(pid as i32)));
    group.ok().map(|group| group.as_raw() as u32)
}

/// The process of that number, if there is one.
#[cfg(target_os = "linux")]
fn one(pid: u32) -> Option<Process> {
    let process = read(Path::new(&format!("/proc/{pid}/stat")))?;
    Some(Process { pid, ..process })
}

/// The process or the thread that such a file is about.
#[cfg(target_os = "linux")]
fn read(file: &Path) -> Option<Process> {
    // `PID (NAME) STATE PARENT GROUP ...`, and NAME may hold what it likes.
    let mut stat = [0; 1024];
    let mut file = std::fs::File::open(file).ok()?;
    let length = file.read(&mut stat).ok()?; // the kernel gives it in one piece
    let stat = String::from_utf8_lossy(&stat[..length]);
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace();
    Some(Process {
        pid: 0,
        state: words.next()?.chars().next()?,
        parent: words.next()?.parse().ok()?,
        group: words.next()?.parse().ok()?,
        ticks: {
            let mut times = words.by_ref().skip(8).map(str::parse);
            let (user, system): (u64, u64) = (times.next()?.ok()?, times.next()?.ok()?);
            Some(user + system)
        },
        threads: words.nth(4)?.parse().ok(),
    })
}

#[cfg(not(target_os = "linux"))]
fn list() -> Vec<Process> {
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
                ticks: None,
                threads: None,
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

/// The processor time that these have used; `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub fn processor_time(processes: &[Process]) -> Option<Duration> {
    let ticks: Option<u64> = processes.iter().map(|process| process.ticks).sum();
    let a_second = procfs::ticks_per_second();
    Some(Duration::from_secs_f64(ticks? as f64 / a_second as f64))
}

/// The processor time that these have used.
#[cfg(not(target_os = "linux"))]
pub fn processor_time(_: &[Process]) -> Option<Duration> {
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
