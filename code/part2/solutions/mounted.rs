//! mounted: webserver2 with its application under /wiki.
//!
//!     cargo run --bin mounted -- module:callable [ADDRESS]
//!
//! Try it with echoapp:app: `curl http://127.0.0.1:8888/wiki/page` shows that
//! the application learns where it stands. `/wikipedia` is not there.

use clap::Parser;
use gateway::connection::{print_request, print_response, Connection};
use gateway::http::{Limits, Refused};
use gateway::log::{complain, complain_of_panics, outlive_file_limit, print};
use gateway::StartResponse;
use gateway::{headers, options, refuse, respond, validator, Application, Environ};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const SOFTWARE: &str = "mounted"; // what the answers name as their server
const PREFIX: &str = "/wiki"; // where the application stands
const PAUSE: Duration = Duration::from_millis(100); // after an error of accept

/// webserver2 with its application under /wiki
#[derive(Parser)]
#[command(name = SOFTWARE, version)]
struct Options {
    /// The application, module:callable: wsgiapp:app is one
    application: String,
    /// Where to listen
    #[arg(default_value = "127.0.0.1:8888")]
    address: String,
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
    let application = validator(mounted(PREFIX, apps::load(&options.application)?));
    apps::finish_on_signals();
    let served = serve_forever(&options, &application);
    apps::finish();
    Ok(served?)
}

fn serve_forever(options: &Options, application: &dyn Application) -> io::Result<()> {
    let address = options.address.as_str();
    let listener = TcpListener::bind(address).map_err(|error| {
        let why = match address.starts_with(':') {
            true => "no host before the port".to_string(),
            false => error.to_string(),
        };
        let hint = "another address can be the last argument";
        io::Error::new(error.kind(), format!("bind {address}: {why}; {hint}"))
    })?;
    let address = listener.local_addr()?;
    print(format!("Serving HTTP on http://{address}/ ...\n").as_bytes());

    loop {
        match listener.accept() {
            Ok((connection, peer)) => {
                let connection = Connection::new(connection, peer);
                let handled = handle_request(connection, address, &options.limits, application);
                if let Err(error) = handled {
                    complain(format!("{peer}: {error}"));
                }
            }
            // A client that left while it waited, or something that may pass.
            Err(error) => {
                complain(format!("accept: {error}"));
                thread::sleep(PAUSE);
            }
        }
    }
}

fn handle_request(
    connection: Connection,
    server: SocketAddr,
    limits: &Limits,
    application: &dyn Application,
) -> gateway::Result<()> {
    let outcome = match connection.read_request(limits, print_request) {
        Ok(Some(request)) => {
            let environ = request.environ(server, SOFTWARE);
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

/// `application` under `prefix`, which begins with a slash and does not end with
/// one; nothing elsewhere.
fn mounted(prefix: &'static str, application: impl Application) -> impl Application {
    move |mut environ: Environ, mut start_response: StartResponse| {
        let path = environ.get("PATH_INFO").unwrap_or_default().to_vec();
        match path.strip_prefix(prefix.as_bytes()) {
            Some(rest @ ([] | [b'/', ..])) => {
                let script = environ.get("SCRIPT_NAME").unwrap_or_default();
                let script = [script, prefix.as_bytes()].concat();
                environ.set("SCRIPT_NAME", script);
                environ.set("PATH_INFO", rest);
                application(environ, start_response)
            }
            _ => {
                let plain = headers([("Content-Type", "text/plain")]);
                start_response("404 Not Found", plain, None)?;
                Ok(gateway::once("There is nothing here.\n"))
            }
        }
    }
}
