//! works_again whose master waits for the first of its workers, and so for one alone.
//!
//!     cargo run --bin waits_for_the_first -- wsgiapp:app

use clap::Parser;
use gateway::connection::{print_request_of, Connection};
use gateway::http::Limits;
use gateway::log::{complain, print};
use gateway::options::{self, cannot_bind};
use gateway::{respond, Application};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{signal, SigHandler, SigSet, Signal};
use nix::sys::socket::{listen, Backlog};
use nix::unistd::{fork, getpid, getppid, ForkResult, Pid};
use signal_hook::low_level::pipe;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

const BACKLOG: i32 = libc::SOMAXCONN; // connections that may wait, if the kernel allows as many
const SOFTWARE: &str = "webserver4a"; // what the answers name as their server
const FIRST_PAUSE: Duration = Duration::from_millis(100); // who lives no longer has failed
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// webserver3h whose children stay
#[derive(Parser)]
#[command(name = SOFTWARE, version)]
struct Options {
    /// The application, module:callable: wsgiapp:app is one
    application: String,
    /// Where to listen
    #[arg(default_value = "127.0.0.1:8888")]
    address: String,
    /// How many workers there are
    #[arg(long, value_name = "N", default_value = "2")]
    workers: NonZeroUsize,
    /// Asks the application for PATH once before the first fork
    #[arg(long, value_name = "PATH")]
    warm: Option<String>,
    #[command(flatten)]
    limits: Limits,
}

fn main() -> ExitCode {
    options::main(run)
}

fn run(options: Options) -> gateway::Result<()> {
    let application = apps::load(&options.application)?;
    if let Some(path) = &options.warm {
        let status = apps::warm(&application, path)?;
        complain(format!("warmed up with GET {path}: {status}"));
    }
    Ok(serve_forever(&options, &application)?)
}

/// The master: keeps the workers at their number.
fn serve_forever(options: &Options, application: &dyn Application) -> io::Result<()> {
    let address = options.address.as_str();
    let listener = TcpListener::bind(address).map_err(|error| cannot_bind(address, error))?;
    // std has called listen with 128; a second listen replaces the backlog.
    let backlog = Backlog::new(BACKLOG).and_then(|backlog| listen(&listener, backlog));
    backlog.map_err(|errno| failed("listen", errno))?;

    let address = listener.local_addr()?;
    let (mut wakes, writer) = UnixStream::pair()?;
    wakes.set_nonblocking(true)?;
    pipe::register(Signal::SIGCHLD as i32, writer)?;
    // The mask is inherited: whoever started us may have blocked it.
    let unblocked = SigSet::from(Signal::SIGCHLD).thread_unblock();
    unblocked.map_err(|errno| failed("pthread_sigmask", errno))?;
    let process = getpid();
    print(format!("Serving HTTP on http://{address}/ ...\nprocess {process}\n").as_bytes());

    let mut workers: Vec<Worker> = Vec::new();
    let mut backoff = Backoff::default();
    loop {
        if reap(&mut workers) {
            backoff.failed("a worker has ended at once");
        }
        while workers.len() < options.workers.get() && !backoff.is_on() {
            let still = apps::before_fork();
            // SAFETY: the child has this thread alone. What another may hold here, of the
            // locks that the child takes, this one holds: see before_fork.
            match unsafe { fork() } {
                Ok(ForkResult::Child) => {
                    still.after_fork_in_child();
                    // SAFETY: no function is installed. There is such a signal.
                    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
                    let worked = work(&listener, |connection| {
                        handle_request(connection, address, &options.limits, application)
                    });
                    if let Err(error) = &worked {
                        complain(format!("worker pid {}: {error}", getpid()));
                    }
                    apps::finish();
                    // SAFETY: _exit only ends the process: no destructor and no atexit hook runs.
                    unsafe { libc::_exit(worked.is_err().into()) }
                }
                Ok(ForkResult::Parent { child }) => {
                    still.after_fork_in_parent();
                    print(format!("worker pid {child}\n").as_bytes());
                    workers.push(Worker {
                        pid: child,
                        began: Instant::now(),
                    });
                }
                Err(errno) => backoff.failed(failed("fork", errno)),
            }
        }
        let until = backoff.until.filter(|time| !is_past(*time));
        wait([wakes.as_fd()], until)?;
        while matches!(wakes.read(&mut [0; 64]), Ok(1..)) {}
    }
}

/// A worker, as its master knows it.
struct Worker {
    pid: Pid,
    began: Instant,
}

/// Reaps the workers that have ended, and says whether one of them has failed.
fn reap(workers: &mut Vec<Worker>) -> bool {
    let mut failed = false;
    workers.retain(|worker| {
        let mut status = 0;
        // By its number: other children may be the application's.
        // SAFETY: waitpid writes into `status`, and no further.
        let reaped = unsafe { libc::waitpid(worker.pid.as_raw(), &mut status, 0) };
        let status = ExitStatus::from_raw(status);
        if reaped == 0 {
            return true;
        }
        complain(format!("worker pid {}: {status}", worker.pid));
        failed |= worker.began.elapsed() < FIRST_PAUSE;
        false
    });
    failed
}

/// The pause before the next worker, where they fail to start or end at once.
#[derive(Default)]
struct Backoff {
    pause: Duration,
    until: Option<Instant>,
}

impl Backoff {
    fn is_on(&self) -> bool {
        self.until.is_some_and(|until| !is_past(until))
    }

    /// Begins a pause, of twice the length of the last one unless that is long over.
    fn failed(&mut self, why: impl std::fmt::Display) {
        if self.is_on() {
            return;
        }
        let long_over = |until| is_past(until + LONGEST_PAUSE);
        if self.until.is_some_and(long_over) {
            self.pause = Duration::ZERO;
        }
        self.pause = (2 * self.pause).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.until = Some(Instant::now() + self.pause);
        complain(format!("{why}; the next one starts in {:?}", self.pause));
    }
}

/// A worker: answers one client after the other.
fn work(
    listener: &TcpListener,
    answer: impl Fn(Connection) -> gateway::Result<()>,
) -> io::Result<()> {
    loop {
        let (connection, peer) = listener.accept()?;
        if let Err(error) = answer(Connection::new(connection, peer)) {
            complain(format!("request: {error}"));
        }
    }
}

/// Waits for something to read from one of them, or its end, or for the time.
fn wait<const N: usize>(files: [BorrowedFd; N], until: Option<Instant>) -> io::Result<[bool; N]> {
    let mut files = files.map(|file| PollFd::new(file, PollFlags::POLLIN));
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let timeout = left.map(|left| left + Duration::from_millis(1)); // it is cut to milliseconds
    let timeout = timeout.map_or(Ok(PollTimeout::NONE), PollTimeout::try_from);
    match poll(&mut files, timeout.unwrap_or(PollTimeout::MAX)) {
        Ok(_) => Ok(files.map(|file| file.any().unwrap_or(true))),
        // poll is not restarted, not even with SA_RESTART. The byte has been written.
        Err(Errno::EINTR) => Ok([false; N]),
        Err(errno) => Err(failed("poll", errno)),
    }
}

fn handle_request(
    connection: Connection,
    server: SocketAddr,
    limits: &Limits,
    application: &dyn Application,
) -> gateway::Result<()> {
    let log = |head: &[u8]| {
        let pids = format!("worker pid {}, master pid {}\n", getpid(), getppid());
        print_request_of(&pids, head);
    };
    connection.answer(limits, log, |request, output| {
        let mut environ = request.environ(server, SOFTWARE);
        environ.multiprocess = true;
        respond(application, environ, output)
    })
}

fn is_past(time: Instant) -> bool {
    time <= Instant::now()
}

fn failed(call: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{call}: {errno}"))
}
