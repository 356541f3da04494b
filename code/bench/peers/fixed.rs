//! fixed: one thread, and the same bytes for everybody, whatever they asked.
//!
//! No server can do less than this loop: `epoll_wait`, and a `recv` and a `send` for each
//! connection that has something. It looks only for the ends of heads, to know how many
//! answers are due, and for a word that asks it to close. It takes it that whole requests
//! come, which the bench's are.
//!
//! A word after the address takes one thing away, so that its price is seen; see `Without`.

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
    use anyhow::{bail, Context, Result};
    use nix::errno::Errno;
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
    use nix::sys::eventfd::EventFd;
    use std::collections::HashMap;
    use std::convert::Infallible;
    use std::io::{self, ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::sync::mpsc::{channel, Receiver, Sender};
    use std::sync::Arc;
    use std::thread;
    use std::time::SystemTime;

    const ANSWER: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 44\r\n\r\n\
        Hello world from a simple WSGI application!\n";

    /// What is done in the costlier way.
    #[derive(Clone, Copy, PartialEq)]
    enum Without {
        Nothing,
        /// The answers to pipelined requests are sent one by one.
        OneSendForABatch,
        /// Head and body are sent in two calls.
        OneSendForAnAnswer,
        /// `epoll_wait` has room for one event.
        ManyEvents,
        /// Each answer has a `Date`, and it is made anew.
        OneDateForAll,
        /// Another thread makes the answers, and the loop sends them.
        OneThread,
    }

    pub fn run() -> Result<Infallible> {
        let mut words = std::env::args().skip(1);
        let address = words.next().context("usage: fixed ADDRESS [WITHOUT]")?;
        let without = match words.next().as_deref() {
            None => Without::Nothing,
            Some("one-send-for-a-batch") => Without::OneSendForABatch,
            Some("one-send-for-an-answer") => Without::OneSendForAnAnswer,
            Some("many-events") => Without::ManyEvents,
            Some("one-date-for-all") => Without::OneDateForAll,
            Some("one-thread") => Without::OneThread,
            Some(other) => bail!("{other} cannot be left out"),
        };
        let listener = TcpListener::bind(&address).with_context(|| format!("bind {address}"))?;
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let readable = |number: u64| EpollEvent::new(EpollFlags::EPOLLIN, number);
        let own = listener.as_raw_fd() as u64;
        epoll.add(&listener, readable(own))?;
        let thread = Other::start()?;
        let rings = thread.bell.as_raw_fd() as u64;
        epoll.add(&thread.bell, readable(rings))?;
        let mut connections: HashMap<u64, TcpStream> = HashMap::new();
        let mut events = [EpollEvent::empty(); 256];
        let events = match without {
            Without::ManyEvents => &mut events[..1],
            _ => &mut events[..],
        };
        let mut bytes = [0; 16 * 1024];
        loop {
            let count = match epoll.wait(events, EpollTimeout::NONE) {
                Err(Errno::EINTR) => 0,
                count => count.context("epoll_wait")?,
            };
            for event in &events[..count] {
                let number = event.data();
                if number == own {
                    while let Ok((connection, _)) = listener.accept() {
                        connection.set_nonblocking(true)?;
                        // A second small send would wait for the client's acknowledgement
                        // of the first otherwise, for up to 40 ms.
                        connection.set_nodelay(true)?;
                        let number = connection.as_raw_fd() as u64;
                        epoll.add(&connection, readable(number))?;
                        connections.insert(number, connection);
                    }
                } else if number == rings {
                    thread.bell.read()?;
                    while let Ok((number, answers, stays)) = thread.made.try_recv() {
                        let sent = connections
                            .get(&number)
                            .map(|mut to| to.write_all(&answers));
                        if !(stays && matches!(sent, Some(Ok(())))) {
                            connections.remove(&number);
                        }
                    }
                } else {
                    let asked = connections.get(&number).map(|from| read(from, &mut bytes));
                    let stays = match asked {
                        Some(Asked::Nothing) => true,
                        Some(Asked::For(count, stays)) if without == Without::OneThread => {
                            thread.make.send((number, count, stays)).is_ok()
                        }
                        Some(Asked::For(count, stays)) => {
                            send(&connections[&number], count, without).is_ok() && stays
                        }
                        Some(Asked::ToEnd) | None => false,
                    };
                    if !stays {
                        connections.remove(&number); // which closes it, and epoll forgets it
                    }
                }
            }
        }
    }

    enum Asked {
        Nothing,
        /// So many answers, and then the connection stays or not.
        For(usize, bool),
        ToEnd,
    }

    fn read(mut connection: &TcpStream, bytes: &mut [u8]) -> Asked {
        let request = match connection.read(bytes) {
            Ok(0) => return Asked::ToEnd,
            Ok(count) => &bytes[..count],
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Asked::Nothing,
            Err(_) => return Asked::ToEnd,
        };
        let ends = request.windows(4).filter(|four| four == b"\r\n\r\n");
        let closes = request.windows(5).any(|five| five == b"close");
        Asked::For(ends.count(), !closes)
    }

    fn send(mut connection: &TcpStream, count: usize, without: Without) -> io::Result<()> {
        let (head, body) = ANSWER.split_at(ANSWER.len() - 44);
        match without {
            Without::OneSendForABatch => {
                (0..count).try_for_each(|_| connection.write_all(ANSWER.as_bytes()))
            }
            Without::OneSendForAnAnswer => (0..count).try_for_each(|_| {
                connection.write_all(head.as_bytes())?;
                connection.write_all(body.as_bytes())
            }),
            Without::OneDateForAll => {
                let head = head.trim_end();
                let dated = |_| {
                    let date = httpdate::fmt_http_date(SystemTime::now());
                    format!("{head}\r\nDate: {date}\r\n\r\n{body}")
                };
                connection.write_all((0..count).map(dated).collect::<String>().as_bytes())
            }
            _ if count == 1 => connection.write_all(ANSWER.as_bytes()),
            _ => connection.write_all(&answers(count)),
        }
    }

    fn answers(count: usize) -> Vec<u8> {
        ANSWER.repeat(count).into_bytes()
    }

    /// A thread that makes answers.
    struct Other {
        make: Sender<(u64, usize, bool)>,
        made: Receiver<(u64, Vec<u8>, bool)>,
        bell: Arc<EventFd>,
    }

    impl Other {
        fn start() -> Result<Other> {
            let (make, orders) = channel();
            let (finished, made) = channel();
            let bell = Arc::new(EventFd::new()?);
            let ring = Arc::clone(&bell);
            thread::spawn(move || {
                for (number, count, stays) in orders {
                    let made = finished.send((number, answers(count), stays));
                    if made.is_err() || ring.write(1).is_err() {
                        return; // the loop has ended
                    }
                }
            });
            Ok(Other { make, made, bell })
        }
    }
}
