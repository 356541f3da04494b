//! compress: webserver2 that compresses, for clients that take it.
//!
//!     cargo run --bin compress -- module:callable [ADDRESS]
//!
//! Ask with `curl --compressed`, and watch the sizes in this terminal. With
//! streamapp:app, `curl --compressed -N` still counts at the same pace.

use clap::Parser;
use flate2::write::GzEncoder;
use flate2::Compression;
use gateway::connection::{print_request, Connection};
use gateway::http::Limits;
use gateway::log::{complain, print};
use gateway::options::{self, cannot_bind};
use gateway::Write as GatewayWrite;
use gateway::{respond, validator, Application, Body, Header, StartResponse};
use std::io::{self, Write};
use std::mem;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

const SOFTWARE: &str = "compress"; // what the answers name as their server
const PAUSE: Duration = Duration::from_millis(100); // after an error of accept

/// webserver2 that compresses, for clients that take it
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
    let application = validator(compress(apps::load(&options.application)?));
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

/// `application`, with its answers compressed by gzip for clients that take it.
fn compress(application: impl Application) -> impl Application {
    gateway::application(move |environ, mut start_response| {
        let accepted = takes_gzip(&environ.text("HTTP_ACCEPT_ENCODING").unwrap_or_default());
        let head_only = environ.get("REQUEST_METHOD") == Some(b"HEAD");
        let gzip = Arc::new(Mutex::new(Gzip {
            encoder: None,
            begun: !head_only,
        }));

        let shared = Arc::clone(&gzip);
        let started = StartResponse::new(move |status, mut headers, error| {
            let compressed = accepted && may_change(status, &headers);
            if compressed {
                change(&mut headers);
            }
            headers.push(("Vary".to_string(), b"Accept-Encoding".to_vec()));
            let mut write = start_response.call(status, headers, error)?;
            lock(&shared).encoder =
                compressed.then(|| GzEncoder::new(Vec::new(), Compression::default()));
            let shared = Arc::clone(&shared);
            Ok(GatewayWrite::new(move |bytes| {
                let pressed = lock(&shared).press(bytes.to_vec(), false)?;
                write.send(&pressed)
            }))
        });
        let body = application.call(environ, started)?;
        if !accepted {
            return Ok(body);
        }
        let length = body.length();
        let over = false;
        let mut chunks = Compressed { body, gzip, over };
        if length.is_none() {
            return Ok(Body::new(chunks));
        }
        // All of it may be in the first chunk. Then it is known how long it becomes.
        let first = chunks.next().transpose()?.unwrap_or_default();
        match chunks.over {
            true => Ok(Body::from(first)),
            false => Ok(Body::new(std::iter::once(Ok(first)).chain(chunks))),
        }
    })
}

/// RFC 9110, section 12.5.3: whether `gzip` has a weight, and none less than the
/// answer as it is.
fn takes_gzip(accept: &str) -> bool {
    let accept = accept.to_ascii_lowercase();
    let weight = |coding: &str| {
        accept.split(',').find_map(|item| {
            let mut words = item.split(';').map(str::trim);
            let found = words.next() == Some(coding);
            let weight = words.find_map(|word| word.strip_prefix("q="));
            found.then(|| weight.unwrap_or("1").parse().unwrap_or(0.0))
        })
    };
    let gzip: f32 = weight("gzip").or(weight("*")).unwrap_or(0.0);
    gzip > 0.0 && gzip >= weight("identity").unwrap_or(0.0)
}

/// Not a response without content (204, 304), not a part of a document (206), and
/// not one that has a Content-Encoding.
fn may_change(status: &str, headers: &[Header]) -> bool {
    let fixed = ["204", "206", "304"].map(|code| status.starts_with(code));
    let encoded = |(name, _): &Header| name.eq_ignore_ascii_case("Content-Encoding");
    fixed == [false; 3] && !headers.iter().any(encoded)
}

/// The fields that describe the bytes before compression: Content-Length and
/// Accept-Ranges are removed, and a strong ETag becomes a weak one.
fn change(headers: &mut Vec<Header>) {
    let untrue = ["Content-Length", "Accept-Ranges"];
    headers.retain(|(name, _)| !untrue.iter().any(|n| name.eq_ignore_ascii_case(n)));
    for (name, value) in headers.iter_mut() {
        if name.eq_ignore_ascii_case("ETag") && !value.starts_with(b"W/") {
            value.splice(..0, *b"W/");
        }
    }
    headers.push(("Content-Encoding".to_string(), b"gzip".to_vec()));
}

/// The compressor of one answer.
struct Gzip {
    /// None for an answer that goes as it is, and at the end.
    encoder: Option<GzEncoder<Vec<u8>>>,
    /// Whether the trailer of gzip is written. After HEAD, a body that was left
    /// out would get one otherwise, and with it a length.
    begun: bool,
}

impl Gzip {
    /// What a chunk becomes. Nothing of it is held back.
    fn press(&mut self, chunk: Vec<u8>, last: bool) -> io::Result<Vec<u8>> {
        let Some(mut encoder) = self.encoder.take() else {
            return Ok(chunk);
        };
        self.begun |= !chunk.is_empty();
        encoder.write_all(&chunk)?;
        if last && self.begun {
            return encoder.finish();
        }
        let mut pressed = Vec::new();
        if !chunk.is_empty() {
            encoder.flush()?; // a sync flush: else it waits until it has a whole block
            pressed = mem::take(encoder.get_mut());
        }
        if !last {
            self.encoder = Some(encoder);
        }
        Ok(pressed)
    }
}

/// A compressed body.
struct Compressed {
    body: Body,
    gzip: Arc<Mutex<Gzip>>,
    over: bool,
}

impl Iterator for Compressed {
    type Item = gateway::Result<Vec<u8>>;

    fn next(&mut self) -> Option<gateway::Result<Vec<u8>>> {
        if self.over {
            return None; // next is not called again after None or an error
        }
        let chunk = self.body.next(); // which may call start_response
        let ended = !matches!(chunk, Some(Ok(_)));
        self.over = ended || self.body.length() == Some(0);
        let chunk = match chunk.transpose() {
            Ok(chunk) => chunk.unwrap_or_default(),
            Err(error) => return Some(Err(error)),
        };
        match lock(&self.gzip).press(chunk, self.over) {
            Ok(pressed) if ended && pressed.is_empty() => None,
            pressed => Some(pressed.map_err(Into::into)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
