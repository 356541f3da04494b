//! mounted: webserver2 with its application under /wiki.
//!
//!     cargo run --bin mounted -- module:callable [ADDRESS]
//!
//! Try it with echoapp:app: `curl http://127.0.0.1:8888/wiki/page` shows that
//! the application learns where it stands. `/wikipedia` is not there.

use clap::Parser;
use gateway::connection::{print_request, Connection};
use gateway::http::Limits;
use gateway::log::{complain, print};
use gateway::options::{self, cannot_bind};
use gateway::{headers, respond, validator, Application, Body};
use std::io;
use std::net::TcpListener;
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
    options::main(run)
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
    let listener = TcpListener::bind(address).map_err(|error| cannot_bind(address, error))?;
    let address = listener.local_addr()?;
    print(format!("Serving HTTP on http://{address}/ ...\n").as_bytes());

    loop {
        match listener.accept() {
            Ok((connection, peer)) => {
                let connection = Connection::new(connection, peer);
                let answered =
                    connection.answer(&options.limits, print_request, |request, output| {
                        let environ = request.environ(address, SOFTWARE);
                        respond(application, environ, output)
                    });
                if let Err(error) = answered {
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

/// `application` under `prefix`, which begins with a slash and does not end with
/// one; nothing elsewhere.
fn mounted(prefix: &'static str, application: impl Application) -> impl Application {
    gateway::application(move |mut environ, mut start_response| {
        let path = environ.get("PATH_INFO").unwrap_or_default().to_vec();
        match path.strip_prefix(prefix.as_bytes()) {
            Some(rest @ ([] | [b'/', ..])) => {
                let script = environ.get("SCRIPT_NAME").unwrap_or_default();
                let script = [script, prefix.as_bytes()].concat();
                environ.set("SCRIPT_NAME", script);
                environ.set("PATH_INFO", rest);
                application.call(environ, start_response)
            }
            _ => {
                let plain = headers([("Content-Type", "text/plain")]);
                start_response.start("404 Not Found", plain)?;
                Ok(Body::from("There is nothing here.\n"))
            }
        }
    })
}
