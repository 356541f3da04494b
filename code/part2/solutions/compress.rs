//! compress: webserver2 that compresses, for clients that take it.
//!
//!     cargo run --bin compress -- module:callable [ADDRESS]
//!
//! Ask with `curl --compressed`, and watch the sizes in this terminal. With
//! streamapp:app, `curl --compressed -N` still counts at the same pace.

use flate2::write::GzEncoder;
use flate2::Compression;
use gateway::http::{read_head, Framing, Head, Refused, RequestBody};
use gateway::{refuse, respond, validator, Application, Body, Environ, Header, Outcome};
use gateway::{StartResponse, Write as GatewayWrite};
use std::env;
use std::io::{self, BufReader, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const ADDRESS: &str = "127.0.0.1:8888";
const SOFTWARE: &str = "webserver2"; // what the answers name as their server
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
    let application = validator(compress(apps::load(&name)?));
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

/// `application`, with its answers compressed by gzip for clients that take it.
fn compress(application: impl Application) -> impl Application {
    move |environ: Environ, mut start_response: StartResponse| {
        let accepted = takes_gzip(&environ.text("HTTP_ACCEPT_ENCODING"));
        let head_only = environ.get("REQUEST_METHOD") == Some(b"HEAD");
        let gzip = Arc::new(Mutex::new(Gzip {
            encoder: None,
            begun: !head_only,
        }));

        let shared = Arc::clone(&gzip);
        let started: StartResponse = Box::new(move |status, mut headers, error| {
            let compressed = accepted && may_change(status, &headers);
            if compressed {
                change(&mut headers);
            }
            headers.push(("Vary".to_string(), b"Accept-Encoding".to_vec()));
            let mut write = start_response(status, headers, error)?;
            lock(&shared).encoder =
                compressed.then(|| GzEncoder::new(Vec::new(), Compression::default()));
            let shared = Arc::clone(&shared);
            Ok(GatewayWrite::new(move |bytes| {
                let pressed = lock(&shared).press(bytes.to_vec(), false)?;
                write.send(&pressed)
            }))
        });
        let body = application(environ, started)?;
        let over = false;
        Ok(Box::new(Compressed { body, gzip, over }) as Body)
    }
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

/// Not where there is no body, where it is a part of another, and where it is
/// encoded already.
fn may_change(status: &str, headers: &[Header]) -> bool {
    let fixed = ["204", "206", "304"].map(|code| status.starts_with(code));
    let encoded = |(name, _): &Header| name.eq_ignore_ascii_case("Content-Encoding");
    fixed == [false; 3] && !headers.iter().any(encoded)
}

/// What is no longer true of the compressed body: its length, that parts of it
/// may be had, and that the name of its version stands for these very bytes.
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
    /// Whether there is a body to end. After HEAD, one that the application
    /// has left out would get a length otherwise.
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
            encoder.flush()?; // or it would wait for more, and so would the client
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
            return None; // a body is not asked again after its end
        }
        let chunk = self.body.next(); // which may call start_response
        self.over = !matches!(chunk, Some(Ok(_)));
        let chunk = match chunk.transpose() {
            Ok(chunk) => chunk.unwrap_or_default(),
            Err(error) => return Some(Err(error)),
        };
        let last = self.over || self.body.size_hint() == (0, Some(0));
        match lock(&self.gzip).press(chunk, last) {
            Ok(pressed) if self.over && pressed.is_empty() => None,
            pressed => Some(pressed.map_err(Into::into)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match lock(&self.gzip).encoder {
            Some(_) => (0, None), // the end of the compressed body is still to come
            None => self.body.size_hint(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
