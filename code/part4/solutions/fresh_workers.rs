//! webserver4a, whose HUP has a new worker take the place of each.
//!
//!     cargo run --bin fresh_workers -- wsgiapp:app

use clap::Parser;
use gateway::connection::{accept, print_request_of, Connection};
use gateway::http::{duration, Limits};
use gateway::log::{complain, print};
use gateway::options::{self, cannot_bind};
use gateway::{respond, Application};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::Signal::{
    self, SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU,
};
use nix::sys::signal::{kill, raise, signal, SigHandler, SigSet};
use nix::sys::socket::{listen, Backlog};
use nix::unistd::{fork, getpid, getppid, ForkResult, Pid};
use signal_hook::low_level::{emulate_default_handler, pipe, register, unregister};
use signal_hook::{flag, SigId};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

const BACKLOG: i32 = libc::SOMAXCONN; // connections that may wait, if the kernel allows as many
const SOFTWARE: &str = "webserver4a"; // what the answers name as their server
const STOP: [Signal; 3] = [SIGINT, SIGTERM, SIGQUIT];
const SIGNALS: [Signal; 7] = [SIGINT, SIGTERM, SIGQUIT, SIGCHLD, SIGTTIN, SIGTTOU, SIGHUP];
const FIRST_PAUSE: Duration = Duration::from_millis(100); // who lives no longer has failed
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// How long a worker that is told to stop may take for its last answer
    #[arg(long, default_value = "30s", value_parser = duration)]
    graceful_timeout: Duration,
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
    let told = serve_forever(&options, &application);
    default_signals(); // from here on, the next one ends us at once
    apps::finish();
    end_by(told?)
}

/// The master: keeps the workers at their number until a signal tells it to end, and
/// gives that signal when they have ended.
fn serve_forever(options: &Options, application: &dyn Application) -> io::Result<Signal> {
    let address = options.address.as_str();
    let listener = TcpListener::bind(address).map_err(|error| cannot_bind(address, error))?;
    // std has called listen with 128; a second listen replaces the backlog.
    let backlog = Backlog::new(BACKLOG).and_then(|backlog| listen(&listener, backlog));
    backlog.map_err(|errno| failed("listen", errno))?;

    let address = listener.local_addr()?;
    let came = SIGNALS.map(|signal| (signal, Arc::default()));
    let (wakes, handlers) = record(&came)?;
    // The mask is inherited: whoever started us may have blocked them.
    let unblocked = SigSet::from_iter(SIGNALS).thread_unblock();
    unblocked.map_err(|errno| failed("pthread_sigmask", errno))?;
    // Non-blocking: the connection that poll reported may be another worker's by now.
    listener.set_nonblocking(true)?;
    let process = getpid();
    print(format!("Serving HTTP on http://{address}/ ...\nprocess {process}\n").as_bytes());

    // Nothing is written into it. The workers see its end when the master has gone.
    let (orphaned, alive) = UnixStream::pair()?;
    let mut told = None; // by which signal to end
    let mut wanted = options.workers.get();
    let mut workers: Vec<Worker> = Vec::new();
    let mut backoff = Backoff::default();
    loop {
        let mut patience = options.graceful_timeout.min(A_DAY);
        for signal in STOP.into_iter().filter(|signal| has_come(&came, *signal)) {
            if told.is_some() || signal == SIGQUIT {
                patience = Duration::ZERO; // who asks twice has waited long enough
                workers.iter_mut().for_each(|each| each.stop(patience));
            }
            told = told.or(Some(signal));
            wanted = 0;
        }
        if told.is_none() {
            wanted += usize::from(has_come(&came, SIGTTIN));
            wanted = (wanted - usize::from(has_come(&came, SIGTTOU))).max(1);
        }
        let too_many = match has_come(&came, SIGHUP) {
            true => workers.len(), // each of them is to be replaced
            false => staying(&workers).saturating_sub(wanted), // the oldest go first
        };
        let stay = workers.iter_mut().filter(|one| one.deadline.is_none());
        stay.take(too_many).for_each(|each| each.stop(patience));

        // Only now: Ctrl-C has told the workers too, and they may have been faster.
        if reap(&mut workers) {
            backoff.failed("a worker has ended at once");
        }
        while staying(&workers) < wanted && !backoff.is_on() {
            let still = apps::before_fork();
            // SAFETY: the child has this thread alone. What another may hold here, of the
            // locks that the child takes, this one holds: see before_fork.
            match unsafe { fork() } {
                Ok(ForkResult::Child) => {
                    still.after_fork_in_child();
                    drop(alive); // the worker's copy: it would never see the end
                    let worked = record(&came).and_then(|(wakes, _)| {
                        handlers.into_iter().for_each(|old| _ = unregister(old));
                        work(&listener, &came, [&wakes, &orphaned], |connection| {
                            handle_request(connection, address, &options.limits, application)
                        })
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
                        deadline: None,
                    });
                }
                Err(errno) => backoff.failed(failed("fork", errno)),
            }
        }
        let is_late = |worker: &&Worker| worker.deadline.is_some_and(is_past);
        for late in workers.iter().filter(is_late) {
            let _ = kill(late.pid, SIGKILL);
        }
        if let (Some(signal), true) = (told, workers.is_empty()) {
            return Ok(signal);
        }

        let times = workers.iter().filter_map(|worker| worker.deadline);
        let times = times.chain(backoff.until).filter(|time| !is_past(*time));
        wait([wakes.as_fd()], times.min())?;
        while matches!((&wakes).read(&mut [0; 64]), Ok(1..)) {}
    }
}

/// Has the handlers of this process record each signal, and wake it by a byte.
fn record(came: &[(Signal, Arc<AtomicBool>)]) -> io::Result<(UnixStream, Vec<SigId>)> {
    let (wakes, writer) = UnixStream::pair()?;
    wakes.set_nonblocking(true)?;
    let (mut handlers, home) = (Vec::new(), getpid());
    for (signal, flag) in came {
        let signal = *signal as i32;
        // A child of the application's has them, too, and is not to record but to end.
        let elsewhere = move || _ = (getpid() != home).then(|| emulate_default_handler(signal));
        // SAFETY: both functions may be called in a handler.
        handlers.push(unsafe { register(signal, elsewhere) }?);
        handlers.push(flag::register(signal, Arc::clone(flag))?);
        handlers.push(pipe::register(signal, writer.try_clone()?)?);
    }
    Ok((wakes, handlers))
}

/// Whether the signal has come since this was last asked.
fn has_come(came: &[(Signal, Arc<AtomicBool>)], signal: Signal) -> bool {
    let mut flags = came.iter();
    flags.any(|(each, flag)| *each == signal && flag.swap(false, Ordering::Relaxed))
}

/// A worker, as its master knows it.
struct Worker {
    pid: Pid,
    began: Instant,
    deadline: Option<Instant>, // by when it must have ended, if it was told to
}

impl Worker {
    fn stop(&mut self, patience: Duration) {
        let _ = kill(self.pid, SIGTERM); // it is ours until it is reaped
        self.deadline = Some(Instant::now() + patience);
    }
}

fn staying(workers: &[Worker]) -> usize {
    workers.iter().filter(|one| one.deadline.is_none()).count()
}

/// Reaps the workers that have ended, and says whether one of them has failed.
fn reap(workers: &mut Vec<Worker>) -> bool {
    let mut failed = false;
    workers.retain(|worker| {
        let mut status = 0;
        // By its number: other children may be the application's.
        // SAFETY: waitpid writes into `status`, and no further.
        let reaped = unsafe { libc::waitpid(worker.pid.as_raw(), &mut status, libc::WNOHANG) };
        let status = ExitStatus::from_raw(status);
        if reaped == 0 {
            return true;
        }
        if worker.deadline.is_none() || !status.success() {
            complain(format!("worker pid {}: {status}", worker.pid));
        }
        failed |= worker.deadline.is_none() && worker.began.elapsed() < FIRST_PAUSE;
        false
    });
    if getpid().as_raw() == 1 {
        // Process 1 is given the children of all that have ended before them.
        // SAFETY: without a place for the status waitpid writes nothing.
        while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
    }
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

/// A worker: answers one client after the other until it is told to stop.
fn work(
    listener: &TcpListener,
    came: &[(Signal, Arc<AtomicBool>)],
    [mut wakes, orphaned]: [&UnixStream; 2],
    answer: impl Fn(Connection) -> gateway::Result<()>,
) -> io::Result<()> {
    while !STOP.into_iter().any(|signal| has_come(came, signal)) {
        let [_, woken, orphaned] = wait([listener.as_fd(), wakes.as_fd(), orphaned.as_fd()], None)?;
        if orphaned {
            return Err(io::Error::other("the master has gone"));
        }
        while woken && matches!(wakes.read(&mut [0; 64]), Ok(1..)) {}
        let Some((connection, peer)) = accept(listener)? else {
            continue; // another worker was faster
        };
        if let Err(error) = answer(Connection::new(connection, peer)) {
            complain(format!("request: {error}"));
        }
    }
    Ok(())
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

/// Lets each of the signals do again what it does by default.
fn default_signals() {
    for each in SIGNALS {
        // SAFETY: no function is installed. There are such signals.
        let _ = unsafe { signal(each, SigHandler::SigDfl) };
    }
}

/// Ends this process as the signal would have ended it by default.
fn end_by(told: Signal) -> ! {
    if told != SIGQUIT {
        // SAFETY: no function is installed.
        let _ = unsafe { signal(told, SigHandler::SigDfl) }.and_then(|_| raise(told));
    }
    // Still here: for process 1 no signal has a default, and QUIT's would leave a core file.
    std::process::exit(128 + told as i32)
}

fn is_past(time: Instant) -> bool {
    time <= Instant::now()
}

fn failed(call: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{call}: {errno}"))
}
