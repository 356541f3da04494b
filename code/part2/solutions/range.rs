//! range: webserver2 with an application that answers with parts of itself.
//!
//!     cargo run --bin range -- rangeapp:app [ADDRESS]
//!
//! Its document is a hundred thousand numbered lines of ten bytes. Ask for two of
//! them: `curl -r 500-519 http://127.0.0.1:8888/`. Any other module:callable is
//! what it is to webserver2.

use clap::Parser;
use gateway::connection::{print_request, Connection};
use gateway::http::Limits;
use gateway::log::{complain, print};
use gateway::options::{self, cannot_bind};
use gateway::{respond, validator, Application, Body, Environ};
use std::io;
use std::net::TcpListener;
use std::ops::Range;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const SOFTWARE: &str = "range"; // what the answers name as their server
const LINES: usize = 100_000; // of the document, ten bytes each
const PAUSE: Duration = Duration::from_millis(100); // after an error of accept

/// webserver2 with an application that answers with parts of itself
#[derive(Parser)]
#[command(name = SOFTWARE, version)]
struct Options {
    /// The application, module:callable: rangeapp:app is the one
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
    let application: Box<dyn Application> = match options.application.as_str() {
        "rangeapp:app" => Box::new(validator(app())),
        name => Box::new(apps::load(name)?),
    };
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

/// Numbered lines: all of them, or the range that is asked for.
fn app() -> impl Application {
    let lines = (0..LINES).map(|number| format!("{number:09}\n"));
    let document = lines.collect::<String>().into_bytes();
    gateway::application(move |environ, mut start_response| {
        let size = document.len();
        let mut headers =
            gateway::headers([("Content-Type", "text/plain"), ("Accept-Ranges", "bytes")]);
        let mut add = |range: String| headers.push(("Content-Range".to_string(), range.into()));
        let (status, range) = match wanted(&environ, size) {
            Wanted::Whole => ("200 OK", 0..size),
            Wanted::Part(range) => {
                add(format!("bytes {}-{}/{size}", range.start, range.end - 1));
                ("206 Partial Content", range)
            }
            Wanted::Nothing => {
                add(format!("bytes */{size}"));
                ("416 Range Not Satisfiable", 0..0)
            }
        };
        start_response.start(status, headers)?;
        Ok(Body::from(&document[range]))
    })
}

/// What a request wants of a document.
enum Wanted {
    Whole,
    /// These bytes, at least one, all of them there.
    Part(Range<usize>),
    /// Bytes that are not there.
    Nothing,
}

/// RFC 9110, section 14.2: `Range` belongs to GET, and one that is not
/// understood is as good as none.
fn wanted(environ: &Environ, size: usize) -> Wanted {
    let get = environ.get("REQUEST_METHOD") == Some(b"GET");
    // Names a version of the document, which has none (section 13.1.5).
    let condition = environ.get("HTTP_IF_RANGE").is_some();
    let range = environ.text("HTTP_RANGE").unwrap_or_default();
    match range.split_once('=') {
        Some((unit, range)) if get && !condition && unit.eq_ignore_ascii_case("bytes") => {
            part(range.trim(), size).unwrap_or(Wanted::Whole)
        }
        _ => Wanted::Whole,
    }
}

/// `500-519`, `500-` or `-20`: the last says how many bytes of the end. None if
/// it is nothing of the kind, or several.
fn part(range: &str, size: usize) -> Option<Wanted> {
    let (first, last) = range.split_once('-')?;
    let range = match (first, last) {
        ("", count) => size.saturating_sub(number(count)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(size)
        }
    };
    match range.is_empty() {
        true => Some(Wanted::Nothing),
        false => Some(Wanted::Part(range)),
    }
}

/// Digits only. A number that does not fit is past the end of the document.
fn number(digits: &str) -> Option<usize> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(usize::MAX))
}
