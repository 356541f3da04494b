//! Every snippet compiles, and runs unless its block says `no_run`.

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs, panic};
use tests::processes::children;
use tests::programs::write;
use tests::wait_for;

/// How long a snippet may run.
const LONGEST: Duration = Duration::from_secs(60);

/// The executables of those that ran longer.
static OVERDUE: Mutex<Vec<String>> = Mutex::new(Vec::new());

include!(concat!(env!("OUT_DIR"), "/skeptic-tests.rs"));

/// Compiles a snippet that does not run, unless that was done since these tests were
/// built: cargo builds them anew whenever anything changes that snippets are made of.
fn compile(package: &str, out: &str, target: &str, snippet: &str) {
    let tests = env::current_exe().expect("it runs");
    let built = fs::metadata(&tests).expect("it is a file");
    let (size, time) = (built.len(), built.modified().expect("Unix has these times"));
    let content = format!("{tests:?}, {size} bytes, {time:?}, for {target}\n{snippet}");
    let mut hasher = DefaultHasher::new();
    snippet.hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("snippets");
    let file = folder.join(format!("{:016x}", hasher.finish()));
    if fs::read_to_string(&file).is_ok_and(|before| before == content) {
        return;
    }
    skeptic::rt::compile_test(package, out, target, snippet);
    write(&file, &content);
}

/// Compiles a snippet that runs, unless it has been, and runs it. Skeptic writes the
/// executable into its cache while other tests start programs; one of those holds it
/// open until its `exec`, and then it cannot be run: it is run again from the cache.
fn run(package: &str, out: &str, target: &str, snippet: &str) {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| drop(thread::spawn(end_those_that_are_overdue)));
    wait_for("the end of the writing", || {
        let run = || skeptic::rt::run_test(package, out, target, snippet);
        let Err(panic) = panic::catch_unwind(run) else {
            return Some(());
        };
        let said = panic.downcast_ref::<String>();
        let busy = said.is_some_and(|said| said.contains("(os error 26)")); // ETXTBSY
        let overdue = OVERDUE.lock().unwrap_or_else(PoisonError::into_inner);
        let overdue = overdue
            .iter()
            .any(|file| said.is_some_and(|said| said.contains(file)));
        assert!(
            !overdue,
            "the snippet was still running after {LONGEST:?}, and has been ended: one that \
             is not meant to end by itself says `no_run`"
        );
        match busy {
            true => None,
            false => panic::resume_unwind(panic),
        }
    });
}

/// Skeptic waits for a snippet for as long as it runs. So the processes that these tests
/// have started are looked at now and then.
fn end_those_that_are_overdue() {
    let mut since: BTreeMap<u32, Instant> = BTreeMap::new();
    loop {
        thread::sleep(Duration::from_secs(1));
        let here = children(std::process::id());
        since.retain(|pid, _| here.iter().any(|child| child.pid == *pid));
        for child in here {
            if since
                .entry(child.pid)
                .or_insert_with(Instant::now)
                .elapsed()
                < LONGEST
            {
                continue;
            }
            if let Some(file) = snippet(child.pid) {
                let mut overdue = OVERDUE.lock().unwrap_or_else(PoisonError::into_inner);
                overdue.push(file);
                let _ = kill(Pid::from_raw(child.pid as i32), Signal::SIGKILL);
            }
        }
    }
}

/// The executable of a process, if that is a snippet: started without arguments, from
/// where Skeptic keeps them.
fn snippet(pid: u32) -> Option<String> {
    let mut ps = Command::new("ps");
    let listed = ps.args(["-o", "args=", "-p", &pid.to_string()]).output();
    let file = String::from_utf8(listed.ok()?.stdout).ok()?;
    let file = file.trim_end();
    let kept = file.contains("/.skeptic-bin/") && !file.contains(" -");
    kept.then(|| file.to_string())
}

/// Those from the side of Python compile with it, in their programs.
#[test]
fn python_inside() {
    let check = "the snippets of Python inside, and the applications of Python's";
    if !cfg!(feature = "python") {
        let how = "cargo test --test suite --features tests/python python";
        tests::say(&format!("not checked: {check}: {how}"));
    } else if tests::python::can_check(check) {
        tests::python::executable("webserver3h");
    }
}
