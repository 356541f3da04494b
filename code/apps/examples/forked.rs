//! forked: an application that was loaded before fork answers in the children.
//!
//!     cargo run -p apps --features axum --example forked -- axumapp:app
//!
//! Loads one of the frameworks' applications, asks it once itself, so that this
//! process has made its runtime, and forks 16 children. All of them and their
//! parent put the same requests to it at the same time, and wait for a socket on
//! the runtime besides. Who has not finished in ten seconds is ended by an alarm.

use apps::adapters::runtime;
use gateway::http::{read_head, Head, Limits, RequestBody};
use gateway::{respond, validator, Application, Result};
use nix::sys::wait::{wait, WaitStatus};
use nix::unistd::{alarm, fork, ForkResult};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CHILDREN: usize = 16;
const ROUNDS: usize = 2;
const DELAY: Duration = Duration::from_millis(10);
const PATIENCE: u32 = 10; // seconds
const USAGE: &str = "usage: forked module:callable; try forked axumapp:app";

/// Requests, and the last bytes of the answer to each.
const TABLE: [(&str, &str); 4] = [
    ("GET / HTTP/1.0\r\n\r\n", "\r\n\r\nHello, World!\n"),
    ("GET /slow HTTP/1.0\r\n\r\n", "\r\n\r\nThat took a while.\n"),
    ("GET /stream HTTP/1.0\r\n\r\n", "\r\n\r\n1\n2\n3\n"),
    (
        "POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nbytes",
        "\r\n\r\nbytes",
    ),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("forked: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let name = std::env::args().nth(1).ok_or(USAGE)?;
    let application = validator(apps::load(&name)?);
    ask_everything(&application)?;
    // What the parent waits for must survive what its children do to their copy
    // of its runtime.
    let (mut writer, reader) = UnixStream::pair()?;
    let waiting = runtime()?.spawn(a_byte(reader));
    runtime()?.block_on(tokio::task::yield_now());

    for _ in 0..CHILDREN {
        // SAFETY: this process has one thread, so no lock is held by another
        // that the child would not have.
        match unsafe { fork() }? {
            ForkResult::Parent { .. } => {}
            ForkResult::Child => {
                alarm::set(PATIENCE);
                let asked = (0..ROUNDS).try_for_each(|_| ask_everything(&application));
                if let Err(error) = &asked {
                    eprintln!("forked: in a child: {error}");
                }
                // SAFETY: ends the process at once; nothing of the parent's may
                // be cleaned up here.
                unsafe { nix::libc::_exit(asked.is_err().into()) }
            }
        }
    }
    alarm::set(2 * PATIENCE);
    let asked = (0..ROUNDS).try_for_each(|_| ask_everything(&application));

    writer.write_all(b"x")?;
    runtime()?.block_on(waiting)??;

    let mut answered = 0;
    for _ in 0..CHILDREN {
        match wait()? {
            WaitStatus::Exited(_, 0) => answered += 1,
            other => eprintln!("forked: {other:?}"),
        }
    }
    asked.map_err(|error| format!("in the parent: {error}"))?;
    println!("{name}: {answered} of {CHILDREN} children answered, and their parent");
    if answered < CHILDREN {
        return Err("not everybody answered".into());
    }
    Ok(())
}

/// Every request of the table, and real waiting on the worker's runtime.
fn ask_everything(application: &dyn Application) -> Result<()> {
    for (request, wanted) in TABLE {
        let answer = ask(application, request)?;
        if !answer.ends_with(wanted) {
            return Err(format!("{request:?} was answered with {answer:?}").into());
        }
    }
    runtime()?.block_on(later())?;
    Ok(())
}

fn ask(application: &dyn Application, request: &'static str) -> Result<String> {
    let mut connection = request.as_bytes();
    let limits = Limits::DEFAULT;
    let bytes = read_head(&mut connection, &limits)?;
    let head = Head::parse(&bytes, &limits)?;
    let body = RequestBody::new(connection, head.framing, &limits);
    let mut environ = head.environ(Box::new(body));
    environ.set("SERVER_NAME", "127.0.0.1");
    environ.set("SERVER_PORT", "80");
    environ.set("REMOTE_ADDR", "127.0.0.1");
    environ.multiprocess = true;

    let output = Output::default();
    let outcome = respond(application, environ, output.clone());
    if let Some(failure) = outcome.error {
        return Err(failure.into());
    }
    let bytes = output.0.lock().map_err(|_| "the answer was not finished")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where an answer goes.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut output = self.0.lock().map_err(|_| io::ErrorKind::Other)?;
        output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits for what comes later: the runtime has to be told of it by its epoll,
/// and by nobody else's.
async fn later() -> io::Result<()> {
    let (mut writer, reader) = UnixStream::pair()?;
    let sending = async {
        tokio::time::sleep(DELAY).await;
        writer.write_all(b"x")
    };
    tokio::try_join!(sending, a_byte(reader)).map(|_| ())
}

async fn a_byte(stream: UnixStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let stream = tokio::net::UnixStream::from_std(stream)?;
    loop {
        stream.readable().await?;
        match stream.try_read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read.map(|_| ()),
        }
    }
}
