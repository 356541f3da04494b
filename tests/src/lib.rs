//! What the tests share: the programs of the course, started on free ports and
//! ended with the test, and a terminal to type at.

#![deny(missing_docs)]

pub mod answer;
pub mod client;
pub mod comparison;
pub mod experiments;
pub mod port;
pub mod processes;
pub mod programs;
pub mod python;
pub mod server;
pub mod terminal;
mod watcher;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for what it knows must happen. It is there to end a test that
/// hangs, and as long as the slowest and busiest machine could need.
pub const LIMIT: Duration = Duration::from_secs(120);

/// How long a test waits for what it knows must *not* happen.
pub const SILENCE: Duration = Duration::from_millis(500);

/// Whether `condition` holds within [`SILENCE`].
pub fn soon(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    let mut pause = Pause::default();
    while !condition() {
        if start.elapsed() > SILENCE {
            return false;
        }
        pause.wait();
    }
    true
}

/// Whether `condition` holds within [`LIMIT`]: for what a busy machine may keep from
/// happening many times, but not each time.
pub fn at_last(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    let mut pause = Pause::default();
    while !condition() {
        if start.elapsed() > LIMIT {
            return false;
        }
        pause.wait();
    }
    true
}

/// Waits until `condition` gives something, and fails the test after [`LIMIT`].
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut pause = Pause::default();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        pause.wait();
    }
}

/// The pauses between looks at something that will change: short at first, and
/// longer for what takes its time, so that those who wait leave the processor to
/// those they wait for.
#[derive(Default)]
pub struct Pause {
    looks: u32,
}

impl Pause {
    /// Pauses, a millisecond longer each time, up to 50.
    pub fn wait(&mut self) {
        self.looks = (self.looks + 1).min(50);
        std::thread::sleep(Duration::from_millis(self.looks.into()));
    }
}

/// Checks each of these, four at the same time: most of a check of a server is waiting.
///
/// # Panics
///
/// When a check has.
pub fn beside_each_other<T: Sync>(items: &[T], check: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(item);
                }
            });
        }
    });
}

/// Says that a check is left out because the machine lacks `what`; under
/// `CI=true`, where everything is installed, that is a failure.
pub fn left_out(check: &str, what: &str) {
    say(&format!("not checked: {check}: this machine has no {what}"));
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "{check}: {what} must be installed where CI=true");
}

/// Makes room for as many open descriptors in this process as the system lets it
/// have.
pub fn make_room_for_descriptors() {
    use nix::sys::resource::{getrlimit, setrlimit, Resource};
    let limit = Resource::RLIMIT_NOFILE;
    if let Ok((_, most)) = getrlimit(limit) {
        // macOS refuses "without limit".
        let most = most.min(10_240);
        let _ = setrlimit(limit, most, most);
    }
}

/// Keeps what these tests have inherited beside the three standard descriptors, from a
/// lock or a tracer that they run under, say, from every program that they start:
/// those count descriptors and show their numbers.
pub fn keep_inherited_descriptors() {
    use nix::fcntl::{fcntl, FcntlArg, FdFlag};
    static KEPT: std::sync::Once = std::sync::Once::new();
    KEPT.call_once(|| {
        let Ok(entries) = std::fs::read_dir("/dev/fd") else {
            return;
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        for number in names.filter(|number: &i32| *number > 2) {
            // SAFETY: it is used for this call alone, and one that is closed meanwhile
            // is an error. All that this process opens has the flag already.
            let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            let _ = fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
        }
    });
}

/// Prints a line that is seen also when the test passes: the test harness keeps
/// what `println!` and `eprintln!` print to itself.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether a command of that name stands on the `PATH`.
pub fn has_tool(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| is_executable(&folder.join(name)))
}

fn is_executable(file: &Path) -> bool {
    nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok() && file.is_file()
}

/// One read, again where a signal has interrupted it. (With a timeout set, even a stop
/// and a continue do that, as a machine does to all of a test when it is suspended.)
///
/// # Errors
///
/// Any other than [`ErrorKind::Interrupted`](std::io::ErrorKind::Interrupted).
pub fn read_once(mut from: impl std::io::Read, into: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match from.read(into) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
