//! own_names: webserver2 for the names of this machine and no others.
//!
//!     cargo run --bin own_names -- module:callable [ADDRESS]
//!
//! `curl -i -H 'Host: example.com' http://127.0.0.1:8888/` is answered with 421, and
//! the application is not asked.

use clap::Parser;
use gateway::connection::{print_request, Connection};
use gateway::http::{Limits, Refused};
use gateway::log::{complain, print};
use gateway::options::{self, cannot_bind};
use gateway::{refuse, respond, Application, Environ};
use std::io;
use std::net::TcpListener;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const SOFTWARE: &str = "own_names"; // what the answers name as their server
const PAUSE: Duration = Duration::from_millis(100); // after an error of accept
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
const MISDIRECTED: Refused = Refused::new("421 Misdirected Request", "there is no such host here");

/// webserver2 for the names of this machine and no others
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
                let answered =
                    connection.answer(&options.limits, print_request, |request, output| {
                        let environ = request.environ(address, SOFTWARE);
                        if is_ours(&environ) {
                            return respond(application, environ, output);
                        }
                        let mut refused = MISDIRECTED;
                        refused.head_only = environ.get("REQUEST_METHOD") == Some(b"HEAD");
                        refuse(refused, output)
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

/// Whether the request is for one of our names, or for none: HTTP/1.0 has no `Host`.
fn is_ours(environ: &Environ) -> bool {
    let host = environ.text("HTTP_HOST").unwrap_or_default();
    let name = match host.rfind(']') {
        Some(end) => &host[..=end], // an address of IPv6 has colons of its own
        None => host.split(':').next().unwrap_or_default(),
    };
    name.is_empty() || NAMES.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}
