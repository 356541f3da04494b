//! A terminal to type at: a shell behind a pseudo-terminal, as the reader has
//! one.

use crate::watcher::let_signals_be_heard;
use crate::{
    has_tool, keep_inherited_descriptors, processes, python, read_once, soon, wait_for, Pause,
};
use nix::fcntl::OFlag;
use nix::libc;
use nix::pty::{grantpt, posix_openpt, unlockpt, PtyMaster, Winsize};
use nix::sys::signal::{kill, killpg, Signal};
use nix::sys::termios::{tcgetattr, tcsetattr, InputFlags, LocalFlags, OutputFlags, SetArg};
use nix::unistd::{getsid, tcgetpgrp, Pid};
use regex::Regex;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What the shell prints when it is ready for a command. No program prints
/// these characters.
const PROMPT: &str = "\u{1}ready\u{1}";

nix::ioctl_none_bad!(
    /// Makes the terminal the controlling terminal of the session, so that
    /// Ctrl-C reaches it.
    take_terminal,
    libc::TIOCSCTTY
);

nix::ioctl_write_ptr_bad!(
    /// Gives a terminal a size.
    set_size,
    libc::TIOCSWINSZ,
    Winsize
);

/// A pseudo-terminal of 200 columns: the end of who looks at it, and that of the
/// programs. Neither is inherited by what any thread starts, not even for a moment.
///
/// # Panics
///
/// When the system has none left.
pub fn pty() -> (File, OwnedFd) {
    let how = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(how).expect("the system has a pseudo-terminal left");
    grantpt(&master).expect("it is ours");
    unlockpt(&master).expect("it is ours");
    let slave = slave_name(&master);
    let mut options = OpenOptions::new();
    let slave = options
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(slave);
    let slave = OwnedFd::from(slave.expect("it is unlocked"));
    let size = Winsize {
        ws_row: 50,
        ws_col: 200,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the descriptor is open, and the kernel reads one Winsize, which is there.
    unsafe { set_size(slave.as_raw_fd(), &size) }.expect("every terminal has a size");
    // SAFETY: nobody else owns this descriptor: it is taken out of its owner.
    let master = unsafe { File::from_raw_fd(master.into_raw_fd()) };
    (master, slave)
}

#[cfg(target_os = "linux")]
fn slave_name(master: &PtyMaster) -> String {
    nix::pty::ptsname_r(master).expect("it has one")
}

#[cfg(not(target_os = "linux"))]
fn slave_name(master: &PtyMaster) -> String {
    static NAMING: Mutex<()> = Mutex::new(());
    let _naming = NAMING.lock();
    // SAFETY: its buffer is the process's, and the lock keeps others from it.
    unsafe { nix::pty::ptsname(master) }.expect("it has one")
}

/// A shell in a terminal of its own. Dropping it ends the shell and everything
/// that was started from it.
pub struct Terminal {
    shell: Child,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    seen: usize,
    busy: bool,
    /// A prompt that ends here or before is no answer to what was pressed last.
    pressed_at: usize,
}

impl Terminal {
    /// Opens a terminal in `folder`, with these environment variables.
    pub fn open(folder: &Path, environment: &[(&str, String)]) -> Terminal {
        keep_inherited_descriptors();
        let (master, slave) = pty();
        plain(&slave);

        let mut command = match takes_the_terminal() {
            true => Command::new("setsid"),
            false => Command::new("sh"),
        };
        if takes_the_terminal() {
            command.args(["--ctty", "sh"]);
        }
        // With job control, as every terminal has it. Without it, Ctrl-C brings
        // the prompt back before the program has gone.
        command.args(["-m", "-i"]).current_dir(folder);
        command.env_remove("PS1");
        command.envs([("TERM", "dumb"), ("LC_ALL", "C.UTF-8")]);
        command.envs([
            ("TZ", "UTC"),
            ("NO_COLOR", "1"),
            ("CARGO_TERM_COLOR", "never"),
            ("RUST_BACKTRACE", "0"), // which the pages do not show
        ]);
        python::without_settings(&mut command);
        python::found_at_once(&mut command);
        command.env_remove("ENV").envs(environment.iter().cloned());
        let input = || Stdio::from(slave.try_clone().expect("a descriptor is left"));
        command.stdin(input()).stdout(input()).stderr(input());
        // Or every program here would ignore them too.
        let_signals_be_heard();
        if !takes_the_terminal() {
            // SAFETY: between fork and exec the closure calls setsid and ioctl alone;
            // they are async-signal-safe and allocate nothing.
            unsafe {
                command.pre_exec(|| {
                    nix::unistd::setsid()?;
                    take_terminal(libc::STDIN_FILENO)?;
                    Ok(())
                });
            }
        }
        let shell = command.spawn().expect("every Unix has sh");
        drop((command, slave));

        let screen = Arc::new(Mutex::new(Vec::new()));
        let keyboard = master;
        let mut reader = keyboard.try_clone().expect("a descriptor is left");
        let sink = Arc::clone(&screen);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = read_once(&mut reader, &mut chunk) {
                if let Ok(mut screen) = sink.lock() {
                    screen.extend_from_slice(&chunk[..read]);
                }
            }
        });
        let mut terminal = Terminal {
            shell,
            keyboard,
            screen,
            seen: 0,
            busy: true,
            pressed_at: 0,
        };
        // Not by way of the environment: then the prompt would come twice, and
        // the second could be taken for the end of the first command.
        terminal.press(&format!("PS1='{PROMPT}'; PS2=\n"));
        wait_for("the shell's prompt", || terminal.idle().then_some(()));
        terminal.take();
        terminal
    }

    /// Types a command and Enter.
    ///
    /// # Panics
    ///
    /// While another command runs, which would get what is typed.
    pub fn command(&mut self, command: &str) {
        let screen = self.screen();
        assert!(
            !self.busy,
            "cannot type `{command}`: another command still runs\n{screen}"
        );
        self.busy = true;
        self.press(&format!("{command}\n"));
    }

    /// Types a line and Enter into the running command.
    pub fn line(&mut self, line: &str) {
        self.press(&format!("{line}\n"));
    }

    /// Presses Ctrl-C; and Enter, where the running command has ended by itself.
    /// The shell's own answer to Ctrl-C may come late, and throws away what was
    /// typed by then.
    pub fn interrupt(&mut self) {
        let shell = Pid::from_raw(self.shell.id() as i32);
        if tcgetpgrp(&self.keyboard) != Ok(shell) {
            return self.press("\u{3}");
        }
        // It may be on its way, or stand above what others have printed since.
        soon(|| self.idle());
        self.pressed_at = self.screen.lock().expect("no holder panics").len();
        self.busy = true;
        self.press("\n");
    }

    /// Presses Ctrl-D.
    pub fn end_of_input(&mut self) {
        self.press("\u{4}");
    }

    /// Whether the shell waits for a command.
    pub fn idle(&mut self) -> bool {
        let unseen = self.unseen();
        self.note_prompt(self.seen + unseen.len(), &unseen);
        !self.busy
    }

    /// Waits until the shell is ready for a command or `enough` says that
    /// there is enough to see; false if neither happens within `limit`.
    pub fn wait(&mut self, limit: Duration, mut enough: impl FnMut(&str) -> bool) -> bool {
        let start = Instant::now();
        let mut looked = None;
        let mut pause = Pause::default();
        while !self.idle() {
            // Looked at when there is something new to see.
            let seen = self.unseen().len();
            if looked != Some(seen) && enough(&self.screen()) {
                break;
            }
            looked = Some(seen);
            if start.elapsed() > limit {
                return false;
            }
            pause.wait();
        }
        true
    }

    /// What has been printed since the last [`Terminal::take`]. A line that the
    /// running command has not finished is left for later.
    pub fn screen(&self) -> String {
        cleaned(&self.unseen())
    }

    /// Takes what [`Terminal::screen`] shows, so that the next look begins
    /// after it.
    pub fn take(&mut self) -> String {
        // One look: what came between two would be neither shown nor kept.
        let unseen = self.unseen();
        self.seen += unseen.len();
        self.note_prompt(self.seen, &unseen);
        cleaned(&unseen)
    }

    /// `unseen` ends at `end` of all that came.
    fn note_prompt(&mut self, end: usize, unseen: &[u8]) {
        if end > self.pressed_at && unseen.ends_with(PROMPT.as_bytes()) {
            self.busy = false;
        }
    }

    fn unseen(&self) -> Vec<u8> {
        let screen = self.screen.lock().expect("no holder of the lock panics");
        let unseen = &screen[self.seen..];
        let finished = match unseen.ends_with(PROMPT.as_bytes()) {
            true => unseen.len(),
            false => unseen
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1),
        };
        unseen[..finished].to_vec()
    }

    fn press(&mut self, keys: &str) {
        let pressed = self.keyboard.write_all(keys.as_bytes());
        pressed.expect("the terminal is open as long as it is held");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The running command is a group of its own, and the shell, which gets
        // a moment to reap it, is another.
        if let (false, Ok(foreground)) = (self.idle(), tcgetpgrp(&self.keyboard)) {
            let _ = killpg(foreground, Signal::SIGKILL);
            for _ in 0..200 {
                if self.idle() {
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
        // What was stopped once is in the background now, a group of its own.
        let shell = Pid::from_raw(self.shell.id() as i32);
        if getsid(Some(shell)) == Ok(shell) {
            for process in processes::all() {
                let process = Pid::from_raw(process.pid as i32);
                if process != shell && getsid(Some(process)) == Ok(shell) {
                    let _ = kill(process, Signal::SIGKILL);
                }
            }
        }
        let _ = killpg(shell, Signal::SIGKILL);
        let _ = self.shell.wait();
    }
}

/// Whether there is a `setsid` that gives a shell a session and a terminal. Linux has it;
/// without it these tests fork, which takes long where they are large.
fn takes_the_terminal() -> bool {
    static FOUND: LazyLock<bool> =
        LazyLock::new(|| cfg!(target_os = "linux") && has_tool("setsid"));
    *FOUND
}

/// The text of a screen, without colours, carriage returns and prompts.
fn cleaned(screen: &[u8]) -> String {
    static COLOUR: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\x1b\[[0-9;]*m").expect("a constant, used by every test"));
    let text = String::from_utf8_lossy(screen).replace(PROMPT, "");
    COLOUR.replace_all(&text, "").replace('\r', "")
}

/// No echo, no carriage returns added: the screen holds what programs print.
fn plain(terminal: &OwnedFd) {
    let mut settings = tcgetattr(terminal).expect("a new terminal has settings");
    settings
        .local_flags
        .remove(LocalFlags::ECHO | LocalFlags::ECHONL);
    settings
        .local_flags
        .insert(LocalFlags::ICANON | LocalFlags::ISIG);
    settings.output_flags.remove(OutputFlags::ONLCR);
    settings.input_flags.insert(InputFlags::ICRNL);
    tcsetattr(terminal, SetArg::TCSANOW, &settings).expect("our own terminal can be set");
}
