//! A server of the course, started on a free port of the loopback interface.

use crate::client::Client;
use crate::{programs, wait_for, LIMIT, SILENCE};
use nix::sys::signal::{killpg, Signal};
use nix::unistd::Pid;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A running server. Dropping it ends it, and every process it has started.
pub struct Server {
    /// Where it really serves, from its first line of output.
    pub address: SocketAddr,
    child: Child,
    output: Collected,
    errors: Collected,
}

/// What a process has written into a pipe so far.
type Collected = Arc<Mutex<Vec<u8>>>;

impl Server {
    /// Starts a program of the course, or a path to one, on a free port.
    ///
    /// # Panics
    ///
    /// When it does not print its address as its first line.
    pub fn start(program: &str) -> Server {
        Server::try_start(program, "127.0.0.1:0").unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts a program of the course, or a path to one, on `address`.
    ///
    /// # Errors
    ///
    /// A program that ends, or prints something else, before it serves.
    pub fn try_start(program: &str, address: &str) -> Result<Server, String> {
        let mut command = Command::new(programs::executable(program));
        command.arg(address);
        Server::spawn(program, command)
    }

    /// Starts a command that is a server, by this name.
    ///
    /// # Errors
    ///
    /// A program that ends, or prints something else, before it serves.
    pub fn spawn(program: &str, mut command: Command) -> Result<Server, String> {
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        end_with_parent(&mut command);
        let child = command.spawn();
        let mut child = child.map_err(|error| format!("start {program}: {error}"))?;

        let output = collect(child.stdout.take());
        let errors = collect(child.stderr.take());
        let mut server = Server {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            child,
            output,
            errors,
        };
        let line = wait_for("the server's first line", || {
            let output = server.output();
            let line = output.split_once('\n').map(|(line, _)| line.to_string());
            line.or_else(|| (!server.is_running()).then(String::new))
        });
        if line.is_empty() {
            let why = server.errors();
            return Err(format!("{program} ended before it served: {why}"));
        }
        server.address = line
            .strip_prefix("Serving HTTP on http://")
            .and_then(|rest| rest.strip_suffix("/ ..."))
            .and_then(|address| address.parse().ok())
            .ok_or_else(|| format!("{program} began with `{line}`"))?;
        Ok(server)
    }

    /// Connects to it.
    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// What it has printed so far; bytes that are not UTF-8 are replaced.
    pub fn output(&self) -> String {
        text(&self.output)
    }

    /// Whether it prints `text` soon, if it has not yet.
    pub fn prints(&self, text: &str) -> bool {
        let start = Instant::now();
        while !self.output().contains(text) {
            if start.elapsed() > SILENCE {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Waits until it has printed `text`.
    pub fn wait_for_output(&self, text: &str) {
        wait_for(&format!("{text:?} in the server's output"), || {
            self.output().contains(text).then_some(())
        });
    }

    /// What it has printed of errors so far.
    pub fn errors(&self) -> String {
        text(&self.errors)
    }

    /// Whether the process is still there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.child.id() as i32);
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Reads a pipe to its end, beside everything else.
fn collect(pipe: Option<impl Read + Send + 'static>) -> Collected {
    let collected = Collected::default();
    let sink = Arc::clone(&collected);
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        let Some(mut pipe) = pipe else { return };
        while let Ok(read @ 1..) = pipe.read(&mut chunk) {
            if let Ok(mut sink) = sink.lock() {
                sink.extend_from_slice(&chunk[..read]);
            }
        }
    });
    collected
}

fn text(collected: &Collected) -> String {
    let bytes = collected.lock().expect("no holder of the lock panics");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Puts a command into a process group of its own, and, where the system can,
/// ends it when the test that started it dies.
pub fn end_with_parent(command: &mut Command) {
    command.process_group(0);
    #[cfg(target_os = "linux")]
    // SAFETY: between fork and exec the closure calls prctl alone, which is
    // async-signal-safe and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            Ok(())
        });
    }
}

/// Runs a command to its end, within [`LIMIT`], and gives its exit code (none
/// after a signal), output and errors.
pub fn run_to_end(command: &mut Command) -> (Option<i32>, String, String) {
    end_with_parent(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command can be started");
    let output = collect(child.stdout.take());
    let errors = collect(child.stderr.take());
    let group = Pid::from_raw(child.id() as i32);
    let start = Instant::now();
    while matches!(child.try_wait(), Ok(None)) {
        if start.elapsed() > LIMIT {
            let _ = killpg(group, Signal::SIGKILL);
            let _ = child.wait();
            panic!("{command:?} did not end within {LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
    let status = child.wait().expect("it has ended");
    // The pipes are at their end when their other ends are closed.
    let whole = |collected: &Collected| {
        wait_for("the end of the output", || {
            (Arc::strong_count(collected) == 1).then_some(())
        });
        text(collected)
    };
    (status.code(), whole(&output), whole(&errors))
}
