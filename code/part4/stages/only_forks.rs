//! webserver3h without its handlers: nobody reaps its children.
//!
//!     cargo run --bin only_forks -- wsgiapp:app

use clap::Parser;
use gateway::connection::{print_request_of, Connection};
use gateway::http::Limits;
use gateway::log::{complain, print};
use gateway::options::{self, cannot_bind};
use gateway::{respond, Application};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{listen, Backlog};
use nix::unistd::{fork, getpid, getppid, ForkResult};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

const BACKLOG: i32 = libc::SOMAXCONN; // connections that may wait, if the kernel allows as many
const SOFTWARE: &str = "webserver3h"; // what the answers name as their server

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
    serve_forever(&options, &application)?;
    apps::finish();
    Ok(())
}

fn serve_forever(options: &Options, application: &dyn Application) -> io::Result<()> {
    let address = options.address.as_str();
    let listener = TcpListener::bind(address).map_err(|error| cannot_bind(address, error))?;
    // std has called listen with 128; a second listen replaces the backlog.
    let backlog = Backlog::new(BACKLOG).and_then(|backlog| listen(&listener, backlog));
    backlog.map_err(|errno| failed("listen", errno))?;

    let address = listener.local_addr()?;
    let process = getpid();
    print(format!("Serving HTTP on http://{address}/ ...\nprocess {process}\n").as_bytes());

    loop {
        let (connection, peer) = listener.accept()?;
        let still = apps::before_fork();
        // SAFETY: the child has this thread alone. What another may hold here, of the
        // locks that the child takes, this one holds: see before_fork.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                still.after_fork_in_child();
                drop(listener); // the child's copy
                let connection = Connection::new(connection, peer);
                let handled = handle_request(connection, address, &options.limits, application);
                if let Err(error) = handled {
                    complain(format!("request: {error}"));
                }
                apps::finish();
                // SAFETY: _exit only ends the process: no destructor and no atexit hook runs.
                unsafe { libc::_exit(0) }
            }
            Ok(ForkResult::Parent { .. }) => {
                still.after_fork_in_parent();
                drop(connection); // the parent's copy
            }
            Err(errno) => return Err(failed("fork", errno)),
        }
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

fn failed(call: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{call}: {errno}"))
}
