//! fixed: one thread, and the same bytes for everybody, whatever they asked.
//!
//! No server can do less than this loop: `epoll_wait`, and a `recv` and a `send` for each
//! connection that has something. It looks only for the ends of heads, to know how many
//! answers are due, and for a word that asks it to close. It takes it that whole requests
//! come, which the bench's are.

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    {
        let Err(error) = linux::run();
        eprintln!("fixed: {error:#}");
    }
    #[cfg(not(target_os = "linux"))]
    eprintln!("fixed: epoll is Linux's");
    std::process::ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
mod linux {
    use anyhow::{Context, Result};
    use nix::errno::Errno;
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
    use std::collections::HashMap;
    use std::convert::Infallible;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 43\r\n\r\n\
        Hello world from a simple WSGI application!\n";

    pub fn run() -> Result<Infallible> {
        let address = std::env::args().nth(1).context("usage: fixed ADDRESS")?;
        let listener = TcpListener::bind(&address).with_context(|| format!("bind {address}"))?;
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let readable = |number: u64| EpollEvent::new(EpollFlags::EPOLLIN, number);
        let own = listener.as_raw_fd() as u64;
        epoll.add(&listener, readable(own))?;
        let mut connections: HashMap<u64, TcpStream> = HashMap::new();
        let mut events = [EpollEvent::empty(); 256];
        let mut bytes = [0; 16 * 1024];
        loop {
            let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
                Err(Errno::EINTR) => 0,
                count => count.context("epoll_wait")?,
            };
            for event in &events[..count] {
                let number = event.data();
                if number == own {
                    while let Ok((connection, _)) = listener.accept() {
                        connection.set_nonblocking(true)?;
                        let number = connection.as_raw_fd() as u64;
                        epoll.add(&connection, readable(number))?;
                        connections.insert(number, connection);
                    }
                    continue;
                }
                let stays = connections
                    .get(&number)
                    .is_some_and(|connection| answer(connection, &mut bytes));
                if !stays {
                    connections.remove(&number); // which closes it, and epoll forgets it
                }
            }
        }
    }

    /// Answers the requests that have come, and says whether the connection stays.
    fn answer(mut connection: &TcpStream, bytes: &mut [u8]) -> bool {
        let request = match connection.read(bytes) {
            Ok(0) => return false,
            Ok(count) => &bytes[..count],
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        let ends = request
            .windows(4)
            .filter(|four| four == b"\r\n\r\n")
            .count();
        let sent = match ends {
            1 => connection.write_all(ANSWER),
            _ => connection.write_all(&ANSWER.repeat(ends)),
        };
        sent.is_ok() && !request.windows(5).any(|five| five == b"close")
    }
}
