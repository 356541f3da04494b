//! reads_on: known_length with an environ that does not stop at the blank line.
//!
//!     cargo run --bin reads_on [ADDRESS]

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Read, Write};
use std::iter;
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const ADDRESS: &str = "127.0.0.1:8888";
const USAGE: &str = concat!("usage: ", module_path!(), " [ADDRESS]");
const CUTTING: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(100); // after an accept that failed
const REQUEST_SIZE: usize = 1024; // bytes: all that is ever read of a request

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let address = arguments.next().unwrap_or_else(|| ADDRESS.into());
    if arguments.next().is_some() {
        let _ = writeln!(io::stderr(), "{USAGE}");
        return ExitCode::from(2);
    }
    match serve_forever(&address.to_string_lossy()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_forever(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).map_err(|error| {
        let why = match address.starts_with(':') {
            true => "no host before the port".to_string(),
            false => error.to_string(),
        };
        io::Error::new(error.kind(), format!("bind {address}: {why}; {USAGE}"))
    })?;

    let address = listener.local_addr()?;
    let mut terminal = io::stdout();
    let _ = writeln!(terminal, "Serving HTTP on http://{address}/ ...");
    let _ = terminal.flush();

    loop {
        match listener.accept() {
            Ok((connection, peer)) => {
                if let Err(error) = handle_request(connection) {
                    let _ = writeln!(io::stderr(), "{peer}: {error}");
                }
            }
            // Often the trouble of one client alone. The pause is for what lasts.
            Err(error) => {
                let _ = writeln!(io::stderr(), "accept: {error}");
                thread::sleep(PAUSE);
            }
        }
    }
}

fn handle_request(mut connection: TcpStream) -> io::Result<()> {
    let mut request = [0; REQUEST_SIZE];
    let received = connection.read(&mut request)?;

    let mut terminal = io::stdout();
    // Whoever reads our output may have gone: no reason not to answer.
    let _ = terminal.write_all(&request[..received]);
    let _ = terminal.flush();

    let request = String::from_utf8_lossy(&request[..received]);
    respond(connection, environ(&request))
}

/// What was asked, under the names of CGI.
type Environ = BTreeMap<String, String>;

fn environ(request: &str) -> Environ {
    let mut lines = request.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let mut word = || words.next().unwrap_or_default();
    let (method, target, protocol) = (word(), word(), word());
    let target = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut variables = BTreeMap::new();
    variables.insert("REQUEST_METHOD".into(), method.into());
    variables.insert("PATH_INFO".into(), decode(path));
    variables.insert("QUERY_STRING".into(), query.into());
    variables.insert("SERVER_PROTOCOL".into(), protocol.into());
    for line in lines {
        if let Some((name, value)) = line.split_once(':') {
            let name = name.to_uppercase().replace('-', "_");
            let name = match name.as_str() {
                "CONTENT_LENGTH" | "CONTENT_TYPE" => name,
                _ => format!("HTTP_{name}"),
            };
            variables.insert(name, value.trim().into());
        }
    }
    println!("{variables:#?}");
    variables
}

/// `/cake`, of `/%63ake` and the like.
fn decode(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(byte)) if !part.starts_with('+') => {
                bytes.push(byte);
                bytes.extend(part[2..].bytes());
            }
            _ => bytes.extend(format!("%{part}").bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

type Fields = Vec<(&'static str, String)>;

struct Body {
    length: Option<usize>, // in bytes, where it is known
    chunks: Box<dyn Iterator<Item = Vec<u8>>>,
}

impl From<&str> for Body {
    fn from(text: &str) -> Body {
        let chunks = Box::new(iter::once(text.into()));
        let length = Some(text.len());
        Body { length, chunks }
    }
}

fn respond(mut connection: TcpStream, environ: Environ) -> io::Result<()> {
    let is_head = environ["REQUEST_METHOD"] == "HEAD";
    let (status, fields, body) = app(&environ);
    let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    for (name, value) in fields {
        head += &format!("{name}: {value}\r\n");
    }
    if let Some(length) = body.length {
        head += &format!("Content-Length: {length}\r\n");
    }
    head += "\r\n";
    connection.write_all(head.as_bytes())?;
    for chunk in body.chunks {
        if !is_head {
            connection.write_all(&chunk)?;
        }
    }
    Ok(())
}

fn app(environ: &Environ) -> (&'static str, Fields, Body) {
    let text = vec![("Content-Type", "text/plain".into())];
    match environ["PATH_INFO"].as_str() {
        "/cake" => {
            let query = environ["QUERY_STRING"].split(',');
            let orders: Vec<String> = query.map(String::from).collect();
            let chunks = Box::new(orders.into_iter().map(cut));
            let length = None;
            ("200 OK", text, Body { length, chunks })
        }
        _ => ("404 Not Found", text, "No such page.\n".into()),
    }
}

/// Cuts a cake for so many guests.
fn cut(guests: String) -> Vec<u8> {
    thread::sleep(CUTTING);
    let guests: u32 = guests.parse().unwrap_or(1);
    format!("12 slices for {guests}: {} each\n", 12 / guests).into_bytes()
}
