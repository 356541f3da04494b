//! Nothing outlives the tests: a process beside them knows what they have started, and
//! ends it should they be killed before they can.

use nix::sys::signal::{sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, Once, PoisonError};

/// Reads which groups have begun and ended until nobody is left to write that, and
/// kills those that have not ended.
const SCRIPT: &str = r#"
trap '' HUP
groups=' '
while read -r what group; do
    case $what in
    began) groups="$groups$group " ;;
    ended) groups="${groups%% $group *} ${groups#* $group }" ;;
    esac
done
for group in $groups; do
    kill -s KILL -- "-$group" 2>/dev/null
done
"#;

/// Where it is told. It is in a group of its own, where Ctrl-C does not reach it.
static WATCHER: LazyLock<Mutex<ChildStdin>> = LazyLock::new(|| {
    let mut sh = Command::new("sh");
    sh.args(["-c", SCRIPT]).process_group(0).current_dir("/");
    sh.stdin(Stdio::piped());
    // Whoever reads what the tests print does not wait for it.
    sh.stdout(Stdio::null()).stderr(Stdio::null());
    #[allow(clippy::zombie_processes)] // it ends after these tests
    let mut child = sh.spawn().expect("every Unix has sh");
    Mutex::new(child.stdin.take().expect("it was given a pipe"))
});

/// Notes a process group that has begun.
pub(crate) fn began(group: u32) {
    tell("began", group);
}

/// Notes that a process group has ended, before its number may be another's.
pub(crate) fn ended(group: u32) {
    tell("ended", group);
}

fn tell(what: &str, group: u32) {
    let mut watcher = WATCHER.lock().unwrap_or_else(PoisonError::into_inner);
    // One write, so that no line is told by halves.
    let told = watcher.write_all(format!("{what} {group}\n").as_bytes());
    told.expect("the watcher reads as long as these tests run");
}

/// What whoever starts the tests may ignore: Ctrl-C in the background of a script, the end
/// of the terminal under `nohup`.
pub(crate) const IGNORED: [Signal; 6] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGTERM,
];

/// Lets the programs under test hear the signals that these tests ignore because of who
/// started them. What is ignored stays so through `exec`; what is handled, be it by a
/// function that does nothing, has its default there.
pub(crate) fn let_signals_be_heard() {
    extern "C" fn nothing(_: nix::libc::c_int) {}
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        for key in IGNORED {
            let handler = SigHandler::Handler(nothing);
            let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
            // SAFETY: the handler does nothing, which is async-signal-safe; the old action is put
            // back as it was.
            unsafe {
                let old = sigaction(key, &action).expect("each can be handled");
                if !matches!(old.handler(), SigHandler::SigIgn) {
                    sigaction(key, &old).expect("it was so before");
                }
            }
        }
    });
}
