//! Asks at a fixed rate, and counts each latency from the moment at which its request
//! was due.
//!
//! A client that waits for an answer before it asks again asks less while the server is
//! slow, and so leaves out of its figures those whom the delay would have met: the
//! *coordinated omission*. Here the times of all requests are set before the first is
//! sent. One that finds every connection taken is sent late, and its latency has begun
//! all the same. What the latencies would be from the sending on stands beside them.

use crate::load::Seen;
use crate::record::{rounded, Latency, Percentiles};
use crate::table::{Connection, Row};
use anyhow::{bail, ensure, Context, Result};
use nix::sys::prctl::set_timerslack;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// When each request is due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Requests a second.
    pub rate: u64,
    /// How many there are.
    pub requests: u64,
}

impl Schedule {
    /// When the request with this number, from 0, is due after the start.
    ///
    /// ```
    /// use bench::steady::Schedule;
    /// use std::time::Duration;
    /// let schedule = Schedule { rate: 8, requests: 16 };
    /// assert_eq!(schedule.due(0), Duration::ZERO);
    /// assert_eq!(schedule.due(12), Duration::from_millis(1500));
    /// ```
    pub fn due(&self, number: u64) -> Duration {
        Duration::from_nanos((u128::from(number) * 1_000_000_000 / u128::from(self.rate)) as u64)
    }
}

/// The latencies of a request that was answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// From the time at which it was due.
    pub from_due: Duration,
    /// From the time at which it was sent.
    pub from_sent: Duration,
}

/// What `samples` come to, of requests at `rate` a second.
///
/// ```
/// use bench::steady::{summary, Sample};
/// use std::time::Duration;
/// // One answer took 100 ms. The nine requests that were due meanwhile, one every 10 ms,
/// // were sent after it, and answered in 1 ms each.
/// let ms = Duration::from_millis;
/// let mut samples = vec![Sample { from_due: ms(100), from_sent: ms(100) }];
/// samples.extend((1..10).map(|n| Sample { from_due: ms(101 - 9 * n), from_sent: ms(1) }));
/// let latency = summary(100, &samples).unwrap();
/// assert_eq!((latency.from_sent.p50_us, latency.from_sent.p90_us), (1e3, 1e3));
/// assert_eq!((latency.from_due.p50_us, latency.from_due.p90_us), (56e3, 92e3));
/// assert_eq!((latency.from_due.max_us, latency.from_sent.max_us), (100e3, 100e3));
/// ```
pub fn summary(rate: u64, samples: &[Sample]) -> Option<Latency> {
    let of = |latency: fn(&Sample) -> Duration| {
        percentiles(
            samples
                .iter()
                .map(|sample| latency(sample).as_secs_f64() * 1e6),
        )
    };
    Some(Latency {
        rate,
        samples: samples.len() as u64,
        from_due: of(|sample| sample.from_due)?,
        from_sent: of(|sample| sample.from_sent)?,
    })
}

/// The percentiles of `figures`, by the nearest rank: each is one of the figures. None of
/// none.
///
/// ```
/// let of = |count: i32| bench::steady::percentiles((1..=count).map(f64::from)).unwrap();
/// let figures = of(1000);
/// assert_eq!((figures.p50_us, figures.p90_us, figures.p99_us), (500.0, 900.0, 990.0));
/// assert_eq!((figures.p999_us, figures.max_us), (999.0, 1000.0));
/// assert_eq!((of(1).p50_us, of(1).p999_us), (1.0, 1.0));
/// assert_eq!((of(3).p50_us, of(3).p90_us), (2.0, 3.0));
/// ```
pub fn percentiles(figures: impl IntoIterator<Item = f64>) -> Option<Percentiles> {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    // In thousandths, so that no rank is off by one for want of a binary fraction.
    let at = |thousandths: usize| {
        let rank = (sorted.len() * thousandths).div_ceil(1000);
        sorted.get(rank.saturating_sub(1)).copied().map(rounded)
    };
    Some(Percentiles {
        p50_us: at(500)?,
        p90_us: at(900)?,
        p99_us: at(990)?,
        p999_us: at(999)?,
        max_us: at(1000)?,
    })
}

/// For so long at least a server is asked that does not keep up: a schedule of a tenth of a
/// second would be over when a busy machine stalls once.
const SHORTEST: Duration = Duration::from_secs(5);

/// Asks a server for the row's path at the times of `schedule`, over as many connections
/// as `connections`.
///
/// # Errors
///
/// No right answer at all, with the reason of the last failure.
pub fn run(
    address: SocketAddr,
    row: &Row,
    schedule: Schedule,
    connections: usize,
) -> Result<(Seen, Vec<Sample>)> {
    let next = AtomicU64::new(0);
    let start = Instant::now();
    // Who is this late has not kept up, and the rest would not tell more.
    let end = start + (schedule.due(schedule.requests) * 2).max(SHORTEST);
    let client = || {
        // A thread that sleeps is woken at the time it asked for, not 50 µs later.
        let _ = set_timerslack(1);
        let mut client = Client::new(address, row);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = start + schedule.due(number);
            if number >= schedule.requests || Instant::now() > end {
                return client;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            client.ask(due);
        }
    };
    let clients: Vec<Client> = thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(client)).collect();
        let ended = threads.into_iter().filter_map(|thread| thread.join().ok());
        ended.collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    let mut samples = Vec::new();
    let mut failure = None;
    for client in clients {
        samples.extend(client.samples);
        failure = failure.or(client.failure);
    }
    if let (true, Some(failure)) = (samples.is_empty(), failure) {
        return Err(failure);
    }
    let answers = samples.len() as u64;
    let seen = Seen {
        rate: answers as f64 / seconds,
        answers,
        // What failed, and what was not asked for because there was no more time.
        errors: schedule.requests - answers,
    };
    Ok((seen, samples))
}

/// One connection at a time, and what it saw.
struct Client<'a> {
    address: SocketAddr,
    row: &'a Row,
    request: String,
    connection: Option<TcpStream>,
    samples: Vec<Sample>,
    failure: Option<anyhow::Error>,
}

impl Client<'_> {
    fn new(address: SocketAddr, row: &Row) -> Client<'_> {
        let close = match row.connection {
            Connection::Close => "Connection: close\r\n",
            Connection::KeepAlive | Connection::Pipelined => "",
        };
        let path = &row.path;
        Client {
            address,
            row,
            request: format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{close}\r\n"),
            connection: None,
            samples: Vec::new(),
            failure: None,
        }
    }

    fn ask(&mut self, due: Instant) {
        let sent = Instant::now();
        let end = self.exchange().map(|()| Instant::now());
        match end {
            Ok(end) => self.samples.push(Sample {
                from_due: end - due,
                from_sent: end - sent,
            }),
            Err(error) => {
                self.connection = None;
                self.failure = Some(error);
            }
        }
        if self.row.connection == Connection::Close {
            self.connection = None;
        }
    }

    fn exchange(&mut self) -> Result<()> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connection = TcpStream::connect_timeout(&self.address, PATIENCE)?;
                connection.set_nodelay(true)?;
                connection.set_read_timeout(Some(PATIENCE))?;
                connection
            }
        };
        connection.write_all(self.request.as_bytes())?;
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        let whole = loop {
            if let Some(whole) = length(&answer)? {
                if answer.len() >= whole {
                    break whole;
                }
            }
            let count = connection.read(&mut piece)?;
            if count == 0 && self.row.connection == Connection::Close {
                break answer.len();
            }
            ensure!(count > 0, "the connection ended before the answer");
            answer.extend_from_slice(&piece[..count]);
        };
        ensure!(
            answer.len() == whole
                && answer.starts_with(b"HTTP/1.")
                && answer.get(8..13) == Some(b" 200 ")
                && answer.ends_with(self.row.body.as_bytes()),
            "{} gave another answer than 200 with its body",
            self.row.name
        );
        self.connection = Some(connection);
        Ok(())
    }
}

/// The length of the whole answer that begins so, if its head is whole and tells.
///
/// # Errors
///
/// A transfer coding: no row has one.
///
/// ```
/// use bench::steady::length;
/// let answer = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 14\r\n\r\nHel";
/// assert_eq!(length(answer).unwrap(), Some(answer.len() - 3 + 14));
/// assert_eq!(length(&answer[..30]).unwrap(), None);
/// assert_eq!(length(b"HTTP/1.1 200 OK\r\n\r\n").unwrap(), None);
/// assert!(length(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
/// ```
pub fn length(answer: &[u8]) -> Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    for line in String::from_utf8_lossy(&answer[..end]).lines().skip(1) {
        let (name, value) = line.split_once(':').context("a header without a colon")?;
        if name.eq_ignore_ascii_case("content-length") {
            let length: usize = value.trim().parse().context("read Content-Length")?;
            return Ok(Some(end + 4 + length));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("an answer in a transfer coding, which this client does not read");
        }
    }
    Ok(None)
}
