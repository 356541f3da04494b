//! webserver3h: webserver3g_signal_hook that runs any application.
//!
//!     cargo run --bin webserver3h -- module:callable [ADDRESS] [--warm PATH]
//!
//! Many clients and any application: a child for each request, and in the child
//! what webserver2 does. Send 128 clients at once, and a slow one; nobody waits for
//! another, and no zombie stays. With --warm the application is asked for PATH once
//! before the first fork. Ctrl-C ends it.

use clap::Parser;
use gateway::connection::{print_request, print_response, Connection};
use gateway::http::{Limits, Refused};
use gateway::log::{complain, complain_of_panics, outlive_file_limit, print};
use gateway::{options, refuse, respond, Application};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{raise, signal, SigHandler, SigSet, Signal};
use nix::sys::socket::{self, listen, Backlog, SockFlag};
use nix::unistd::{fork, getpid, getppid, ForkResult};
use signal_hook::flag::register_usize;
use signal_hook::low_level::pipe;
use std::collections::HashSet;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

const BACKLOG: i32 = libc::SOMAXCONN; // connections that may wait, if the kernel allows as many
const SOFTWARE: &str = "webserver3h"; // what the answers name as their server
const SIGNALS: [Signal; 3] = [Signal::SIGCHLD, Signal::SIGINT, Signal::SIGTERM];

/// Errors of the new connection, which accept hands on: see accept(2).
const LOST: &[Errno] = &[
    Errno::ECONNABORTED, // the client left while it was still waiting
    Errno::EPERM,        // a firewall has forbidden it
    Errno::EPROTO,
    Errno::ENOPROTOOPT,
    Errno::EOPNOTSUPP,
    Errno::ENETDOWN,
    Errno::ENETUNREACH,
    Errno::EHOSTDOWN,
    Errno::EHOSTUNREACH,
    Errno::ETIMEDOUT,
    #[cfg(target_os = "linux")]
    Errno::ENONET,
];

/// webserver3g_signal_hook that runs any application
#[derive(Parser)]
#[command(name = SOFTWARE, version)]
struct Options {
    /// The application, module:callable: wsgiapp:app is one
    application: String,
    /// Where to listen
    #[arg(default_value = "127.0.0.1:8888")]
    address: String,
    /// Asks the application for PATH once before the first fork
    #[arg(long, value_name = "PATH")]
    warm: Option<String>,
    #[command(flatten)]
    limits: Limits,
}

fn main() -> ExitCode {
    complain_of_panics();
    outlive_file_limit();
    match run(options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> gateway::Result<()> {
    // ANCHOR: warm
    let application = apps::load(&options.application)?;
    if let Some(path) = &options.warm {
        let status = apps::warm(&application, path)?;
        complain(format!("warmed up with GET {path}: {status}"));
    }
    // ANCHOR_END: warm
    let told = serve_forever(&options, &application);
    default_signals(); // from here on, the next one ends us at once
    apps::finish();
    end_by(told?)
}

/// Serves until a signal tells it to end, and gives that signal.
fn serve_forever(options: &Options, application: &dyn Application) -> io::Result<Signal> {
    let address = options.address.as_str();
    let listener = TcpListener::bind(address).map_err(|error| {
        let why = match address.starts_with(':') {
            true => "no host before the port".to_string(),
            false => error.to_string(),
        };
        let hint = "another address can be the last argument";
        io::Error::new(error.kind(), format!("bind {address}: {why}; {hint}"))
    })?;
    // std has called listen with 128; a second listen replaces the backlog.
    let backlog = Backlog::new(BACKLOG).and_then(|backlog| listen(&listener, backlog));
    backlog.map_err(|errno| failed("listen", errno))?;

    let address = listener.local_addr()?;
    // ANCHOR: signals
    let (mut wakes, writer) = UnixStream::pair()?;
    wakes.set_nonblocking(true)?;
    let told = Arc::new(AtomicUsize::new(0)); // by which signal to end
    for signal in SIGNALS {
        if signal != Signal::SIGCHLD {
            register_usize(signal as i32, Arc::clone(&told), signal as usize)?;
        }
        pipe::register(signal as i32, writer.try_clone()?)?;
    }
    // The mask is inherited: whoever started us may have blocked them.
    let unblocked = SigSet::from_iter(SIGNALS).thread_unblock();
    unblocked.map_err(|errno| failed("pthread_sigmask", errno))?;
    // ANCHOR_END: signals
    // Non-blocking: the connection that poll reported may be gone before accept.
    listener.set_nonblocking(true)?;
    let process = getpid();
    print(format!("Serving HTTP on http://{address}/ ...\nprocess {process}\n").as_bytes());

    let mut children = HashSet::new(); // that have not been reaped
    loop {
        wait_for_either(&listener, &wakes)?;
        while matches!(wakes.read(&mut [0; 64]), Ok(1..)) {}
        reap(&mut children);
        if let Ok(signal) = Signal::try_from(told.load(Ordering::Relaxed) as i32) {
            return Ok(signal);
        }
        let connection = match accept(&listener) {
            Ok(connection) => connection,
            // It was a signal, and no client.
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            // The error is that connection's, and the next may be better.
            Err(errno) if LOST.contains(&errno) => continue,
            Err(errno) => return Err(failed("accept", errno)),
        };
        // On macOS and the BSDs it inherits O_NONBLOCK from the listener.
        connection.set_nonblocking(false)?;
        // ANCHOR: fork
        let still = apps::before_fork();
        // SAFETY: the child has this thread alone. What another may hold here, of the
        // locks that the child takes, this one holds: see before_fork.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                still.after_fork_in_child();
                drop(listener); // the child's copy

                drop(wakes); // which are the parent's

                // The application begins as it would without us, and Ctrl-C ends it.
                default_signals();
                if told.load(Ordering::Relaxed) != 0 {
                    // SAFETY: as at the end. The signal came before its default was back.
                    unsafe { libc::_exit(0) }
                }
                let handled = handle_request(connection, address, &options.limits, application);
                if let Err(error) = handled {
                    complain(format!("request: {error}"));
                }
                apps::finish();
                // SAFETY: _exit only ends the process: no destructor and no atexit hook runs.
                unsafe { libc::_exit(0) }
            }
            Ok(ForkResult::Parent { child }) => {
                still.after_fork_in_parent();
                drop(connection); // the parent's copy
                children.insert(child.as_raw());
            }
            Err(errno) => return Err(failed("fork", errno)),
        }
        // ANCHOR_END: fork
    }
}

fn wait_for_either(listener: &TcpListener, wakes: &UnixStream) -> io::Result<()> {
    let sources = [listener.as_fd(), wakes.as_fd()];
    let mut sources = sources.map(|source| PollFd::new(source, PollFlags::POLLIN));
    match poll(&mut sources, PollTimeout::NONE) {
        // poll is not restarted, not even with SA_RESTART. The byte has been written.
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(failed("poll", errno)),
    }
}

// ANCHOR: reap
/// Reaps those that have ended, of our own children. What the application has
/// started, in a thread of its own, is left to the application.
fn reap(children: &mut HashSet<libc::pid_t>) {
    while let Some(child) = one_that_has_ended() {
        if children.remove(&child) {
            is_there(child);
        } else {
            // It is not ours, and hides who comes after it.
            children.retain(|child| is_there(*child));
            return;
        }
    }
}

/// A child of this process that has ended, whoever has started it. It is not reaped.
fn one_that_has_ended() -> Option<libc::pid_t> {
    let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: it is made of numbers and addresses, which may be zero.
    let mut child: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: waitid writes into `child`, and no further.
    let found = unsafe { libc::waitid(libc::P_ALL, 0, &mut child, how) };
    // SAFETY: waitid has filled in the process id, or left it zero.
    let child = unsafe { child.si_pid() };
    (found == 0 && child != 0).then_some(child)
}

/// Whether our child has not ended yet. If it has, it is reaped, and if it was not
/// by its own will, that is said.
fn is_there(child: libc::pid_t) -> bool {
    let mut status = 0;
    // SAFETY: waitpid writes into `status`, and no further.
    let reaped = unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) };
    let status = ExitStatus::from_raw(status);
    if reaped == child && !status.success() {
        complain(format!("child pid {child}: {status}"));
    }
    reaped == 0
}
// ANCHOR_END: reap

/// The kernel's accept without a retry: that of std repeats the call on EINTR.
fn accept(listener: &TcpListener) -> Result<TcpStream, Errno> {
    // CLOEXEC: a program that is started from here does not inherit it.
    #[cfg(not(target_vendor = "apple"))]
    let connection = socket::accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
    #[cfg(target_vendor = "apple")] // which has no accept4
    let connection = socket::accept(listener.as_raw_fd())?;
    // SAFETY: the kernel has opened this descriptor for us, and nothing else owns it.
    Ok(unsafe { TcpStream::from_raw_fd(connection) })
}

fn handle_request(
    connection: TcpStream,
    server: SocketAddr,
    limits: &Limits,
    application: &dyn Application,
) -> gateway::Result<()> {
    let peer = connection.peer_addr()?;
    let connection = Connection::new(connection, peer);
    let log = |head: &[u8]| {
        let pids = format!("child pid {}, parent pid {}\n", getpid(), getppid());
        print(pids.as_bytes());
        print_request(head);
    };
    let outcome = match connection.read_request(limits, log) {
        Ok(Some(request)) => {
            let mut environ = request.environ(server, SOFTWARE);
            environ.multiprocess = true;
            environ.run_once = true; // the process ends after this request
            respond(application, environ, connection.clone())
        }
        Ok(None) => return Ok(()), // the client has left without a word
        Err(error) if Refused::of(&error).is_some() => refuse(error, connection.clone()),
        Err(error) => return Err(error.into()),
    };
    connection.close(limits.linger); // before we print: the client waits for the close
    print_response(&outcome);
    outcome.error.map_or(Ok(()), Err)
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
    // SAFETY: no function is installed.
    let _ = unsafe { signal(told, SigHandler::SigDfl) }.and_then(|_| raise(told));
    // Still here: for process 1 no signal has a default.
    std::process::exit(128 + told as i32)
}

fn failed(call: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{call}: {errno}"))
}
