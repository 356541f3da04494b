//! forked: an application that was loaded before fork answers in the children.
//!
//!     cargo run -p apps --example forked -- module:callable
//!
//! Loads one of the frameworks' applications, asks it once itself, so that this
//! process has made its runtime, and forks 16 children. All of them and their
//! parent put the same requests to it at the same time, and wait for a socket on
//! the runtime besides. Who has not finished in ten seconds is ended by an alarm.

use gateway::http::{read_head, Head, RequestBody};
use gateway::{respond, validator, Application, Result};
use nix::sys::wait::{wait, WaitStatus};
use nix::unistd::{alarm, fork, ForkResult};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixStream;

const CHILDREN: usize = 16;
const ROUNDS: usize = 5;
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
    apps::adapters::runtime()?.block_on(wait_for_a_byte())?;
    Ok(())
}

fn ask(application: &dyn Application, request: &'static str) -> Result<String> {
    let mut connection = request.as_bytes();
    let head = Head::parse(&read_head(&mut connection)?)?;
    let body = RequestBody::new(connection, head.framing);
    let mut environ = head.environ(Box::new(body));
    environ.set("SERVER_NAME", "127.0.0.1");
    environ.set("SERVER_PORT", "80");
    environ.set("REMOTE_ADDR", "127.0.0.1");
    environ.multiprocess = true;

    let output = Output::default();
    let outcome = respond(application, environ, output.clone());
    if let Some(error) = outcome.error {
        return Err(error);
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

/// Waits at one end of a pair of sockets for what the other sends later: the
/// runtime has to be told by its epoll, and by nobody else's.
async fn wait_for_a_byte() -> io::Result<()> {
    let (reader, writer) = UnixStream::pair()?;
    let sending = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        writer.try_write(b"x")
    };
    let receiving = async {
        loop {
            reader.readable().await?;
            match reader.try_read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    };
    tokio::try_join!(sending, receiving).map(|_| ())
}
