//! range: webserver2 with an application that answers with parts of itself.
//!
//!     cargo run --bin range -- rangeapp:app [ADDRESS]
//!
//! Its document is a hundred thousand numbered lines of ten bytes. Ask for two of
//! them: `curl -r 500-519 http://127.0.0.1:8888/`. Any other module:callable is
//! what it is to webserver2.

use gateway::http::{read_head, Framing, Head, Refused, RequestBody};
use gateway::{refuse, respond, validator, Application, Environ, Outcome, StartResponse};
use std::env;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ADDRESS: &str = "127.0.0.1:8888";
const SOFTWARE: &str = "webserver2"; // what the answers name as their server
const LINES: usize = 100_000; // of the document, ten bytes each
const REQUEST_SIZE: usize = 1024; // bytes read at a time: most heads are one read
const LINGER: Duration = Duration::from_secs(2); // for all that nobody wants
const USAGE: &str = "usage: webserver2 module:callable [ADDRESS]; try webserver2 wsgiapp:app";

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
    let address = next().unwrap_or_else(|| ADDRESS.to_string());
    let application: Box<dyn Application> = match name.as_str() {
        "rangeapp:app" => Box::new(validator(app())),
        name => apps::load(name)?,
    };
    serve_forever(&address, &application)?;
    Ok(())
}

fn serve_forever(address: &str, application: &dyn Application) -> io::Result<()> {
    let listener = TcpListener::bind(address).map_err(|error| {
        let hint = "another address can be the last argument";
        io::Error::new(error.kind(), format!("bind {address}: {error}; {hint}"))
    })?;

    let address = listener.local_addr()?;
    let mut terminal = io::stdout();
    writeln!(terminal, "Serving HTTP on http://{address}/ ...")?;
    terminal.flush()?;

    loop {
        match listener.accept() {
            Ok((connection, peer)) => {
                if let Err(error) = handle_request(connection, peer, address, application) {
                    eprintln!("{peer}: {error}");
                }
            }
            // The client left while it was still waiting: no reason to stop.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(io::Error::new(error.kind(), format!("accept: {error}"))),
        }
    }
}

fn handle_request(
    connection: TcpStream,
    peer: SocketAddr,
    server: SocketAddr,
    application: &dyn Application,
) -> gateway::Result<()> {
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

/// Numbered lines, as far as they are wanted.
fn app() -> impl Application {
    let lines = (0..LINES).map(|number| format!("{number:09}\n"));
    let document = lines.collect::<String>().into_bytes();
    move |environ: Environ, mut start_response: StartResponse| {
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
        start_response(status, headers, None)?;
        Ok(gateway::once(&document[range]))
    }
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
    let range = environ.text("HTTP_RANGE");
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

/// Digits and nothing else; a number beyond counting is beyond the document.
fn number(digits: &str) -> Option<usize> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(usize::MAX))
}
