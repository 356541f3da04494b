// ANCHOR: about
//! webserver2: a web server that runs any application.
//!
//!     cargo run --bin webserver2 -- module:callable [ADDRESS]
//!
//! It listens on 127.0.0.1:8888, or on ADDRESS, and knows nothing of what it
//! serves: `wsgiapp:app` is one application, `axumapp:app` another. Visit it and
//! watch this terminal: `<` is what came from the client, `>` what went back.
//! One client at a time, one request for each. Ctrl-C ends it.
// ANCHOR_END: about

// ANCHOR: head
use gateway::http::{read_head, Framing, Head, Refused, RequestBody};
use gateway::{refuse, respond, Application, Environ, Outcome};
use std::env;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ADDRESS: &str = "127.0.0.1:8888";
const SOFTWARE: &str = "webserver2"; // what the answers name as their server
const REQUEST_SIZE: usize = 1024; // bytes read at a time: most heads are one read
const LINGER: Duration = Duration::from_secs(2); // for all that nobody wants
const USAGE: &str = "usage: webserver2 module:callable [ADDRESS]; try webserver2 wsgiapp:app";
// ANCHOR_END: head

// ANCHOR: main
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
    let application = apps::load(&name)?;
    apps::finish_on_signals();
    let served = serve_forever(&address, &application);
    apps::finish();
    Ok(served?)
}
// ANCHOR_END: main

// ANCHOR: serve_forever
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
// ANCHOR_END: serve_forever

// ANCHOR: handle_request
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
    // ANCHOR_END: handle_request
    // ANCHOR: answer
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
// ANCHOR_END: answer

// ANCHOR: connection
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
// ANCHOR_END: connection

// ANCHOR: parse_request
/// The head of the request, or none if the client has left without a word.
fn parse_request(reader: &mut BufReader<Connection>) -> io::Result<Option<Head>> {
    let head = read_head(reader)?;
    if head.is_empty() {
        return Ok(None);
    }
    print_request(&head)?;
    Ok(Some(Head::parse(&head)?))
}
// ANCHOR_END: parse_request

// ANCHOR: get_environ
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
// ANCHOR_END: get_environ

// ANCHOR: print
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
// ANCHOR_END: print

// ANCHOR: linger
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
// ANCHOR_END: linger
