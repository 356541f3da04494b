//! A client that says exactly what it is told, and reports exactly what it
//! gets.

use crate::{read_once, LIMIT, SILENCE};
use nix::sys::socket::{setsockopt, sockopt};
use std::io::{ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

/// A connection to a server.
pub struct Client {
    stream: TcpStream,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The server closed it.
    Closed,
    /// The server reset it.
    Reset,
    /// Nothing came any more, and the client stopped waiting.
    Silent,
}

impl Client {
    /// Connects to a server.
    ///
    /// # Panics
    ///
    /// When it does not listen.
    pub fn connect(address: SocketAddr) -> Client {
        let client = Client::try_connect(address);
        client.unwrap_or_else(|error| panic!("connect to {address}: {error}"))
    }

    /// Connects to a server that may have ended.
    ///
    /// # Errors
    ///
    /// What the system says of a server that does not listen.
    pub fn try_connect(address: SocketAddr) -> std::io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, LIMIT)?;
        Ok(Client { stream })
    }

    /// Sends these bytes to a server that may have ended.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Where the client stands.
    pub fn address(&self) -> SocketAddr {
        self.stream
            .local_addr()
            .expect("a connected socket has an address")
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        let sent = self.stream.write_all(bytes.as_ref());
        sent.unwrap_or_else(|error| panic!("send to the server: {error}"));
        self
    }

    /// Sends these bytes, and says whether the server still takes them.
    pub fn takes(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends these bytes one by one, each in a packet of its own.
    pub fn send_slowly(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        let set = self.stream.set_nodelay(true);
        set.expect("every TCP socket takes TCP_NODELAY");
        for byte in bytes.as_ref() {
            self.send([*byte]);
        }
        self
    }

    /// Sends these bytes, as far as the server takes them, and reads meanwhile, so
    /// that neither side waits for the other.
    pub fn exchange(&mut self, bytes: &[u8]) -> (Vec<u8>, End) {
        let stream = self.stream.try_clone();
        let mut stream = stream.expect("there are descriptors enough");
        thread::scope(|scope| {
            scope.spawn(move || stream.write_all(bytes));
            self.read_to_end()
        })
    }

    /// What comes next, in one read; no bytes at the end.
    pub fn read_some(&mut self) -> Vec<u8> {
        let set = self.stream.set_read_timeout(Some(LIMIT));
        set.expect("the patience is not zero");
        let mut chunk = [0; 65536];
        let read = read_once(&self.stream, &mut chunk);
        let read = read.unwrap_or_else(|error| panic!("read from the server: {error}"));
        chunk[..read].to_vec()
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> &mut Client {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// Everything up to the end of the connection, and how it ended. A server
    /// that neither speaks nor closes within [`LIMIT`] is silent.
    pub fn read_to_end(&mut self) -> (Vec<u8>, End) {
        self.read(LIMIT)
    }

    /// What comes without long waiting: for a server that should say nothing.
    pub fn read_soon(&mut self) -> (Vec<u8>, End) {
        self.read(SILENCE)
    }

    /// What has come by now.
    pub fn read_now(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 65536];
        let set = self.stream.set_nonblocking(true);
        set.expect("every socket takes this flag");
        while let Ok(read @ 1..) = read_once(&self.stream, &mut chunk) {
            bytes.extend_from_slice(&chunk[..read]);
        }
        let set = self.stream.set_nonblocking(false);
        set.expect("every socket takes this flag");
        bytes
    }

    /// Whether the server has closed the connection by now, and there is nothing to read.
    pub fn is_closed(&mut self) -> bool {
        let set = self.stream.set_nonblocking(true);
        set.expect("every socket takes this flag");
        let closed = match self.stream.peek(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        };
        let set = self.stream.set_nonblocking(false);
        set.expect("every socket takes this flag");
        closed
    }

    /// Everything up to the first `end` in it, or up to the end of the
    /// connection. For an answer whose connection stays open after it.
    pub fn read_until(&mut self, end: &str) -> String {
        self.read_until_within(end, LIMIT)
    }

    /// The same, for a server that may not answer: as far as it comes, with no longer
    /// pause than this.
    pub fn read_until_within(&mut self, end: &str, patience: Duration) -> String {
        let set = self.stream.set_read_timeout(Some(patience));
        set.expect("the patience is not zero");
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(end.as_bytes()) {
            match read_once(&self.stream, &mut byte) {
                Ok(1..) => bytes.push(byte[0]),
                Ok(0) | Err(_) => break,
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn read(&mut self, patience: std::time::Duration) -> (Vec<u8>, End) {
        let set = self.stream.set_read_timeout(Some(patience));
        set.expect("the patience is not zero");
        let mut bytes = Vec::new();
        let mut chunk = [0; 65536];
        loop {
            match read_once(&self.stream, &mut chunk) {
                Ok(0) => return (bytes, End::Closed),
                Ok(read) => bytes.extend_from_slice(&chunk[..read]),
                Err(error) => match error.kind() {
                    ErrorKind::ConnectionReset => return (bytes, End::Reset),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return (bytes, End::Silent),
                    _ => panic!("read from the server: {error}"),
                },
            }
        }
    }

    /// Asks with a whole request and gives the whole answer as text.
    pub fn ask(&mut self, request: &str) -> (String, End) {
        let (bytes, end) = self.send(request).read_to_end();
        (String::from_utf8_lossy(&bytes).into_owned(), end)
    }

    /// Ends the connection with a reset instead of a close.
    pub fn reset(self) {
        let no_linger = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(&self.stream, sockopt::Linger, &no_linger)
            .expect("every TCP socket takes SO_LINGER");
    }
}

/// A whole request for `path`, as curl would send it.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")
}

/// The same request, and the wish to end the connection behind it.
pub fn last(request: &str) -> String {
    request.replacen("\r\n", "\r\nConnection: close\r\n", 1)
}

/// Connects to a server that accepts nobody until its queue lets nobody in any more, and
/// gives the connections. `least` of them must be let in, so they are waited for.
///
/// # Panics
///
/// When there are fewer than `least`, or more than `most`.
pub fn fill_queue(address: SocketAddr, least: usize, most: usize) -> Vec<TcpStream> {
    let mut waiting = Vec::new();
    let patience = |waiting| if waiting < least { LIMIT } else { SILENCE };
    while let Ok(connection) = TcpStream::connect_timeout(&address, patience(waiting.len())) {
        waiting.push(connection);
        assert!(waiting.len() <= most, "the queue has no end");
    }
    assert!(waiting.len() >= least, "{} may wait", waiting.len());
    waiting
}
