//! A server of the course, started on a free port of the loopback interface.

use crate::client::Client;
use crate::processes::{self, Process};
use crate::watcher::IGNORED;
use crate::{
    keep_inherited_descriptors, programs, read_once, soon, wait_for, watcher, Pause, LIMIT,
};
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::libc;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{kill, killpg, signal, SigHandler, Signal};
use nix::unistd::Pid;
use std::fs;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

/// A running server. Dropping it ends it, and every process it has started.
pub struct Server {
    /// Where it really serves, from its first line of output.
    pub address: SocketAddr,
    child: Child,
    output: Arc<Collected>,
    errors: Arc<Collected>,
    /// What it runs from, if not from the original.
    _copy: Option<Copy>,
    /// As long as this is there, its limit of processes is kept where it should be.
    _room: Option<Arc<()>>,
}

/// What a process writes into a pipe, read by a thread of its own, or the process would
/// wait when the pipe is full, and by whoever wants to know what has been written.
struct Collected {
    pipe: File,
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    bytes: Vec<u8>,
    at_end: bool,
}

/// How a server is to be started.
pub struct Setup {
    program: String,
    arguments: Vec<String>,
    address: String,
    command: Command,
    copy: Option<Copy>,
    /// How many processes it may have beside the others of its user.
    most: Option<u64>,
}

impl Setup {
    /// A program of the course, or a path to one, on a free port, without limits.
    /// Words after its name are arguments: `webserver2 wsgiapp:app`.
    pub fn new(program: &str) -> Setup {
        let mut words = program.split_whitespace();
        let program = words.next().unwrap_or_default();
        Setup {
            program: program.to_string(),
            arguments: words.map(str::to_string).collect(),
            address: "127.0.0.1:0".to_string(),
            command: Command::new(programs::executable(program)),
            copy: None,
            most: None,
        }
    }

    /// On this address.
    pub fn address(mut self, address: &str) -> Setup {
        self.address = address.to_string();
        self
    }

    /// With at most that many descriptors.
    pub fn most_descriptors(mut self, most: u64) -> Setup {
        limit(&mut self.command, libc::RLIMIT_NOFILE as _, most);
        self
    }

    /// With at most that many processes, itself among them. To be called before anything
    /// else is asked of the process. Root has no such limit, so for root it runs as a user
    /// who has no other process, and from a copy that this user may read. For anybody else
    /// Linux counts the processes of a user namespace by themselves. Where there is none,
    /// the limit follows those that the user has besides.
    ///
    /// # Panics
    ///
    /// When the copy cannot be made.
    pub fn most_processes(mut self, most: u64) -> Setup {
        if nix::unistd::geteuid().is_root() {
            let copy = Copy::of(&programs::executable(&self.program));
            self.command = Command::new(&copy.file);
            // No system gives these numbers to anybody.
            let user = 60_600 + copy.number;
            self.command.uid(user).gid(user).current_dir("/");
            self.copy = Some(copy);
            limit(&mut self.command, libc::RLIMIT_NPROC as _, most);
        } else if counts_by_namespace() {
            // Not before it is within: there it would be a limit of the user's outside.
            let most = format!("--nproc={most}");
            self = self.under(&["unshare", "--user", "prlimit", &most]);
        } else {
            let others = processes::threads_of_this_user();
            limit(&mut self.command, libc::RLIMIT_NPROC as _, others + most);
            self.most = Some(most);
        }
        self
    }

    /// Run by another program, which gets these arguments first: a tracer, say.
    /// The number of the server's process is then that of the other.
    pub fn under(mut self, words: &[&str]) -> Setup {
        let program = self.command.get_program().to_owned();
        let (tool, arguments) = words.split_first().expect("a program is named");
        self.command = Command::new(tool);
        self.command.args(arguments).arg(program);
        self
    }

    /// Runs it to its end with these arguments instead of an address: see
    /// [`run_to_end`].
    pub fn run(mut self, arguments: &[&str]) -> (Option<i32>, String, String) {
        run_to_end(self.command.args(arguments))
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// A program that ends, or prints something else, before it serves.
    pub fn start(self) -> Result<Server, String> {
        let Setup {
            program,
            arguments,
            address,
            mut command,
            copy,
            most,
        } = self;
        command.args(arguments).arg(address);
        let mut server = Server::spawn(&program, command)?;
        server._copy = copy;
        server._room = most.map(|most| keep_limited(server.pid(), most));
        Ok(server)
    }
}

impl Server {
    /// Starts a command that is a server, by this name.
    ///
    /// # Errors
    ///
    /// A program that ends, or prints something else, before it serves.
    pub fn spawn(program: &str, command: Command) -> Result<Server, String> {
        Server::spawn_and_read(program, command, |line| {
            let rest = line.strip_prefix("Serving HTTP on http://")?;
            rest.strip_suffix("/ ...")
        })
    }

    /// Starts a stage that says `Listening on ADDRESS`, at this port of four digits.
    ///
    /// # Panics
    ///
    /// When it does not say so.
    pub fn start_stage(name: &str, port: u16) -> Server {
        let course = programs::course();
        let stage = course.program(name);
        let stage = stage.unwrap_or_else(|| panic!("there is no program {name}"));
        let folder = programs::folder().join(format!("../tmp/typed/{port}-{name}"));
        let command = Command::new(programs::as_typed(stage, &folder, port));
        let server =
            Server::spawn_and_read(name, command, |line| line.strip_prefix("Listening on "));
        let _ = fs::remove_dir_all(folder); // it runs without
        server.unwrap_or_else(|error| panic!("{error}"))
    }

    fn spawn_and_read(
        program: &str,
        mut command: Command,
        address: fn(&str) -> Option<&str>,
    ) -> Result<Server, String> {
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = spawn(&mut command);
        let mut child = child.map_err(|error| format!("start {program}: {error}"))?;

        let output = Collected::of(child.stdout.take());
        let errors = Collected::of(child.stderr.take());
        let mut server = Server {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            child,
            output,
            errors,
            _copy: None,
            _room: None,
        };
        let line = wait_for("the server's first line", || {
            let output = server.output();
            let line = output.split_once('\n').map(|(line, _)| line.to_string());
            line.or_else(|| (!server.is_running()).then(String::new))
        });
        if line.is_empty() {
            // Its children, if it has any, may hold the pipe open.
            soon(|| Arc::strong_count(&server.errors) == 1);
            let why = server.errors();
            return Err(format!("{program} ended before it served: {why}"));
        }
        server.address = address(&line)
            .and_then(|address| address.parse().ok())
            .ok_or_else(|| format!("{program} began with `{line}`"))?;
        Ok(server)
    }

    /// Starts a program of the course, or a path to one, on a free port; see
    /// [`Setup::new`].
    ///
    /// # Panics
    ///
    /// When it does not print its address as its first line.
    pub fn start(program: &str) -> Server {
        Server::try_start(program, "127.0.0.1:0").unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts a program of the course, or a path to one, on `address`; see
    /// [`Setup::new`].
    ///
    /// # Errors
    ///
    /// A program that ends, or prints something else, before it serves.
    pub fn try_start(program: &str, address: &str) -> Result<Server, String> {
        Setup::new(program).address(address).start()
    }

    /// Connects to it.
    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// What it has printed so far; bytes that are not UTF-8 are replaced. What it has
    /// yet to print is missing: see [`Server::output_when_idle`].
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Has the pipe of its output hold a megabyte, where the system can do that.
    pub fn widen_output(&self) -> bool {
        #[cfg(target_os = "linux")]
        return fcntl(&self.output.pipe, FcntlArg::F_SETPIPE_SZ(1 << 20)).is_ok();
        #[cfg(not(target_os = "linux"))]
        false
    }

    /// Whether it prints `text` before it has nothing to do any more, if it has not yet.
    pub fn prints(&self, text: &str) -> bool {
        let printed = || self.output().contains(text);
        printed() || {
            self.comes_to_rest();
            printed()
        }
    }

    /// Waits until it has printed `text`.
    pub fn wait_for_output(&self, text: &str) {
        wait_for(&format!("{text:?} in the server's output"), || {
            self.output().contains(text).then_some(())
        });
    }

    /// What it has printed of errors so far: see [`Server::errors_when_idle`].
    pub fn errors(&self) -> String {
        self.errors.text()
    }

    /// What it has printed when it and all that it has started have nothing to do any
    /// more. What is not in there was not printed.
    pub fn output_when_idle(&self) -> String {
        self.wait_until_idle();
        self.output()
    }

    /// The same for what it has printed of errors.
    pub fn errors_when_idle(&self) -> String {
        self.wait_until_idle();
        self.errors()
    }

    /// Whether the process is still there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until it has ended by itself, and gives its exit code (none after a
    /// signal) and its errors.
    pub fn wait_for_end(&mut self) -> (Option<i32>, String) {
        let status = wait_for("the end of the server", || {
            self.child.try_wait().expect("it is our child")
        });
        // Its children may hold the pipe open, but what it wrote is there.
        let errors = wait_for("its errors", || {
            let errors = self.errors();
            let complains = status.code().is_some_and(|code| code != 0);
            (errors.ends_with('\n') || !complains).then_some(errors)
        });
        (status.code(), errors)
    }

    /// The number of its process, and of its group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its children, also those that have ended and were not reaped.
    pub fn children(&self) -> Vec<Process> {
        processes::children(self.pid())
    }

    /// How many of its children are zombies.
    pub fn zombies(&self) -> usize {
        let children = self.children();
        children.iter().filter(|child| child.state == 'Z').count()
    }

    /// Waits until it has that many children, zombies among them.
    pub fn wait_for_children(&self, number: usize) -> Vec<Process> {
        wait_for(&format!("{number} children"), || {
            let children = self.children();
            (children.len() == number).then_some(children)
        })
    }

    /// Waits until it has that many zombies.
    pub fn wait_for_zombies(&self, number: usize) {
        wait_for(&format!("{number} zombies"), || {
            (self.zombies() == number).then_some(())
        });
    }

    /// How many descriptors it holds.
    pub fn descriptors(&self) -> usize {
        processes::descriptors(self.pid()).expect("it is our child, and there")
    }

    /// Sends a signal to the server alone.
    pub fn signal(&self, signal: Signal) {
        let sent = kill(Pid::from_raw(self.pid() as i32), signal);
        sent.expect("it is our child, and not reaped");
    }

    /// Sends a signal to the server and to all that it has started, as Ctrl-C
    /// does.
    pub fn signal_group(&self, signal: Signal) {
        let sent = killpg(Pid::from_raw(self.pid() as i32), signal);
        sent.expect("the group is there");
    }

    /// Waits until it is in that state: see [`Process::state`].
    pub fn wait_for_state(&self, state: char) {
        wait_for_state(self.pid(), state);
    }
}

/// Waits until a process is in that state: see [`Process::state`].
pub fn wait_for_state(pid: u32, state: char) {
    wait_for(&format!("state {state} of process {pid}"), || {
        (processes::state(pid) == Some(state)).then_some(())
    });
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.child.id() as i32);
        let _ = killpg(group, Signal::SIGKILL);
        watcher::ended(self.child.id());
        let _ = self.child.wait();
    }
}

/// A copy of a program for a user who may not read the original. Dropping it
/// removes it.
struct Copy {
    folder: PathBuf,
    file: PathBuf,
    /// No other copy that is in use has it.
    number: u32,
}

impl Copy {
    fn of(program: &Path) -> Copy {
        // A folder that is there already belongs to another test.
        // Not the last one's again: what ran there may still be ending.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let first = NEXT.fetch_add(1, Ordering::Relaxed);
        let (folder, number) = (0..500)
            .map(|step| (first + step) % 500)
            .map(|number| {
                (
                    std::env::temp_dir().join(format!("course-{number}")),
                    number,
                )
            })
            .find(|(folder, _)| fs::create_dir(folder).is_ok())
            .expect("a folder can be made where temporary files go");
        NEXT.fetch_max(number + 1, Ordering::Relaxed); // others may have left theirs
        let file = folder.join(program.file_name().unwrap_or_default());
        fs::copy(program, &file).expect("there is room for a copy");
        for path in [&folder, &file] {
            let readable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(path, readable).expect("it is ours");
        }
        Copy {
            folder,
            file,
            number,
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Limits what the command, once started, may have of something. The kernel's numbers:
/// nix does not know all of them on macOS.
fn limit(command: &mut Command, resource: i32, most: u64) {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: between fork and exec the closure calls setrlimit alone, which
    // makes a system call and nothing else, and reads one rlimit, which is there.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(resource as _, &limit) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

impl Collected {
    /// Begins to read a pipe.
    fn of(pipe: Option<impl Into<OwnedFd>>) -> Arc<Collected> {
        let pipe = pipe.expect("the command was given a pipe");
        let pipe = File::from(pipe.into());
        let set = fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        set.expect("every pipe takes this flag");
        let collected = Arc::new(Collected {
            pipe,
            read: Mutex::default(),
        });
        let reader = Arc::clone(&collected);
        thread::spawn(move || {
            while !reader.is_at_end() {
                let pipe = PollFd::new(reader.pipe.as_fd(), PollFlags::POLLIN);
                let _ = poll(&mut [pipe], PollTimeout::NONE);
            }
        });
        collected
    }

    /// Reads what is in the pipe now. Nobody else reads meanwhile, so whatever was
    /// written before this call is there after it.
    fn up_to_now(&self) -> MutexGuard<'_, Read> {
        let mut read = self.read.lock().expect("no holder of the lock panics");
        let mut chunk = [0; 4096];
        while !read.at_end {
            match read_once(&self.pipe, &mut chunk) {
                Ok(number @ 1..) => read.bytes.extend_from_slice(&chunk[..number]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Ok(0) | Err(_) => read.at_end = true,
            }
        }
        read
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.up_to_now().bytes).into_owned()
    }

    /// Whether nobody can write any more.
    fn is_at_end(&self) -> bool {
        self.up_to_now().at_end
    }
}

/// A process that ends when this is dropped, and with it all that it has started.
pub struct Group(pub Child);

impl Group {
    /// Starts a command in a process group of its own, which ends with these tests.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> Group {
        let child = spawn(command);
        Group(child.unwrap_or_else(|error| panic!("start {command:?}: {error}")))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.0.id() as i32), Signal::SIGKILL);
        watcher::ended(self.0.id());
        let _ = self.0.wait();
    }
}

/// Starts a command in a process group of its own, which ends with these tests.
///
/// Without a closure before `exec`, so that the standard library can use `posix_spawn`,
/// which copies nothing: a fork of these tests, who grow large and have many threads,
/// takes longer than what most of these commands do.
fn spawn(command: &mut Command) -> std::io::Result<Child> {
    keep_inherited_descriptors();
    watcher::let_signals_be_heard();
    command.process_group(0);
    // ETXTBSY: another thread forked while the copy was open for writing, and its
    // child has not called exec yet.
    let child = wait_for("the end of the copying", || match command.spawn() {
        Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
        child => Some(child),
    })?;
    watcher::began(child.id());
    Ok(child)
}

/// Keeps a server to that many processes beside the others of its user, of which some end
/// meanwhile: hundreds, when many tests do. For as long as what it returns is kept.
#[cfg(target_os = "linux")]
fn keep_limited(pid: u32, most: u64) -> Arc<()> {
    let kept = Arc::new(());
    let still = Arc::downgrade(&kept);
    thread::spawn(move || {
        while still.strong_count() > 0 {
            let ours = processes::group(pid).len() as u64;
            let others = processes::threads_of_this_user().saturating_sub(ours);
            set_limit(pid, others + most);
            thread::sleep(std::time::Duration::from_millis(100));
        }
    });
    kept
}

/// Whether a user namespace may be made here, in which the processes outside do not count:
/// this one has many threads, and two processes are allowed there.
fn counts_by_namespace() -> bool {
    static COUNTS: LazyLock<bool> = LazyLock::new(|| {
        let mut two = Command::new("unshare");
        two.args(["--user", "prlimit", "--nproc=2", "timeout", "5", "true"]);
        two.stdout(Stdio::null()).stderr(Stdio::null());
        two.status().is_ok_and(|status| status.success())
    });
    *COUNTS
}

/// Sets the limit of processes of another process, at most as high as it has been.
#[cfg(target_os = "linux")]
fn set_limit(pid: u32, most: u64) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let (pid, resource) = (pid as i32, libc::RLIMIT_NPROC);
    // SAFETY: each pointer is null or leads to `limit`, which outlives the calls.
    unsafe {
        if libc::prlimit(pid, resource, std::ptr::null(), &mut limit) == 0 {
            limit.rlim_cur = most.min(limit.rlim_max);
            libc::prlimit(pid, resource, &limit, std::ptr::null_mut());
        }
    }
}

/// There is no such call here: the limit stays where it was.
#[cfg(not(target_os = "linux"))]
fn keep_limited(_: u32, _: u64) -> Arc<()> {
    Arc::new(())
}

/// Puts a command into a process group of its own, gives back their default to signals
/// that it would ignore if whoever started the tests does (SIGXFSZ is what Python ignores),
/// and, where the system can, ends it when the test that started it dies.
pub fn end_with_parent(command: &mut Command) {
    command.process_group(0);
    // SAFETY: between fork and exec the closure calls signal and prctl alone, which are
    // async-signal-safe and allocate nothing. No handler is installed.
    unsafe {
        command.pre_exec(|| {
            for ignored in IGNORED.into_iter().chain([Signal::SIGXFSZ]) {
                signal(ignored, SigHandler::SigDfl)?;
            }
            #[cfg(target_os = "linux")]
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            Ok(())
        });
    }
}

/// Runs a command to its end, within [`LIMIT`], and gives its exit code (none
/// after a signal), output and errors.
pub fn run_to_end(command: &mut Command) -> (Option<i32>, String, String) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = spawn(command).expect("the command can be started");
    let output = Collected::of(child.stdout.take());
    let errors = Collected::of(child.stderr.take());
    let group = Pid::from_raw(child.id() as i32);
    let start = Instant::now();
    let mut pause = Pause::default();
    while matches!(child.try_wait(), Ok(None)) {
        if start.elapsed() > LIMIT {
            let _ = killpg(group, Signal::SIGKILL);
            watcher::ended(child.id());
            let _ = child.wait();
            panic!("{command:?} did not end within {LIMIT:?}");
        }
        pause.wait();
    }
    let status = child.wait().expect("it has ended");
    watcher::ended(child.id());
    // The pipes are at their end when their other ends are closed.
    let whole = |collected: &Collected| {
        wait_for("the end of the output", || {
            collected.is_at_end().then_some(())
        });
        collected.text()
    };
    (status.code(), whole(&output), whole(&errors))
}
