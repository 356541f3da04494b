//! What a server that runs applications does with a connection: reads one request
//! from it, makes its environ, prints both sides of the conversation, and closes in
//! stages.

use crate::http::{read_head, Framing, Head, Limits, Refused, RequestBody};
use crate::log::print;
use crate::respond::lock;
use crate::{refuse, Environ, Outcome, Result};
use nix::errno::Errno;
use nix::libc::{self, c_int};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

// ANCHOR: connection
const READ_SIZE: usize = 1000; // bytes read at a time: most heads are one read

/// A connection that a reader and a writer hold at the same time. The last to
/// let go of it closes it.
#[derive(Clone)]
pub struct Connection(Arc<Shared>);

struct Shared {
    stream: TcpStream,
    peer: SocketAddr,
    /// Bytes read so far.
    received: AtomicU64,
    /// Whether the client waits to be told that its body is wanted.
    expects_continue: AtomicBool,
    /// Where the request ends; not known of one that was refused.
    end: Mutex<Option<End>>,
}
// ANCHOR_END: connection

// ANCHOR: accept
/// The next client of a listener that does not wait; none if there is none, or if
/// what went wrong is that connection's, and the next may be better.
///
/// # Errors
///
/// Any other of `accept`.
pub fn accept(listener: &TcpListener) -> io::Result<Option<(TcpStream, SocketAddr)>> {
    let (stream, peer) = match listener.accept() {
        Ok(accepted) => accepted,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
        Err(error) if is_lost(&error) => return Ok(None),
        Err(error) => return Err(io::Error::new(error.kind(), format!("accept: {error}"))),
    };
    #[cfg(not(target_os = "linux"))] // elsewhere it inherits O_NONBLOCK from the listener
    stream.set_nonblocking(false)?;
    Ok(Some((stream, peer)))
}

/// Errors of the new connection, which accept hands on: see accept(2).
const LOST: &[Errno] = &[
    Errno::ECONNABORTED, // the client left while it was still waiting
    Errno::EPERM,        // a firewall has forbidden it
    Errno::EPROTO,
    Errno::ENOPROTOOPT,
    Errno::EOPNOTSUPP,
    Errno::ENETDOWN,
    Errno::ENETUNREACH,
    Errno::EHOSTDOWN,
    Errno::EHOSTUNREACH,
    Errno::ETIMEDOUT,
    #[cfg(target_os = "linux")]
    Errno::ENONET,
];

fn is_lost(error: &io::Error) -> bool {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    LOST.contains(&errno)
}
// ANCHOR_END: accept

// ANCHOR: read_write
impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut stream = &self.0.stream;
        if self.0.expects_continue.swap(false, Ordering::Relaxed) {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        loop {
            match stream.read(buffer) {
                // The handler of some signal, an application's perhaps, has run.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.inspect(|read| self.count(*read)),
            }
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Once the answer has begun, an interim answer would be taken for a part of it.
        self.0.expects_continue.store(false, Ordering::Relaxed);
        (&self.0.stream).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&self.0.stream).flush()
    }
}

impl Connection {
    fn count(&self, read: usize) {
        self.0.received.fetch_add(read as u64, Ordering::Relaxed);
    }
}
// ANCHOR_END: read_write

// ANCHOR: request
/// A request whose head has been read.
pub struct Request {
    /// What its head says; the input is its body.
    environ: Environ,
    /// The client's address.
    peer: SocketAddr,
}

/// Where a request ends.
enum End {
    /// After so many bytes of the connection, as its head says.
    Bytes(u64),
    /// Behind its last chunk: whether its body has been read to there.
    LastChunk(Arc<AtomicBool>),
}
// ANCHOR_END: request

// ANCHOR: read_request
impl Connection {
    /// Takes over a connection that has been accepted.
    pub fn new(stream: TcpStream, peer: SocketAddr) -> Connection {
        Connection(Arc::new(Shared {
            stream,
            peer,
            received: AtomicU64::new(0),
            expects_continue: AtomicBool::new(false),
            end: Mutex::new(None),
        }))
    }

    /// Reads the head of a request, shows it to `log` as it came, and parses it.
    /// None if the client has left without a word.
    ///
    /// # Errors
    ///
    /// A [`Refused`] request; any error of the connection.
    pub fn read_request(
        &self,
        limits: &Limits,
        log: impl FnOnce(&[u8]),
    ) -> io::Result<Option<Request>> {
        let mut reader = BufReader::with_capacity(READ_SIZE, self.clone());
        let bytes = read_head(&mut reader, limits)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        log(&bytes);
        let head = Head::parse(&bytes, limits)?;
        let waits = head.expects_continue() && reader.buffer().is_empty();
        self.0.expects_continue.store(waits, Ordering::Relaxed);

        let mut body = RequestBody::new(reader, head.framing, limits);
        *lock(&self.0.end) = Some(match head.framing {
            Framing::Length(length) => End::Bytes(length.saturating_add(bytes.len() as u64)),
            Framing::Chunked => End::LastChunk(body.ended()),
        });
        let environ = head.environ(Box::new(body));
        let peer = self.0.peer;
        Ok(Some(Request { environ, peer }))
    }
}
// ANCHOR_END: read_request

// ANCHOR: environ
impl Request {
    /// The environ: what the head says, and what only a server knows.
    pub fn environ(self, server: SocketAddr, software: &str) -> Environ {
        let mut environ = self.environ;
        environ.add_connection(server, software, self.peer);
        environ
    }
}

impl Environ {
    /// Adds what only a server knows: its own address and name, and the client's
    /// address (RFC 3875, section 4.1). None of it may be there yet: nobody looks.
    pub fn add_connection(&mut self, server: SocketAddr, software: &str, peer: SocketAddr) {
        match server.ip() {
            // As in a URI: RFC 3986, section 3.2.2.
            IpAddr::V6(ip) => self.add("SERVER_NAME", format!("[{ip}]")),
            IpAddr::V4(ip) => self.add_ip("SERVER_NAME", ip.into()),
        }
        self.add_number("SERVER_PORT", server.port());
        self.add("SERVER_SOFTWARE", software);
        self.add_ip("REMOTE_ADDR", peer.ip());
        self.add_number("REMOTE_PORT", peer.port());
    }
}
// ANCHOR_END: environ

// ANCHOR: answer
impl Connection {
    /// What a server does with a connection: reads a request, has it answered by
    /// `respond`, closes, and prints both. A request that cannot be read is refused;
    /// with a client that leaves without a word there is nothing to do.
    ///
    /// # Errors
    ///
    /// What went wrong with the request or the connection.
    pub fn answer(
        self,
        limits: &Limits,
        log: impl FnOnce(&[u8]),
        respond: impl FnOnce(Request, Connection) -> Outcome,
    ) -> Result<()> {
        let outcome = match self.read_request(limits, log) {
            Ok(Some(request)) => respond(request, self.clone()),
            Ok(None) => return Ok(()),
            Err(error) if Refused::of(&error).is_some() => refuse(error, self.clone()),
            Err(error) => return Err(error.into()),
        };
        self.close(limits.linger); // before we print: the client waits for the close
        print_response(&outcome);
        match outcome.error {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }
}
// ANCHOR_END: answer

// ANCHOR: close
impl Connection {
    /// Closes in stages (RFC 9112, section 9.6). A close with bytes unread, or
    /// before bytes that still come, is a reset, and may cost the client an answer
    /// that it has not received yet. So the end of the answer is announced, and
    /// what comes is read and thrown away, until the request is whole and the
    /// client's kernel has acknowledged the answer; until the client closes; or
    /// for as long as `patience` lasts.
    pub fn close(self, patience: Duration) {
        if !self.is_over() {
            let _ = self.linger(patience); // the client may have left
        }
        if Arc::strong_count(&self.0) > 1 {
            // Somebody keeps a copy, and the client should not wait for that.
            let _ = self.0.stream.shutdown(Shutdown::Both);
        }
    }

    fn linger(&self, patience: Duration) -> io::Result<()> {
        let mut stream = &self.0.stream;
        stream.shutdown(Shutdown::Write)?;
        let begun = Instant::now();
        let mut pause = Duration::from_millis(1); // until the next look
        let mut unwanted = [0; 1024];
        while !self.is_over() && begun.elapsed() < patience {
            stream.set_read_timeout(Some(pause))?;
            match stream.read(&mut unwanted) {
                Ok(0) => return Ok(()), // end of file: the client has closed its side
                Ok(read) => self.count(read),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => pause *= 2,
                    ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
            pause = pause.min(patience.saturating_sub(begun.elapsed()));
        }
        Ok(())
    }
    // ANCHOR_END: close

    // ANCHOR: is_over
    /// Whether the request has come, and all of the answer has arrived.
    fn is_over(&self) -> bool {
        let whole = match &*lock(&self.0.end) {
            Some(End::Bytes(bytes)) => *bytes <= self.0.received.load(Ordering::Relaxed),
            Some(End::LastChunk(seen)) => seen.load(Ordering::Relaxed),
            None => false,
        };
        whole && unread(&self.0.stream) == Some(0) && unacknowledged(&self.0.stream) == Some(0)
    }
}

/// Bytes that have come and that nobody has read.
fn unread(stream: &TcpStream) -> Option<c_int> {
    nix::ioctl_read_bad!(fionread, libc::FIONREAD, c_int);
    let mut bytes = 0;
    // SAFETY: the descriptor is open, and the kernel writes one int, which is there.
    unsafe { fionread(stream.as_raw_fd(), &mut bytes) }.ok()?;
    Some(bytes)
}

/// Bytes that have been sent and that the client's kernel has not acknowledged.
/// None where the system does not say.
fn unacknowledged(stream: &TcpStream) -> Option<c_int> {
    #[cfg(target_os = "linux")]
    {
        nix::ioctl_read_bad!(siocoutq, libc::TIOCOUTQ, c_int);
        let mut bytes = 0;
        // SAFETY: the descriptor is open, and the kernel writes one int, which is there.
        unsafe { siocoutq(stream.as_raw_fd(), &mut bytes) }.ok()?;
        Some(bytes)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = stream;
        None
    }
}
// ANCHOR_END: is_over

// ANCHOR: log
/// Prints the head of a request, each line behind a `<`, as `curl -v` prints what
/// comes.
pub fn print_request(head: &[u8]) {
    print_request_of("", head);
}

/// The same, behind a line about the process that has read it.
pub fn print_request_of(process: &str, head: &[u8]) {
    let mut text = Vec::with_capacity(process.len() + 2 * head.len());
    text.extend_from_slice(process.as_bytes());
    mark(&mut text, b'<', head);
    print(&text);
}

/// Prints the head of an answer, each line behind a `>`, and how many bytes of a
/// body went after it.
pub fn print_response(outcome: &Outcome) {
    let mut text = Vec::with_capacity(2 * outcome.head.len());
    mark(&mut text, b'>', &outcome.head);
    let _ = writeln!(text, "}} [{} bytes data]", outcome.body);
    print(&text);
}

/// Adds the lines of a head, each behind a mark.
fn mark(text: &mut Vec<u8>, mark: u8, head: &[u8]) {
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        text.push(mark);
        text.extend(line.first().map(|_| b' '));
        // Other bytes could be part of an escape sequence, a command to a terminal.
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
}
// ANCHOR_END: log
