//! Clients that connect and say nothing: what each of them costs its server.

use crate::answer;
use crate::processes::{Group, Memory};
use crate::record::{rounded, Silent, Spread};
use crate::table::Row;
use anyhow::{Context, Result};
use nix::sys::resource::{getrlimit, setrlimit, Resource};
use procfs::net::TcpState;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long one of them waits for the kernel's side of the server.
const CONNECTS: Duration = Duration::from_secs(2);

/// Between two looks at a server that takes its clients.
const LOOK: Duration = Duration::from_millis(100);

/// How long a server may take to accept them all.
const SETTLES: Duration = Duration::from_secs(60);

/// Answers that are timed, alone and beside the silent clients.
const TIMED: usize = 21;

/// Lets this process, and the servers that it will start, open as many descriptors as the
/// system allows. To be called before the first server is started.
///
/// # Errors
///
/// When the limit cannot be read or set.
pub fn raise_limit() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).context("read the descriptor limit")?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("raise the descriptor limit")
}

/// Holds `clients` silent connections, measures, and lets them go.
///
/// # Errors
///
/// No connection; a `/proc` that cannot be read; a server that answers wrongly before
/// they come.
pub fn hold(address: SocketAddr, row: &Row, group: &Group, clients: u64) -> Result<Silent> {
    let alone_us = answer_time(address, row)?;
    let before = settled(address, group)?.0;
    let mut held = Vec::new();
    let mut why = None;
    for _ in 0..clients {
        // A full queue, or no descriptor: those that came are measured.
        match TcpStream::connect_timeout(&address, CONNECTS) {
            Ok(connection) => held.push(connection),
            Err(error) => {
                why = Some(error);
                break;
            }
        }
    }
    if let (true, Some(error)) = (held.is_empty(), why) {
        return Err(error).context("connect a silent client");
    }
    let (after, waiting) = settled(address, group)?;
    let accepted = (held.len() as u64).saturating_sub(waiting);
    Ok(Silent {
        clients,
        connected: held.len() as u64,
        accepted,
        processes: after.processes,
        threads: after.threads,
        resident_before: before.resident,
        resident_after: after.resident,
        bytes_each: each(before.resident, after.resident, accepted),
        alone_us,
        // Where somebody waits already, the next one would only wait, too.
        beside_us: match waiting {
            0 => answer_time(address, row).ok(),
            _ => None,
        },
    })
}

/// The bytes that each of `accepted` clients added; none if nobody was accepted.
///
/// ```
/// use bench::silent::each;
/// assert_eq!(each(1_000_000, 1_700_000, 10_000), Some(70.0));
/// assert_eq!(each(1_000_000, 999_000, 1000), Some(-1.0));
/// assert_eq!(each(1_000_000, 1_700_000, 0), None);
/// ```
pub fn each(before: u64, after: u64, accepted: u64) -> Option<f64> {
    let more = after as f64 - before as f64;
    (accepted > 0).then(|| rounded(more / accepted as f64))
}

/// The group's memory and the clients in the kernel's queue, once two looks in a row see
/// the same.
fn settled(address: SocketAddr, group: &Group) -> Result<(Memory, u64)> {
    let start = Instant::now();
    let mut last = None;
    loop {
        let now = (group.memory()?, waiting(address)?);
        let quiet = last == Some(now) && now.1 == 0;
        // A server that has taken as many as it can leaves the others where they are.
        let full = last == Some(now) && start.elapsed() > LOOK * 10;
        if quiet || full || start.elapsed() > SETTLES {
            return Ok(now);
        }
        last = Some(now);
        thread::sleep(LOOK);
    }
}

/// Connections that the kernel has made and nobody has accepted.
fn waiting(address: SocketAddr) -> Result<u64> {
    let sockets = procfs::net::tcp().context("read /proc/net/tcp")?;
    // A server may have several listening sockets for one address.
    let listening = sockets
        .iter()
        .filter(|socket| socket.state == TcpState::Listen && socket.local_address == address);
    Ok(listening.map(|socket| u64::from(socket.rx_queue)).sum())
}

/// The median time of an answer on a new connection, in microseconds.
fn answer_time(address: SocketAddr, row: &Row) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..TIMED {
        let start = Instant::now();
        answer::check(address, row)?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(Spread::of(times).context("no answers")?.median)
}
