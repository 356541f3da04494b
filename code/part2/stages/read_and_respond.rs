//! webserver2 without `Connection::answer`: it reads a request and responds.
//!
//!     cargo run --bin read_and_respond -- wsgiapp:app

use clap::Parser;
use gateway::connection::{print_request, Connection};
use gateway::http::Limits;
use gateway::log::{complain, print};
use gateway::options::{self, cannot_bind};
use gateway::{respond, Application};
use std::io;
use std::net::TcpListener;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const SOFTWARE: &str = "webserver2"; // what the answers name as their server
const PAUSE: Duration = Duration::from_millis(100); // after an error of accept

/// A web server that runs any application
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
    let application = apps::load(&options.application)?;
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
                let read = connection.read_request(&options.limits, print_request);
                let Ok(Some(request)) = read else {
                    continue;
                };
                let environ = request.environ(address, SOFTWARE);
                respond(application, environ, connection);
            }
            // A client that left while it waited, or something that may pass.
            Err(error) => {
                complain(format!("accept: {error}"));
                thread::sleep(PAUSE);
            }
        }
    }
}
