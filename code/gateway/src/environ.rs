//! What an application learns of a request.

use crate::log::Stderr;
use std::any::Any;
use std::io::{self, BufRead, Write};
use std::net::IpAddr;

// ANCHOR: streams
/// `wsgi.input`: the body of the request, which ends where that ends. `BufRead`
/// has what PEP 3333 asks for: `read`, `read_line`, `lines`.
pub type Input = Box<dyn BufRead + Send>;

/// `wsgi.errors`: where an application writes what its operator should read.
pub type Errors = Box<dyn Write + Send>;
// ANCHOR_END: streams

// ANCHOR: operator
/// The standard error, as applications get it. A client's words may be in what
/// they write, and nobody may be reading it: neither is their concern.
struct Operator;

impl Write for Operator {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = printable(&String::from_utf8_lossy(bytes), "\n\t");
        Stderr.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text for a terminal or a log. A control character, which a terminal would
/// obey, is written out, unless it is one of `kept`.
///
/// ```
/// assert_eq!(gateway::printable("\x1b[31mred\n", ""), "\\u{1b}[31mred\\n");
/// assert_eq!(gateway::printable("\x1b[31mred\n", "\n"), "\\u{1b}[31mred\n");
/// ```
pub fn printable(text: &str, kept: &str) -> String {
    let mut printed = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() && !kept.contains(character) {
            true => printed.extend(character.escape_default()),
            false => printed.push(character),
        }
    }
    printed
}
// ANCHOR_END: operator

// ANCHOR: environ
/// The request, as CGI described one (RFC 3875, section 4.1) and PEP 3333 took
/// it over.
pub struct Environ {
    /// `REQUEST_METHOD`, `PATH_INFO`, `HTTP_HOST`, …: see [`Environ::get`].
    variables: Vec<Variable>,
    /// Their names and values, one behind the other.
    bytes: Vec<u8>,
    /// What middleware has left: see [`Environ::insert`].
    extensions: Vec<Box<dyn Any + Send>>,
    /// `wsgi.version`: of the interface.
    pub version: (u8, u8),
    /// `wsgi.url_scheme`: `http` or `https`.
    pub url_scheme: &'static str,
    /// `wsgi.input`.
    pub input: Input,
    /// `wsgi.errors`.
    pub errors: Errors,
    /// `wsgi.multithread`: another thread may call the application meanwhile.
    pub multithread: bool,
    /// `wsgi.multiprocess`: another process may.
    pub multiprocess: bool,
    /// `wsgi.run_once`: this process calls it once and ends.
    pub run_once: bool,
}

/// Where a variable stands in the bytes: its value directly behind its name.
struct Variable {
    start: usize,
    middle: usize,
    end: usize,
}
// ANCHOR_END: environ

// ANCHOR: new
impl Environ {
    /// An environ without variables. Its errors go to the standard error, made
    /// [`printable`], and nobody else calls the application meanwhile.
    pub fn new(input: Input) -> Environ {
        Environ {
            variables: Vec::with_capacity(30), // more than most have
            bytes: Vec::with_capacity(1000),
            extensions: Vec::new(),
            version: (1, 0),
            url_scheme: "http",
            input,
            errors: Box::new(Operator),
            multithread: false,
            multiprocess: false,
            run_once: false,
        }
    }
    // ANCHOR_END: new

    // ANCHOR: variables
    /// The bytes of a variable, if it is there.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let place = self.find(name)?;
        Some(self.variables[place].value(&self.bytes))
    }

    /// A variable as text, if it is there: what is not UTF-8 becomes �.
    pub fn text(&self, name: &str) -> Option<String> {
        let bytes = self.get(name)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Sets a variable. Those of the course's own making have a dot in their
    /// names, as PEP 3333 asks.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        if let Some(place) = self.find(name) {
            self.variables.remove(place);
        }
        self.add(name, value);
    }

    /// Takes a variable away.
    pub fn remove(&mut self, name: &str) -> Option<Vec<u8>> {
        let variable = self.variables.remove(self.find(name)?);
        Some(variable.value(&self.bytes).to_vec())
    }

    /// All variables, in the order in which they were set.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.variables.iter().map(|variable| {
            let name = std::str::from_utf8(variable.name(&self.bytes));
            let value = variable.value(&self.bytes);
            (name.unwrap_or_default(), value) // it came from text
        })
    }
    // ANCHOR_END: variables

    // ANCHOR: places
    fn find(&self, name: &str) -> Option<usize> {
        let name = name.as_bytes();
        self.variables.iter().position(|variable| {
            // The lengths first: most of the others have another.
            let same = variable.middle - variable.start == name.len();
            same && variable.name(&self.bytes) == name
        })
    }

    /// Sets a variable that is not there yet.
    pub(crate) fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        self.push(
            |to| to.extend_from_slice(name.as_bytes()),
            |to| to.extend_from_slice(value),
        );
    }

    /// The same, with a number. itoa writes it, with fewer detours than `write!`.
    pub(crate) fn add_number(&mut self, name: &str, value: u16) {
        self.add(name, itoa::Buffer::new().format(value));
    }

    /// The same, with an address.
    pub(crate) fn add_ip(&mut self, name: &str, ip: IpAddr) {
        let IpAddr::V4(ip) = ip else {
            return self.add(name, ip.to_string());
        };
        self.push(
            |to| to.extend_from_slice(name.as_bytes()),
            |to| {
                for (place, octet) in ip.octets().into_iter().enumerate() {
                    to.extend((place > 0).then_some(b'.'));
                    to.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
                }
            },
        );
    }

    /// A variable that is not there yet: what its name and its value add to the bytes.
    pub(crate) fn push(
        &mut self,
        name: impl FnOnce(&mut Vec<u8>),
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        name(&mut self.bytes);
        let middle = self.bytes.len();
        value(&mut self.bytes);
        let end = self.bytes.len();
        self.variables.push(Variable { start, middle, end });
    }
}

impl Variable {
    fn name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start..self.middle]
    }

    fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.middle..self.end]
    }
}
// ANCHOR_END: places

// ANCHOR: extensions
impl Environ {
    /// Leaves a value of any type for the application, one of each type: the user
    /// who has logged in, say. Whoever reads it asks for the type.
    pub fn insert<T: Send + 'static>(&mut self, value: T) {
        self.extensions.retain(|extension| !extension.is::<T>());
        self.extensions.push(Box::new(value));
    }

    /// What middleware has left of that type.
    pub fn extension<T: 'static>(&self) -> Option<&T> {
        let mut extensions = self.extensions.iter();
        extensions.find_map(|extension| extension.downcast_ref())
    }
}
// ANCHOR_END: extensions

// ANCHOR: testing_defaults
impl Environ {
    /// `GET /` of a server that is not there, for tests of applications. Python
    /// has it as `wsgiref.util.setup_testing_defaults`.
    ///
    /// ```
    /// let mut environ = gateway::Environ::testing_defaults();
    /// environ.set("PATH_INFO", "/hello");
    /// assert_eq!(environ.get("REQUEST_METHOD"), Some(&b"GET"[..]));
    /// ```
    pub fn testing_defaults() -> Environ {
        let mut environ = Environ::new(Box::new(io::empty()));
        for (name, value) in [
            ("REQUEST_METHOD", "GET"),
            ("SCRIPT_NAME", ""),
            ("PATH_INFO", "/"),
            ("QUERY_STRING", ""),
            ("SERVER_NAME", "127.0.0.1"),
            ("SERVER_PORT", "80"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("HTTP_HOST", "127.0.0.1"),
        ] {
            environ.set(name, value);
        }
        environ
    }
}
// ANCHOR_END: testing_defaults
