//! forgets_to_take: my_gateway with an input that does not end where the body ends.
//!
//!     cargo run --bin forgets_to_take [ADDRESS]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::env;
use std::error;
use std::io::{self, Read, Write};
use std::iter;
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

const ADDRESS: &str = "127.0.0.1:8888";
const USAGE: &str = concat!("usage: ", module_path!(), " [ADDRESS]");
const CUTTING: Duration = Duration::from_millis(500);
const FAILED: &str = "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n\r\n";
const FORM: &str = "<!DOCTYPE html><meta charset=utf-8>
<form method=post><input name=name> <button>Come in</button></form>
";
const INPUT_SIZE: u64 = 1000; // bytes: all that the application reads of a body
const PAUSE: Duration = Duration::from_millis(100); // after an accept that failed
const REQUEST_SIZE: usize = 8192; // bytes: all that is ever read of a head

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let address = arguments.next().unwrap_or_else(|| ADDRESS.into());
    if arguments.next().is_some() {
        let _ = writeln!(io::stderr(), "{USAGE}");
        return ExitCode::from(2);
    }
    let party = Party::default();
    let logged = |environ: Environ, start_response: StartResponse| {
        let method = &environ.variables["REQUEST_METHOD"];
        let path = &environ.variables["PATH_INFO"];
        let _ = writeln!(io::stdout(), "{method:?} {path:?}");
        party.call(environ, start_response)
    };
    match serve_forever(&address.to_string_lossy(), &logged) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_forever(address: &str, application: &dyn Application) -> io::Result<()> {
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
                if let Err(error) = handle_request(connection, application) {
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

fn handle_request(mut connection: TcpStream, application: &dyn Application) -> Result<()> {
    let mut request = [0; REQUEST_SIZE];
    let received = connection.read(&mut request)?;

    let blank = request[..received]
        .windows(4)
        .position(|four| four == b"\r\n\r\n");
    let (head, rest) = request[..received].split_at(blank.map_or(received, |at| at + 4));
    let input = io::Cursor::new(rest.to_vec()).chain(connection.try_clone()?);
    let environ = environ(&String::from_utf8_lossy(head), input);
    let start_response = StartResponse::default();
    let result = respond(&mut connection, application, environ, &start_response);
    if result.is_err() && !start_response.begun.get() {
        connection.write_all(FAILED.as_bytes())?;
    }
    result
}

type Error = Box<dyn error::Error>;
type Result<T> = std::result::Result<T, Error>;

/// All that the server knows of an application.
trait Application {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Result<Body>;
}

impl<F: Fn(Environ, StartResponse) -> Result<Body>> Application for F {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Result<Body> {
        self(environ, start_response)
    }
}

/// What was asked, under the names of CGI, and what was sent along.
struct Environ {
    variables: BTreeMap<String, String>,
    input: Box<dyn Read>,
}

fn environ(head: &str, input: impl Read + 'static) -> Environ {
    let mut lines = head.lines();
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
    for line in lines.take_while(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':') {
            let name = name.to_uppercase().replace('-', "_");
            let name = match name.as_str() {
                "CONTENT_LENGTH" | "CONTENT_TYPE" => name,
                _ => format!("HTTP_{name}"),
            };
            variables.insert(name, value.trim().into());
        }
    }
    let input = Box::new(input);
    Environ { variables, input }
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

/// Where an application says its status and fields.
#[derive(Clone, Default)]
struct StartResponse {
    said: Rc<RefCell<Option<(&'static str, Fields)>>>,
    begun: Rc<Cell<bool>>, // whether it has left
}

impl StartResponse {
    fn start(&self, status: &'static str, fields: Fields) -> Result<()> {
        match self.said.replace(Some((status, fields))) {
            None => Ok(()),
            Some(_) => Err("start was called twice".into()),
        }
    }

    /// Says something else because of an error, which comes back if it is too late.
    fn restart(&self, status: &'static str, fields: Fields, error: Error) -> Result<()> {
        if self.begun.get() {
            return Err(error);
        }
        self.said.replace(Some((status, fields)));
        Ok(())
    }
}

struct Body {
    length: Option<usize>, // in bytes, where it is known
    chunks: Box<dyn Iterator<Item = Result<Vec<u8>>>>,
}

impl From<&str> for Body {
    fn from(text: &str) -> Body {
        let chunks = Box::new(iter::once(Ok(text.into())));
        let length = Some(text.len());
        Body { length, chunks }
    }
}

fn respond(
    connection: &mut TcpStream,
    application: &dyn Application,
    environ: Environ,
    start_response: &StartResponse,
) -> Result<()> {
    let is_head = environ.variables["REQUEST_METHOD"] == "HEAD";
    let mut body = application.call(environ, start_response.clone())?;
    let mut chunk = body.chunks.next().transpose()?;
    let said = start_response.said.borrow().clone();
    let (status, fields) = said.ok_or("start was not called")?;
    let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    for (name, value) in fields {
        head += &format!("{name}: {value}\r\n");
    }
    if let Some(length) = body.length {
        head += &format!("Content-Length: {length}\r\n");
    }
    head += "\r\n";
    start_response.begun.set(true);
    connection.write_all(head.as_bytes())?;
    while let Some(bytes) = chunk {
        if !is_head {
            connection.write_all(&bytes)?;
        }
        chunk = body.chunks.next().transpose()?;
    }
    Ok(())
}

#[derive(Default)]
struct Party {
    guests: RefCell<Vec<String>>,
}

impl Application for Party {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Result<Body> {
        let mut guests = self.guests.borrow_mut();
        let asked = |name: &str| environ.variables[name].as_str();
        match (asked("REQUEST_METHOD"), asked("PATH_INFO")) {
            ("POST", "/") => {
                guests.push(field(environ.input, "name")?);
                start_response.start("303 See Other", vec![("Location", "/".into())])?;
                Ok("".into())
            }
            (_, "/") => {
                let list: String = guests.iter().map(|guest| item(guest)).collect();
                let link = format!("<a href='/cake?{}'>Cake</a>\n", guests.len());
                start_response.start("200 OK", vec![("Content-Type", "text/html".into())])?;
                Ok(format!("{FORM}{list}{link}").as_str().into())
            }
            _ => app(environ, start_response),
        }
    }
}

/// A guest, with what is markup to a browser spelled out.
fn item(guest: &str) -> String {
    let guest = guest.replace('&', "&amp;").replace('<', "&lt;");
    format!("<p>{guest}\n")
}

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let text = vec![("Content-Type", "text/plain".into())];
    match environ.variables["PATH_INFO"].as_str() {
        "/cake" => {
            let query = environ.variables["QUERY_STRING"].split(',');
            let orders: Vec<String> = query.map(String::from).collect();
            start_response.start("200 OK", text.clone())?;
            let chunks = Box::new(orders.into_iter().map(move |guests| {
                cut(guests).or_else(|error| {
                    start_response.restart("400 Bad Request", text.clone(), error)?;
                    Ok(b"For how many?\n".to_vec())
                })
            }));
            let length = None;
            Ok(Body { length, chunks })
        }
        _ => {
            start_response.start("404 Not Found", text)?;
            Ok("No such page.\n".into())
        }
    }
}

/// What a form says in one of its fields.
fn field(form: impl Read, name: &str) -> Result<String> {
    let form = io::read_to_string(form.take(INPUT_SIZE))?;
    let mut fields = form.split('&').filter_map(|pair| pair.split_once('='));
    let found = fields.find(|field| field.0 == name);
    let (_, value) = found.ok_or("the form lacks a field")?;
    Ok(decode(&value.replace('+', " ")))
}

/// Cuts a cake for so many guests.
fn cut(guests: String) -> Result<Vec<u8>> {
    thread::sleep(CUTTING);
    let guests: u32 = guests.parse()?;
    let each = 12_u32.checked_div(guests).ok_or("nobody wants cake")?;
    Ok(format!("12 slices for {guests}: {each} each\n").into_bytes())
}
