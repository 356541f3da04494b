//! What an application learns of a request.

use crate::log::Stderr;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

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
    variables: BTreeMap<Cow<'static, str>, Vec<u8>>,
    /// `wsgi.version`: of the interface.
    pub version: (u8, u8),
    /// `wsgi.url_scheme`: `http` or `https`.
    pub url_scheme: String,
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
// ANCHOR_END: environ

// ANCHOR: new
impl Environ {
    /// An environ without variables. Its errors go to the standard error, made
    /// [`printable`], and nobody else calls the application meanwhile.
    pub fn new(input: Input) -> Environ {
        Environ {
            variables: BTreeMap::new(),
            version: (1, 0),
            url_scheme: "http".to_string(),
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
        self.variables.get(name).map(Vec::as_slice)
    }

    /// A variable as text: what is not UTF-8 becomes �, and one that is not
    /// there is empty.
    pub fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(self.get(name).unwrap_or_default()).into_owned()
    }

    /// Sets a variable. Those of the course's own making have a dot in their
    /// names, as PEP 3333 asks.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Vec<u8>>) {
        self.variables.insert(name.into(), value.into());
    }

    /// Takes a variable away.
    pub fn remove(&mut self, name: &str) -> Option<Vec<u8>> {
        self.variables.remove(name)
    }

    /// All variables, in the order of their names.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let variables = self.variables.iter();
        variables.map(|(name, value)| (name.as_ref(), value.as_slice()))
    }
    // ANCHOR_END: variables
}

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
