//! What `webserver4c` does besides serving, for the servers after it: it listens, waits
//! with epoll until somebody has something to do, accepts as many as there are
//! descriptors for, and hears the signals that tell it to stop.

#![deny(missing_docs)]

#[cfg(not(target_os = "linux"))]
extern crate no_epoll as nix;

mod deadlines;

pub use deadlines::Deadlines;

use gateway::connection::accept;
use gateway::log::{complain, print};
use gateway::options::cannot_bind;
use nix::errno::Errno;
use nix::libc::linger;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{getrlimit, setrlimit, Resource};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::{listen, setsockopt, sockopt, Backlog};
use signal_hook::flag;
use signal_hook::low_level::{emulate_default_handler, pipe, register};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

// ANCHOR: constants
const STOP: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT];
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
const BUSY: Duration = Duration::from_millis(100); // between two waits, at most
const LISTENER: u64 = u64::MAX; // no number of a connection
const WAKES: u64 = u64::MAX - 1;
// ANCHOR_END: constants

// ANCHOR: readiness
/// A listener, and who of its clients has something to do.
pub struct Readiness {
    epoll: Epoll,
    listener: Option<TcpListener>,
    address: SocketAddr,
    pauses: bool, // the listener is not in the interest list
    wakes: UnixStream,
    came: [(Signal, Arc<AtomicBool>); 3],
    told: Option<(Signal, Instant)>, // by which signal to end, and by when
    graceful_timeout: Duration,
    events: [EpollEvent; 1024],
    woken: Instant,    // at the end of the last wait
    lost: Duration,    // since the first: when the server was busy for too long
    new: Range<usize>, // those of them that have not been looked at
}

/// Something to do.
pub enum Event {
    /// A client that has been accepted. It does not wait.
    Accepted(TcpStream, SocketAddr),
    /// The connection with this number may be read from, or written to.
    Serve(u64),
}

/// What a signal has told the server.
pub enum Told {
    /// To answer who has asked, and accept nobody any more.
    Stop,
    /// To end now, by this signal.
    End(Signal),
}
// ANCHOR_END: readiness

// ANCHOR: listen
impl Readiness {
    /// Listens on `address`, and says so.
    ///
    /// # Errors
    ///
    /// An address that it cannot have, and no descriptors.
    pub fn listen(address: &str, graceful_timeout: Duration) -> io::Result<Readiness> {
        let listener = TcpListener::bind(address).map_err(|error| cannot_bind(address, error))?;
        // std has called listen with 128; a second listen replaces the backlog.
        listen(&listener, Backlog::MAXCONN).map_err(|errno| failed("listen", errno))?;
        listener.set_nonblocking(true)?;
        // Each connection inherits it: a chunk does not wait until the one before it has
        // been acknowledged.
        setsockopt(&listener, sockopt::TcpNoDelay, &true)?;
        let address = listener.local_addr()?;

        let (wakes, writer) = UnixStream::pair()?;
        wakes.set_nonblocking(true)?;
        let came = STOP.map(|signal| (signal, Arc::new(AtomicBool::new(false))));
        let home = process::id();
        for (signal, flag) in &came {
            let signal = *signal as i32;
            // A child of the application's has them, too, and is not to record but to end.
            let away = move || _ = (process::id() != home).then(|| emulate_default_handler(signal));
            // SAFETY: both functions may be called in a handler.
            unsafe { register(signal, away) }?;
            flag::register(signal, Arc::clone(flag))?;
            pipe::register(signal, writer.try_clone()?)?;
        }
        drop(writer);
        // The mask is inherited: whoever started us may have blocked them.
        let unblocked = SigSet::from_iter(STOP).thread_unblock();
        unblocked.map_err(|errno| failed("pthread_sigmask", errno))?;
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&wakes, EpollEvent::new(EpollFlags::EPOLLIN, WAKES))?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        print(format!("Serving HTTP on http://{address}/ ...\nprocess {home}\n").as_bytes());
        print(format!("at most {most} descriptors\n").as_bytes());
        Ok(Readiness {
            epoll,
            listener: Some(listener),
            address,
            pauses: false,
            wakes,
            came,
            told: None,
            graceful_timeout,
            events: [EpollEvent::empty(); 1024],
            woken: Instant::now(),
            lost: Duration::ZERO,
            new: 0..0,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
    // ANCHOR_END: listen

    // ANCHOR: wait
    /// Waits until there is something to do, or for so long; `nobody` if there are no
    /// connections. What time it is then, by a clock that stands still while the server
    /// is busy for longer than it should: that is not its clients' time.
    ///
    /// # Errors
    ///
    /// Those of `epoll_wait`.
    pub fn wait(&mut self, time: Option<Duration>, nobody: bool) -> io::Result<Instant> {
        let shortage = self.pauses && nobody;
        let again = shortage.then_some(Duration::from_secs(1));
        let ends = self
            .told
            .map(|(_, until)| until.saturating_duration_since(Instant::now()));
        let time = [time, again, ends].into_iter().flatten().min();
        let timeout = match time {
            None => EpollTimeout::NONE,
            Some(Duration::ZERO) => EpollTimeout::ZERO,
            // It is cut to milliseconds.
            Some(time) => {
                EpollTimeout::try_from(time + Duration::from_millis(1)).unwrap_or(EpollTimeout::MAX)
            }
        };
        self.lost += self.woken.elapsed().saturating_sub(BUSY);
        self.new = 0..match self.epoll.wait(&mut self.events, timeout) {
            Err(Errno::EINTR) => 0, // the byte has been written
            number => number.map_err(|errno| failed("epoll_wait", errno))?,
        };
        self.woken = Instant::now();
        self.pause_accepting(self.pauses && !shortage);
        Ok(self.woken - self.lost)
    }

    /// The next thing to do, until the next wait.
    pub fn event(&mut self) -> Option<Event> {
        while let Some(place) = self.new.next() {
            match self.events[place].data() {
                LISTENER => {
                    if let Some((stream, peer)) = self.accept() {
                        return Some(Event::Accepted(stream, peer));
                    }
                }
                WAKES => while matches!((&self.wakes).read(&mut [0; 64]), Ok(1..)) {},
                key => return Some(Event::Serve(key)),
            }
        }
        None
    }
    // ANCHOR_END: wait

    // ANCHOR: told
    /// What it has been told since the last call, or that its time to stop is over;
    /// `nobody` if there are no connections.
    pub fn told(&mut self, nobody: bool) -> Option<Told> {
        for (signal, flag) in &self.came {
            if flag.swap(false, Ordering::Relaxed) {
                if self.told.is_some() || *signal == Signal::SIGQUIT {
                    return Some(Told::End(self.told.map_or(*signal, |(first, _)| first)));
                }
                let until = Instant::now() + self.graceful_timeout.min(A_DAY);
                self.told = Some((*signal, until));
                self.listener = None;
                return Some(Told::Stop);
            }
        }
        let (signal, until) = self.told?;
        (nobody || until <= Instant::now()).then_some(Told::End(signal))
    }
    // ANCHOR_END: told

    // ANCHOR: accept
    /// Accepts one client. Where more wait, epoll will say so again.
    fn accept(&mut self) -> Option<(TcpStream, SocketAddr)> {
        let accepted = self.listener.as_ref().map_or(Ok(None), accept);
        let accepted = accepted.and_then(|accepted| {
            if let Some((stream, _)) = &accepted {
                stream.set_nonblocking(true)?;
            }
            Ok(accepted)
        });
        self.or_pause(accepted).flatten()
    }

    /// From now on, says when there is something to read from it, by this number.
    /// Whether that is possible.
    pub fn add(&mut self, stream: &TcpStream, key: u64) -> bool {
        let added = self
            .epoll
            .add(stream, EpollEvent::new(EpollFlags::EPOLLIN, key));
        self.or_pause(added.map_err(|errno| failed("epoll_ctl", errno)))
            .is_some()
    }

    fn or_pause<T>(&mut self, result: io::Result<T>) -> Option<T> {
        result
            .inspect_err(|error| {
                complain(format!("{error}; the next is accepted when one has left"));
                self.pause_accepting(true);
            })
            .ok()
    }

    /// Takes the listener out of the interest list, or puts it back.
    fn pause_accepting(&mut self, pauses: bool) {
        if let Some(listener) = self.listener.as_ref().filter(|_| pauses != self.pauses) {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, LISTENER);
            let changed = match pauses {
                true => self.epoll.delete(listener),
                false => self.epoll.add(listener, event),
            };
            self.pauses = pauses == changed.is_ok();
        }
    }
    // ANCHOR_END: accept

    // ANCHOR: interest
    /// From now on, says when there is room to write to it; or again, when there is
    /// something to read.
    pub fn look_for_room(&self, stream: &TcpStream, key: u64, room: bool) {
        let interest = match room {
            true => EpollFlags::EPOLLOUT,
            false => EpollFlags::EPOLLIN,
        };
        // It is in the list, and stays there, so nothing can fail.
        let _ = self
            .epoll
            .modify(stream, &mut EpollEvent::new(interest, key));
    }

    /// Says nothing of it any more, and lets it go.
    pub fn remove(&mut self, stream: TcpStream) {
        let _ = self.epoll.delete(&stream); // if another process has a copy, it stays
        drop(stream);
        self.pause_accepting(false);
    }
    // ANCHOR_END: interest
}

// ANCHOR: reset
/// From now on, to close it throws away what it has not read or not acknowledged.
pub fn reset(stream: &TcpStream) {
    let at_once = linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let _ = setsockopt(stream, sockopt::Linger, &at_once);
}

fn failed(call: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{call}: {errno}"))
}
// ANCHOR_END: reset
