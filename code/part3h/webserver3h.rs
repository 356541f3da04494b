//! webserver3h: webserver3g that runs any application.
//!
//!     cargo run --bin webserver3h -- module:callable [--warm PATH] [ADDRESS]
//!
//! Many clients and any application: a child for each request, and in the child
//! what webserver2 does. Send 128 clients at once, and a slow one; nobody waits for
//! another, and no zombie stays. With --warm the application is asked for PATH once
//! before the first fork. Ctrl-C ends it.

use gateway::http::{read_head, Framing, Head, Refused, RequestBody};
use gateway::{refuse, respond, Application, Environ, Outcome};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{sigaction, signal, SaFlags, SigAction, SigHandler, SigSet, Signal};
use nix::sys::socket::{self, listen, Backlog};
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::{fork, getpid, getppid, ForkResult};
use std::env;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ADDRESS: &str = "127.0.0.1:8888";
const BACKLOG: i32 = libc::SOMAXCONN; // connections that may wait: the most there can be
const SOFTWARE: &str = "webserver3h"; // what the answers name as their server
const REQUEST_SIZE: usize = 1024; // bytes read at a time: most heads are one read
const LINGER: Duration = Duration::from_secs(2); // for all that nobody wants
const USAGE: &str = "usage: webserver3h module:callable [--warm PATH] [ADDRESS]; \
                     try webserver3h wsgiapp:app";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> gateway::Result<()> {
    let mut arguments = env::args_os().skip(1);
    let mut next = || Some(arguments.next()?.to_string_lossy().into_owned());
    let name = next().ok_or(USAGE)?;
    let mut address = next();
    let mut warm = None;
    if address.as_deref() == Some("--warm") {
        warm = Some(next().ok_or(USAGE)?);
        address = next();
    }
    let address = address.unwrap_or_else(|| ADDRESS.to_string());
    // ANCHOR: warm
    let application = apps::load(&name)?;
    if let Some(path) = warm {
        let status = apps::warm(&application, &path)?;
        eprintln!("warmed up with GET {path}: {status}");
    }
    // ANCHOR_END: warm
    apps::finish_on_signals();
    let served = serve_forever(&address, &application);
    apps::finish();
    Ok(served?)
}

fn serve_forever(address: &str, application: &dyn Application) -> io::Result<()> {
    let listener = TcpListener::bind(address).map_err(|error| {
        let hint = "another address can be the last argument";
        io::Error::new(error.kind(), format!("bind {address}: {error}; {hint}"))
    })?;
    // The library has asked for a queue of 128. The call that comes last counts.
    let backlog = Backlog::new(BACKLOG).and_then(|backlog| listen(&listener, backlog));
    backlog.map_err(|errno| failed("listen", errno))?;

    let address = listener.local_addr()?;
    let mut terminal = io::stdout();
    writeln!(terminal, "Serving HTTP on http://{address}/ ...")?;
    terminal.flush()?;

    let handler = SigHandler::Handler(reap);
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: reap calls only what a signal handler may call, and restores errno.
    let installed = unsafe { sigaction(Signal::SIGCHLD, &action) };
    installed.map_err(|errno| failed("sigaction", errno))?;

    loop {
        let connection = match accept(&listener) {
            Ok(connection) => connection,
            // The client left while it was still waiting: no reason to stop.
            Err(Errno::ECONNABORTED) => continue,
            // A signal came, and its handler has seen to it.
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(failed("accept", errno)),
        };
        // ANCHOR: fork
        let still = apps::before_fork();
        // SAFETY: the child has this thread alone. What another may hold here, of the
        // locks that the child takes, this one holds: see before_fork.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                still.after_fork_in_child();
                drop(listener); // the child's copy

                // Its children, if the application has any, are not ours to reap.
                // SAFETY: no function is installed. There is such a signal, so it succeeds.
                let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
                if let Err(error) = handle_request(connection, address, application) {
                    eprintln!("request: {error}");
                }
                apps::finish();
                // SAFETY: it ends this process and touches no memory.
                unsafe { libc::_exit(0) }
            }
            Ok(ForkResult::Parent { .. }) => {
                still.after_fork_in_parent();
                drop(connection); // the parent's copy
            }
            Err(errno) => return Err(failed("fork", errno)),
        }
        // ANCHOR_END: fork
    }
}

extern "C" fn reap(_: libc::c_int) {
    let errno = Errno::last_raw(); // of the code that the signal interrupted
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            // Those who are left have not ended; or none is left.
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => break,
            _ => {}
        }
    }
    Errno::set_raw(errno);
}

/// The kernel's accept, once. The library's would call it again after a signal.
fn accept(listener: &TcpListener) -> Result<TcpStream, Errno> {
    let connection = socket::accept(listener.as_raw_fd())?;
    // SAFETY: the kernel has opened this descriptor for us, and nothing else owns it.
    Ok(unsafe { TcpStream::from_raw_fd(connection) })
}

fn handle_request(
    connection: TcpStream,
    server: SocketAddr,
    application: &dyn Application,
) -> gateway::Result<()> {
    let peer = connection.peer_addr()?;
    let connection = Connection(Arc::new(connection));
    let mut reader = BufReader::with_capacity(REQUEST_SIZE, connection.clone());
    let head = match parse_request(&mut reader) {
        Ok(Some(head)) => head,
        Ok(None) => return Ok(()),
        Err(error) if Refused::of(&error).is_some() => {
            print_response(&refuse(&error, connection.clone()))?;
            let _ = linger(&connection.0); // the client may have left
            return Err(error.into());
        }
        Err(error) => return Err(error.into()),
    };
    if head.expects_continue() {
        connection
            .clone()
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }

    // Whether the request is all that there is to read.
    let alone = head.framing == Framing::Length(0) && reader.buffer().is_empty();
    let body = RequestBody::new(reader, head.framing);
    let environ = get_environ(&head, body, peer, server);
    let outcome = respond(application, environ, connection.clone());
    if !alone {
        let _ = linger(&connection.0); // the client may have left
    }
    drop(connection); // the client need not wait for our terminal
    print_response(&outcome)?;
    outcome.error.map_or(Ok(()), Err)
}

/// A connection that a reader and a writer hold at the same time. The last to
/// let go of it closes it.
#[derive(Clone)]
struct Connection(Arc<TcpStream>);

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}

/// The head of the request, or none if the client has left without a word.
fn parse_request(reader: &mut BufReader<Connection>) -> io::Result<Option<Head>> {
    let head = read_head(reader)?;
    if head.is_empty() {
        return Ok(None);
    }
    let mut terminal = io::stdout();
    writeln!(terminal, "child pid {}, parent pid {}", getpid(), getppid())?;
    print_request(&head)?;
    Ok(Some(Head::parse(&head)?))
}

fn get_environ(
    head: &Head,
    body: RequestBody<BufReader<Connection>>,
    peer: SocketAddr,
    server: SocketAddr,
) -> Environ {
    let mut environ = head.environ(Box::new(body));
    environ.set("SERVER_NAME", server.ip().to_string());
    environ.set("SERVER_PORT", server.port().to_string());
    environ.set("SERVER_SOFTWARE", SOFTWARE);
    environ.set("REMOTE_ADDR", peer.ip().to_string());
    environ.set("REMOTE_PORT", peer.port().to_string());
    environ.multiprocess = true;
    environ.run_once = true; // in this process, which ends after it
    environ
}

fn print_request(head: &[u8]) -> io::Result<()> {
    let mut terminal = io::stdout();
    terminal.write_all(&marked(b'<', head))?;
    terminal.flush()
}

fn print_response(outcome: &Outcome) -> io::Result<()> {
    let mut text = marked(b'>', &outcome.head);
    writeln!(text, "}} [{} bytes data]", outcome.body)?;
    let mut terminal = io::stdout();
    terminal.write_all(&text)?;
    terminal.flush()
}

/// The lines of a head, each behind a mark, as `curl -v` prints them.
fn marked(mark: u8, head: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(2 * head.len());
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        text.push(mark);
        text.extend(line.first().map(|_| b' '));
        // A client could send what a terminal takes for a command.
        let shown = |byte: &u8| {
            if matches!(byte, b' '..=b'~') {
                *byte
            } else {
                b'?'
            }
        };
        text.extend(line.iter().map(shown));
        text.push(b'\n');
    }
    text
}

/// Closing while the client still sends would be a reset, and could cost it the
/// answer: so the end is announced, and the rest is read and thrown away.
fn linger(mut connection: &TcpStream) -> io::Result<()> {
    connection.shutdown(Shutdown::Write)?;
    let end = Instant::now() + LINGER;
    let mut unwanted = [0; 8192];
    loop {
        let patience = end.saturating_duration_since(Instant::now());
        if patience.is_zero() {
            return Ok(());
        }
        connection.set_read_timeout(Some(patience))?;
        if connection.read(&mut unwanted)? == 0 {
            return Ok(()); // it has closed too
        }
    }
}

fn failed(call: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{call}: {errno}"))
}
