//! webserver3h, whose children keep its handlers: Ctrl-C does not end them.
//!
//!     cargo run --bin keeps_its_handlers -- module:callable [ADDRESS]

use clap::Parser;
use gateway::connection::{accept, print_request_of, Connection};
use gateway::http::Limits;
use gateway::log::{complain, print};
use gateway::options::{self, cannot_bind};
use gateway::{respond, Application};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{raise, signal, SigHandler, SigSet, Signal};
use nix::sys::socket::{listen, Backlog};
use nix::unistd::{fork, getpid, getppid, ForkResult};
use signal_hook::flag::register_usize;
use signal_hook::low_level::pipe;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

const BACKLOG: i32 = libc::SOMAXCONN; // connections that may wait, if the kernel allows as many
const SOFTWARE: &str = "webserver3h"; // what the answers name as their server
const SIGNALS: [Signal; 3] = [Signal::SIGCHLD, Signal::SIGINT, Signal::SIGTERM];

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

/// Serves until a signal tells it to end, and gives that signal.
fn serve_forever(options: &Options, application: &dyn Application) -> io::Result<Signal> {
    let address = options.address.as_str();
    let listener = TcpListener::bind(address).map_err(|error| cannot_bind(address, error))?;
    // std has called listen with 128; a second listen replaces the backlog.
    let backlog = Backlog::new(BACKLOG).and_then(|backlog| listen(&listener, backlog));
    backlog.map_err(|errno| failed("listen", errno))?;

    let address = listener.local_addr()?;
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
    // Non-blocking: the connection that poll reported may be gone before accept.
    listener.set_nonblocking(true)?;
    let process = getpid();
    print(format!("Serving HTTP on http://{address}/ ...\nprocess {process}\n").as_bytes());

    let mut children = apps::Children::default();
    loop {
        wait_for_either(&listener, &wakes)?;
        while matches!(wakes.read(&mut [0; 64]), Ok(1..)) {}
        children.reap();
        if let Ok(signal) = Signal::try_from(told.load(Ordering::Relaxed) as i32) {
            return Ok(signal);
        }
        let Some((connection, peer)) = accept(&listener)? else {
            continue; // it was a signal, and no client
        };
        let still = apps::before_fork();
        // SAFETY: the child has this thread alone. What another may hold here, of the
        // locks that the child takes, this one holds: see before_fork.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                still.after_fork_in_child();
                drop(listener); // the child's copy
                drop(wakes); // which are the parent's

                if told.load(Ordering::Relaxed) != 0 {
                    // SAFETY: as at the end. The signal came before its default was back.
                    unsafe { libc::_exit(0) }
                }
                let connection = Connection::new(connection, peer);
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
                children.add(child.as_raw());
            }
            Err(errno) => return Err(failed("fork", errno)),
        }
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

fn handle_request(
    connection: Connection,
    server: SocketAddr,
    limits: &Limits,
    application: &dyn Application,
) -> gateway::Result<()> {
    let log = |head: &[u8]| {
        let pids = format!("child pid {}, parent pid {}\n", getpid(), getppid());
        print_request_of(&pids, head);
    };
    connection.answer(limits, log, |request, output| {
        let mut environ = request.environ(server, SOFTWARE);
        environ.multiprocess = true;
        environ.run_once = true; // the process ends after this request
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
    // SAFETY: no function is installed.
    let _ = unsafe { signal(told, SigHandler::SigDfl) }.and_then(|_| raise(told));
    // Still here: for process 1 no signal has a default.
    std::process::exit(128 + told as i32)
}

fn failed(call: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{call}: {errno}"))
}
