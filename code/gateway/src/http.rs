//! Requests, as HTTP/1.1 writes them down (RFC 9112), read from anything that
//! can be read.
//!
//! [`read_head`] finds the end of a head, [`Head::parse`] takes it apart,
//! [`RequestBody`] reads what follows and ends where the request ends.
//!
//! ```
//! use gateway::http::{read_head, Head, Limits};
//!
//! let mut connection = &b"GET /hello?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"[..];
//! let limits = Limits::DEFAULT;
//! let bytes = read_head(&mut connection, &limits)?;
//! let head = Head::parse(&bytes, &limits)?;
//! assert_eq!(head.method, "GET");
//! assert_eq!(head.target, b"/hello?x=1");
//! # Ok::<(), gateway::Error>(())
//! ```

use crate::{Environ, Input};
use percent_encoding::percent_decode;
use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, ErrorKind, Read};
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

// ANCHOR: limits
/// How much a server takes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct Limits {
    /// The longest first line; beyond it, 414
    #[cfg_attr(feature = "clap", arg(long, default_value = "8K", value_parser = size))]
    pub max_line: u64,
    /// The longest head; beyond it, 431
    #[cfg_attr(feature = "clap", arg(long, default_value = "64K", value_parser = size))]
    pub max_head: u64,
    /// The most header fields; beyond them, 431
    #[cfg_attr(feature = "clap", arg(long, default_value_t = 100))]
    pub max_fields: usize,
    /// The longest body; beyond it, 413
    #[cfg_attr(feature = "clap", arg(long, default_value = "1G", value_parser = size))]
    pub max_body: u64,
    /// The longest line between two chunks of a body; beyond it, 400
    #[cfg_attr(feature = "clap", arg(long, default_value = "256", value_parser = size))]
    pub max_chunk_line: u64,
    /// How long input that nobody has read is thrown away before a connection is closed
    #[cfg_attr(feature = "clap", arg(long, default_value = "2s", value_parser = duration))]
    pub linger: Duration,
}

impl Limits {
    /// What the options say where none is given.
    pub const DEFAULT: Limits = Limits {
        max_line: 8 << 10,
        max_head: 64 << 10,
        max_fields: 100,
        max_body: 1 << 30,
        max_chunk_line: 256,
        linger: Duration::from_secs(2),
    };
}
// ANCHOR_END: limits

// ANCHOR: size
/// Bytes from `64K` or `1G`: each letter is 1,024 times the one before.
#[cfg(feature = "clap")]
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let sizes = parse_size::Config::new().with_binary();
    let size = sizes.parse_size(text);
    size.map_err(|error| format!("{error}: write bytes, or a size such as 64K, 100M, 2G"))
}

/// Time from `2s` or `500ms`.
///
/// # Errors
///
/// Anything else.
#[cfg(feature = "clap")]
pub fn duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text);
    time.map_err(|error| format!("{error}: write a time such as 2s or 500ms"))
}
// ANCHOR_END: size

// ANCHOR: refused
/// A request that is the client's mistake: the status to answer with (RFC 9110,
/// section 15), and the reason in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Such as `400 Bad Request`.
    pub status: &'static str,
    /// What is wrong with the request.
    pub why: &'static str,
    /// Whether the request began with `HEAD`: then the answer has no text.
    pub head_only: bool,
}
// ANCHOR_END: refused

// ANCHOR: refused_new
impl Refused {
    /// A refusal of a request whose method nobody has looked at yet.
    pub const fn new(status: &'static str, why: &'static str) -> Refused {
        let head_only = false;
        Refused {
            status,
            why,
            head_only,
        }
    }

    /// The same refusal, of the request that begins with these bytes.
    pub(crate) fn of_request(self, bytes: &[u8]) -> Refused {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let line = lines.find(|line| !matches!(line, [] | [b'\r']));
        let line = line.unwrap_or_default().trim_ascii_start();
        let head_only = line.split(u8::is_ascii_whitespace).next() == Some(b"HEAD");
        Refused { head_only, ..self }
    }
}
// ANCHOR_END: refused_new

// ANCHOR: refused_of
impl Refused {
    /// The refusal in an error, or in what caused it.
    pub fn of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Refused> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(refused) = error.downcast_ref::<Refused>() {
                return Some(refused);
            }
            // An `io::Error` is no cause of what it holds, says the library.
            let held = error.downcast_ref::<io::Error>();
            let held = held.and_then(|error| error.get_ref());
            cause = held.map(|held| held as _).or(error.source());
        }
        None
    }
}
// ANCHOR_END: refused_of

// ANCHOR: refused_io
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.why)
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> io::Error {
        io::Error::new(ErrorKind::InvalidData, refused)
    }
}
// ANCHOR_END: refused_io

// ANCHOR: statuses
pub(crate) const fn bad_request(why: &'static str) -> Refused {
    Refused::new("400 Bad Request", why)
}

pub(crate) const TOO_LARGE: Refused = Refused::new(
    "413 Content Too Large",
    "the body is longer than this server takes",
);
pub(crate) const TARGET_TOO_LONG: Refused = Refused::new(
    "414 URI Too Long",
    "the first line is longer than this server takes",
);
pub(crate) const HEAD_TOO_LARGE: Refused = Refused::new(
    "431 Request Header Fields Too Large",
    "the head is longer than this server takes",
);
const METHOD_UNKNOWN: Refused = Refused::new(
    "501 Not Implemented",
    "this server is no proxy and takes no CONNECT",
);
const CODING_UNKNOWN: Refused = Refused::new(
    "501 Not Implemented",
    "of the transfer codings this server knows chunked alone",
);
const VERSION_UNKNOWN: Refused = Refused::new(
    "505 HTTP Version Not Supported",
    "this server speaks HTTP/1.0 and HTTP/1.1",
);
// ANCHOR_END: statuses

/// The bytes of the next head, up to and with the empty line; no bytes if the
/// client has left without a word. Reads none of the body.
///
/// A line may end with a line feed alone (RFC 9112, section 2.2), as it does
/// when a request is typed by hand.
///
/// # Errors
///
/// A [`Refused`] head that is too long or breaks off; any error of `connection`.
// ANCHOR: read_head
pub fn read_head(connection: &mut impl BufRead, limits: &Limits) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1000); // more than most have
    let mut first = true;
    loop {
        let limit = if first {
            limits.max_line
        } else {
            limits.max_head
        };
        let start = head.len();
        let mut room = connection.by_ref().take(limit.saturating_sub(start as u64));
        room.read_until(b'\n', &mut head)?;

        match &head[start..] {
            // Empty lines before the first are passed over (section 2.2), and count.
            b"\n" | b"\r\n" if first => {}
            b"\n" | b"\r\n" => return Ok(head),
            [.., b'\n'] => first = false,
            _ if head.len() as u64 >= limit => {
                let refused = if first {
                    TARGET_TOO_LONG
                } else {
                    HEAD_TOO_LARGE
                };
                return Err(refused.of_request(&head).into());
            }
            [] if first => return Ok(Vec::new()),
            _ => return Err(bad_request("the head breaks off").of_request(&head).into()),
        }
    }
}
// ANCHOR_END: read_head

// ANCHOR: head
/// The head of a request: places in the bytes that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// The method: `GET`.
    pub method: &'a str,
    /// The target, as it came: the path, and the query behind a `?`.
    pub target: &'a [u8],
    /// The version: `HTTP/1.0` or `HTTP/1.1`.
    pub version: &'static str,
    /// The header fields, in their order, each without the space around its
    /// value.
    pub fields: Vec<Field<'a>>,
    /// Where the body ends.
    pub framing: Framing,
}

/// A header field: its name, and its value in bytes.
pub type Field<'a> = (&'a str, &'a [u8]);
// ANCHOR_END: head

// ANCHOR: framings
/// Where the body of a request ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes, perhaps none.
    Length(u64),
    /// After the chunk of no bytes.
    Chunked,
}
// ANCHOR_END: framings

// ANCHOR: parse
impl<'a> Head<'a> {
    /// Takes a head apart.
    ///
    /// # Errors
    ///
    /// Everything that RFC 9112 tells a server to refuse, and what this server
    /// does not do, each with its status.
    pub fn parse(head: &'a [u8], limits: &Limits) -> Result<Head<'a>, Refused> {
        Head::of_lines(head, limits).map_err(|refused| refused.of_request(head))
    }

    fn of_lines(head: &'a [u8], limits: &Limits) -> Result<Head<'a>, Refused> {
        let mut lines = head
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .skip_while(|line| line.is_empty());
        // ANCHOR_END: parse

        // ANCHOR: parts
        let (method, target, version) = request_line(lines.next().unwrap_or_default())?;
        let mut fields = Vec::with_capacity(20); // more than most have
        for line in lines.take_while(|line| !line.is_empty()) {
            fields.push(field(line)?);
            if fields.len() > limits.max_fields {
                return Err(HEAD_TOO_LARGE);
            }
        }
        check_host(version, &fields)?;
        check_singletons(&fields)?;
        let framing = framing(version, &fields, limits)?;
        Ok(Head {
            method,
            target,
            version,
            fields,
            framing,
        })
    }
    // ANCHOR_END: parts

    // ANCHOR: expects
    /// Whether the client waits to be told that its body is wanted (RFC 9110,
    /// section 10.1.1). What else it expects is passed over.
    pub fn expects_continue(&self) -> bool {
        let mut expects = self.list("Expect");
        self.version == "HTTP/1.1" && expects.any(|what| what.eq_ignore_ascii_case(b"100-continue"))
    }
    // ANCHOR_END: expects

    // ANCHOR: values
    /// The first field of that name, in any case.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        let mut fields = self.fields.iter();
        let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// The members of a field that is a list (RFC 9110, section 5.6.1), on
    /// however many lines they stand.
    pub fn list<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [u8]> + 's {
        values(&self.fields, name).flat_map(members)
    }
}

/// The values of all fields of that name.
fn values<'a>(fields: &'a [Field<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
    let named = move |(field, _): &&Field| field.eq_ignore_ascii_case(name);
    fields.iter().filter(named).map(|(_, value)| *value)
}
// ANCHOR_END: values

// ANCHOR: members
/// What stands between the commas of a list. A comma between quotes is none of
/// them, and a member without bytes is no member.
fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let separates = move |byte: &u8| {
        let separates = *byte == b',' && !quoted;
        quoted ^= *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && quoted && !escaped;
        separates
    };
    let members = list.split(separates).map(<[u8]>::trim_ascii);
    members.filter(|member| !member.is_empty())
}
// ANCHOR_END: members

// ANCHOR: words
/// Section 3: three words with one space between them.
fn request_line(line: &[u8]) -> Result<(&str, &[u8], &'static str), Refused> {
    let mut words = line.split(|byte| *byte == b' ');
    let three = (words.next(), words.next(), words.next());
    let ((Some(method), Some(target), Some(version)), None) = (three, words.next()) else {
        return Err(bad_request("the first line is not of three words"));
    };
    let method = token(method).ok_or(bad_request("the method is no word"))?;
    let version = match version {
        b"HTTP/1.0" => "HTTP/1.0",
        // A later 1.x is read as 1.1 (RFC 9110, section 2.5).
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => "HTTP/1.1",
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            return Err(VERSION_UNKNOWN)
        }
        _ => return Err(bad_request("the first line ends in no version")),
    };
    // ANCHOR_END: words

    // ANCHOR: target
    // RFC 3986 has no bytes above 0x7f. Clients send them, so they are let through.
    let allowed = |byte: &u8| *byte > b' ' && *byte != b'#' && *byte != 0x7f;
    if !target.iter().all(allowed) {
        return Err(bad_request("the target has a character that none may have"));
    }
    match target {
        _ if method == "CONNECT" => Err(METHOD_UNKNOWN),
        [b'/', ..] => Ok((method, target, version)),
        b"*" if method == "OPTIONS" => Ok((method, target, version)),
        _ if authority(target).is_some() => Ok((method, target, version)),
        _ => Err(bad_request(
            "the target is neither a path nor a URI of http or https",
        )),
    }
}
// ANCHOR_END: target

// ANCHOR: token
fn token(word: &[u8]) -> Option<&str> {
    let word = Some(word).filter(|word| is_token(word))?;
    std::str::from_utf8(word).ok()
}

/// Whether this may be the name of a method or a field (RFC 9110, section
/// 5.6.2).
pub(crate) fn is_token(word: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !word.is_empty() && word.iter().all(allowed)
}

/// Whether this may be the value of a field (RFC 9110, section 5.5). Above 0x7f
/// is what it calls obs-text.
pub(crate) fn is_value(text: &[u8]) -> bool {
    let allowed = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    text.iter().all(allowed)
}
// ANCHOR_END: token

// ANCHOR: authority
/// The host and the rest of a target that is a whole URI (section 3.2.2).
fn authority(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let begins = |scheme: &&[u8]| {
        let start = target.get(..scheme.len()).unwrap_or_default();
        start.eq_ignore_ascii_case(scheme)
    };
    let scheme = [&b"http://"[..], b"https://"].into_iter().find(begins)?;
    let rest = &target[scheme.len()..];
    let end = rest.iter().position(|byte| b"/?".contains(byte));
    let (host, rest) = rest.split_at(end.unwrap_or(rest.len()));
    (!host.is_empty() && is_authority(host)).then_some((host, rest))
}
// ANCHOR_END: authority

// ANCHOR: field
/// Section 5: a name, a colon, a value.
pub(crate) fn field(line: &[u8]) -> Result<Field<'_>, Refused> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Err(bad_request("a field is folded over two lines"));
    }
    let colon = line.iter().position(|byte| *byte == b':');
    let colon = colon.ok_or(bad_request("a field has no colon"))?;
    let name = token(&line[..colon]).ok_or(bad_request("the name of a field is no word"))?;

    // Before trimming: trim_ascii would remove a bare CR, which must be refused.
    let value = &line[colon + 1..];
    if !is_value(value) {
        return Err(bad_request("a field has a control character in it"));
    }
    Ok((name, value.trim_ascii()))
}
// ANCHOR_END: field

// ANCHOR: host
/// Section 3.2: one `Host`, which only HTTP/1.0 may leave out. It may be empty.
fn check_host(version: &str, fields: &[Field]) -> Result<(), Refused> {
    let mut hosts = values(fields, "Host");
    match (hosts.next(), hosts.next()) {
        (None, _) if version == "HTTP/1.0" => Ok(()),
        (None, _) => Err(bad_request("the field Host is missing")),
        (Some(host), None) if is_authority(host) => Ok(()),
        (Some(_), None) => Err(bad_request("the field Host names no host")),
        _ => Err(bad_request("there is more than one Host")),
    }
}
// ANCHOR_END: host

// ANCHOR: is_authority
/// A host, perhaps with a port, or nothing: RFC 3986, section 3.2, without the
/// user.
fn is_authority(text: &[u8]) -> bool {
    // In brackets, a colon belongs to the host.
    let place = |sign: u8| text.iter().position(|byte| *byte == sign);
    let end = match text {
        [b'[', ..] => place(b']').map(|last| last + 1),
        _ => place(b':'),
    };
    let (host, port) = text.split_at(end.unwrap_or(text.len()));
    let named = match host {
        [b'[', address @ .., b']'] => is_address(address),
        _ => is_name(host, b""),
    };
    let port = match port {
        [] => true,
        [b':', port @ ..] => !host.is_empty() && is_port(port),
        _ => false,
    };
    named && port
}
// ANCHOR_END: is_authority

// ANCHOR: is_name
/// Section 3.2.2: letters, digits, some signs, and bytes in hexadecimal; here
/// `more` signs too. Without the comma, which two hosts would have in between
/// that somebody has joined.
fn is_name(name: &[u8], more: &[u8]) -> bool {
    let sign = |byte: &u8| b"-._~!$&'()*+;=".contains(byte) || more.contains(byte);
    let other = |byte: &u8| !byte.is_ascii_alphanumeric() && !sign(byte);
    let hex = u8::is_ascii_hexdigit;
    let mut rest = name;
    while let Some(place) = rest.iter().position(other) {
        rest = match &rest[place..] {
            [b'%', high, low, after @ ..] if hex(high) && hex(low) => after,
            _ => return false,
        };
    }
    true
}
// ANCHOR_END: is_name

// ANCHOR: is_address
/// What stands between brackets: an address of IPv6, or of a version to come,
/// `v`, its number, a dot, and whatever it wants.
fn is_address(address: &[u8]) -> bool {
    let text = std::str::from_utf8(address).unwrap_or_default();
    let (version, rest) = text.split_once('.').unwrap_or_default();
    let number = version.strip_prefix(['v', 'V']).unwrap_or_default();
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_hexdigit());
    let later = digits && !rest.is_empty() && !rest.contains('%') && is_name(rest.as_bytes(), b":");
    later || text.parse::<Ipv6Addr>().is_ok()
}

/// Section 3.2.3 leaves the number open, and TCP has ports of 16 bits.
fn is_port(port: &[u8]) -> bool {
    let digits = port.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(port).unwrap_or_default().parse::<u16>();
    digits && (port.is_empty() || number.is_ok())
}
// ANCHOR_END: is_address

// ANCHOR: singletons
/// The fields of a request that have one value and are no list (RFC 9110; RFC
/// 6454; RFC 4918), besides `Host` and `Content-Length`.
const SINGLETONS: [&str; 19] = [
    "Authorization",
    "Content-Location",
    "Content-Range",
    "Content-Type",
    "Date",
    "Depth",
    "Destination",
    "From",
    "If-Modified-Since",
    "If-Range",
    "If-Unmodified-Since",
    "Lock-Token",
    "Max-Forwards",
    "Origin",
    "Overwrite",
    "Proxy-Authorization",
    "Range",
    "Referer",
    "User-Agent",
];

/// RFC 9110, section 8.3: of two, one reader takes the first and another the
/// last.
fn check_singletons(fields: &[Field]) -> Result<(), Refused> {
    for (place, (name, _)) in fields.iter().enumerate() {
        let again = values(&fields[..place], name).next().is_some();
        let single = |known: &&str| known.eq_ignore_ascii_case(name);
        if again && SINGLETONS.iter().any(single) {
            return Err(bad_request("a field that has one value is there twice"));
        }
    }
    Ok(())
}
// ANCHOR_END: singletons

// ANCHOR: framing
/// Section 6.3, for a request. Two answers to the question where it ends are
/// how requests are smuggled, so there may be one.
fn framing(version: &str, fields: &[Field], limits: &Limits) -> Result<Framing, Refused> {
    let mut codings = values(fields, "Transfer-Encoding").peekable();
    let mut lengths = values(fields, "Content-Length");
    match (codings.peek(), lengths.next(), lengths.next()) {
        (None, None, _) => Ok(Framing::Length(0)),
        (None, Some(length), None) => Ok(Framing::Length(content_length(length, limits)?)),
        (None, ..) => Err(bad_request("there are two lengths")),
        (_, Some(_), _) => Err(bad_request("there is a length and a transfer coding")),
        _ if version == "HTTP/1.0" => Err(bad_request("HTTP/1.0 has no transfer codings")),
        _ => {
            let codings: Vec<&[u8]> = codings.collect();
            coding(&codings.join(&b',').to_ascii_lowercase())
        }
    }
}
// ANCHOR_END: framing

// ANCHOR: coding
/// The list of transfer codings. Without chunked at its end the body has none,
/// which section 6.3 calls the client's mistake.
fn coding(list: &[u8]) -> Result<Framing, Refused> {
    let codings = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    match codings.collect::<Vec<&[u8]>>()[..] {
        [b"chunked"] => Ok(Framing::Chunked),
        [.., b"chunked"] => Err(CODING_UNKNOWN),
        _ => Err(bad_request("the last transfer coding is not chunked")),
    }
}
// ANCHOR_END: coding

// ANCHOR: content_length
/// Digits and nothing else: not `+5`, not `0x5`, not `5, 5`.
fn content_length(value: &[u8], limits: &Limits) -> Result<u64, Refused> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(bad_request("the length is no number"));
    }
    let length = String::from_utf8_lossy(value).parse();
    match length {
        Ok(length) if length <= limits.max_body => Ok(length),
        _ => Err(TOO_LARGE), // also when it does not fit into 64 bits
    }
}
// ANCHOR_END: content_length

// ANCHOR: to_environ
impl Head<'_> {
    /// The environ of this request. What the head does not say is left to the
    /// server: `SERVER_NAME` (an address of IPv6 in brackets: RFC 3875, section
    /// 4.1.14), `SERVER_PORT`, `REMOTE_ADDR`, the scheme, the flags.
    pub fn environ(&self, input: Input) -> Environ {
        let mut environ = Environ::new(input);
        let mut target = self.target;
        let authority = authority(target);
        if let Some((_, rest)) = authority {
            target = rest;
        }
        let question = target.iter().position(|byte| *byte == b'?');
        let (path, query) = target.split_at(question.unwrap_or(target.len()));
        let path: &[u8] = match path {
            b"*" => b"", // OPTIONS * asks about the server and no path
            // And so does OPTIONS of a URI without one (section 3.2.4).
            b"" if self.method == "OPTIONS" && query.is_empty() => b"",
            b"" => b"/",
            path => path,
        };
        let path: Cow<[u8]> = percent_decode(path).into();
        let query = query.strip_prefix(b"?").unwrap_or_default();
        environ.add("REQUEST_METHOD", self.method);
        environ.add("SCRIPT_NAME", "");
        environ.add("PATH_INFO", path);
        environ.add("QUERY_STRING", query);
        environ.add("SERVER_PROTOCOL", self.version);
        self.variables(&mut environ);
        if let Some((host, _)) = authority {
            environ.set("HTTP_HOST", host); // section 3.2.2: Host does not count
        }
        environ
    }
    // ANCHOR_END: to_environ

    // ANCHOR: join
    /// A variable for each field. Repeated fields are one list (RFC 9110, section
    /// 5.3); cookies have a separator of their own (RFC 6265, section 4.2.1).
    fn variables(&self, environ: &mut Environ) {
        for (place, (name, value)) in self.fields.iter().enumerate() {
            let Some(prefix) = prefix(name) else {
                continue;
            };
            if values(&self.fields[..place], name).next().is_some() {
                continue; // it is in the list that the first of them has become
            }
            let separator = match name.eq_ignore_ascii_case("Cookie") {
                true => "; ",
                false => ", ",
            };
            environ.push(
                |to| {
                    to.extend_from_slice(prefix.as_bytes());
                    to.extend(name.bytes().map(letter));
                },
                |to| {
                    to.extend_from_slice(value);
                    for value in values(&self.fields[place + 1..], name) {
                        to.extend_from_slice(separator.as_bytes());
                        to.extend_from_slice(value);
                    }
                },
            );
        }
    }
    // ANCHOR_END: join
}

// ANCHOR: variable
/// What the variable for a field begins with, if it may have one.
fn prefix(name: &str) -> Option<&'static str> {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    // `X_User` would be taken for `X-User`, which a proxy may have vouched for.
    // A transfer coding has been decoded (section 7.1.3).
    if name.contains('_') || is("Transfer-Encoding") {
        return None;
    }
    match is("Content-Type") || is("Content-Length") {
        true => Some(""),
        false => Some("HTTP_"),
    }
}

/// And what it goes on with, for each letter of the field's name.
fn letter(letter: u8) -> u8 {
    match letter {
        b'-' => b'_',
        letter => letter.to_ascii_uppercase(),
    }
}
// ANCHOR_END: variable

// ANCHOR: request_body
/// The body of a request: what `connection` gives after the head, decoded, and
/// not a byte of what comes behind it.
pub struct RequestBody<R> {
    connection: R,
    chunked: bool,
    /// Bytes to come, of the body or of this chunk.
    remaining: u64,
    /// Bytes of all chunks so far.
    total: u64,
    limits: Limits,
    /// The error of an earlier read, which each later read returns again.
    failed: Option<Refused>,
    /// Whether it has been read to its end.
    over: bool,
    /// The same, for whoever has asked to be told.
    ended: Option<Arc<AtomicBool>>,
}
// ANCHOR_END: request_body

// ANCHOR: new_body
impl<R: BufRead> RequestBody<R> {
    /// The body that begins where `connection` stands.
    pub fn new(connection: R, framing: Framing, limits: &Limits) -> RequestBody<R> {
        let (chunked, remaining) = match framing {
            Framing::Length(length) => (false, length),
            Framing::Chunked => (true, 0),
        };
        RequestBody {
            connection,
            chunked,
            remaining,
            total: 0,
            limits: *limits,
            failed: None,
            over: framing == Framing::Length(0),
            ended: None,
        }
    }

    /// A flag that becomes true when the body has been read to its end. It can be
    /// asked after the body has moved into an application.
    pub fn ended(&mut self) -> Arc<AtomicBool> {
        let over = self.over;
        let ended = self.ended.get_or_insert_with(|| Arc::new(over.into()));
        Arc::clone(ended)
    }

    fn end(&mut self) {
        self.over = true;
        if let Some(ended) = &self.ended {
            ended.store(true, Ordering::Relaxed);
        }
    }
}
// ANCHOR_END: new_body

// ANCHOR: fill_buf
impl<R: BufRead> BufRead for RequestBody<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Some(refused) = self.failed {
            return Err(refused.into());
        }
        if self.over {
            return Ok(&[]);
        }
        if self.chunked && self.remaining == 0 {
            self.next_chunk().inspect_err(|error| {
                let broken = bad_request("the body broke off");
                self.failed = Some(Refused::of(error).copied().unwrap_or(broken));
            })?;
            if self.remaining == 0 {
                return Ok(&[]); // a size of 0: the last chunk
            }
        }
        let here = self.connection.fill_buf()?;
        if here.is_empty() {
            let refused = bad_request("the body breaks off");
            self.failed = Some(refused);
            return Err(refused.into());
        }
        let ours = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        Ok(&here[..ours.min(here.len())])
    }
    // ANCHOR_END: fill_buf

    // ANCHOR: consume
    fn consume(&mut self, read: usize) {
        self.connection.consume(read);
        self.remaining -= read as u64;
        if !self.chunked && self.remaining == 0 {
            self.end();
        }
    }
    // ANCHOR_END: consume
}

// ANCHOR: read
impl<R: BufRead> Read for RequestBody<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let here = self.fill_buf()?;
        let read = here.len().min(buffer.len());
        buffer[..read].copy_from_slice(&here[..read]);
        self.consume(read);
        Ok(read)
    }
}
// ANCHOR_END: read

// ANCHOR: next_chunk
impl<R: BufRead> RequestBody<R> {
    /// Section 7.1: a size in hexadecimal digits, perhaps with extensions behind
    /// a semicolon, CRLF, so many bytes, CRLF; a size of 0 ends the body.
    fn next_chunk(&mut self) -> io::Result<()> {
        if self.total > 0 {
            self.line(2)?; // the CRLF behind the chunk before
        }
        self.remaining = chunk_size(&self.line(self.limits.max_chunk_line)?)?;
        self.total = self.total.saturating_add(self.remaining);
        if self.total > self.limits.max_body {
            return Err(TOO_LARGE.into());
        }
        if self.remaining == 0 {
            self.trailers()?;
            self.end();
        }
        Ok(())
    }
    // ANCHOR_END: next_chunk

    // ANCHOR: trailers
    /// Section 7.1.2: fields behind the last chunk, which may be dropped.
    fn trailers(&mut self) -> io::Result<()> {
        let mut room = self.limits.max_head;
        loop {
            let line = self.line(room)?;
            if line.is_empty() {
                return Ok(());
            }
            field(&line)?;
            room -= line.len() as u64 + 2; // with its CRLF
        }
    }
    // ANCHOR_END: trailers

    // ANCHOR: line
    /// A line of at most `size` bytes, without the CRLF that must end it: here
    /// a bare line feed is an error, because others do not take it for an end.
    fn line(&mut self, size: u64) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let mut limited = self.connection.by_ref().take(size);
        limited.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(text) if is_value(text) => Ok(text.to_vec()),
            _ => Err(bad_request("a chunk does not end where it should").into()),
        }
    }
}
// ANCHOR_END: line

// ANCHOR: chunk_size
/// The size that begins this line, before any extensions.
pub(crate) fn chunk_size(line: &[u8]) -> Result<u64, Refused> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit());
    let (digits, rest) = line.split_at(end.unwrap_or(line.len()));
    let extended = rest.trim_ascii_start().starts_with(b";");
    if digits.is_empty() || !(rest.is_empty() || extended) {
        return Err(bad_request("the size of a chunk is no number"));
    }
    u64::from_str_radix(&String::from_utf8_lossy(digits), 16).map_err(|_| TOO_LARGE)
}
// ANCHOR_END: chunk_size
