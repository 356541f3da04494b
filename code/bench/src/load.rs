//! The load tools: `ab` for connections that close, `wrk` for those that stay, and our
//! own client for a fixed rate. The crate's page says why.

use crate::machine;
use crate::processes::Group;
use crate::steady::{self, Sample, Schedule};
use crate::table::{Connection, Row, DEPTH};
use anyhow::{bail, ensure, Context, Result};
use std::io::Read;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a server may keep one client of `ab` waiting, in seconds.
const PATIENCE: u64 = 10;

/// How long a tool may take to end after its time is up.
const GRACE: Duration = Duration::from_secs(30);

/// More answers than a core gives in a second: `ab` wants a number too.
const MOST_A_SECOND: u64 = 200_000;

/// What a round needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Which tool, and how.
    pub connection: Connection,
    /// The length of the round.
    pub seconds: u64,
    /// Where the round ends earlier than that: after so many answers. `wrk` knows a
    /// time only.
    pub answers: Option<u64>,
    /// Connections open at a time, over all load processes.
    pub connections: usize,
    /// At most as many load processes (of `wrk`: threads).
    pub cores: usize,
    /// Requests a second, from our own client.
    pub rate: Option<u64>,
}

/// wrk's script, from the top of the repository.
const PIPELINED: &str = "code/bench/src/pipelined.lua";

/// What the tools saw in a round.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Answers a second, errors not counted.
    pub rate: f64,
    /// Whole answers.
    pub answers: u64,
    /// Errors of every kind.
    pub errors: u64,
}

impl Load {
    /// The tool's name.
    pub fn tool(&self) -> &'static str {
        match (self.rate, self.connection) {
            (Some(_), _) => "steady",
            (None, Connection::Close) => "ab",
            (None, Connection::KeepAlive) => "wrk",
            (None, Connection::Pipelined) => "wrk pipelined",
        }
    }

    /// How to get the tool, when the machine lacks it.
    pub fn missing(&self) -> Option<String> {
        let (tool, package) = match (self.rate, self.connection) {
            (Some(_), _) => return None,
            (None, Connection::Close) => ("ab", "apache2-utils"),
            (None, Connection::KeepAlive | Connection::Pipelined) => ("wrk", "wrk"),
        };
        let connection = self.connection.name();
        (!machine::has_tool(tool)).then(|| {
            format!("{tool}, which loads {connection} rows; install it (Debian: apt-get install {package})")
        })
    }

    /// What the tool says of its version.
    ///
    /// # Errors
    ///
    /// A tool that cannot be run.
    pub fn version(&self) -> Result<String> {
        match (self.rate, self.connection) {
            (Some(_), _) => Ok(concat!("bench ", env!("CARGO_PKG_VERSION")).to_string()),
            (None, Connection::Close) => machine::first_line("ab", ["-V"]),
            (None, Connection::KeepAlive | Connection::Pipelined) => {
                machine::first_line("wrk", ["-v"])
            }
        }
    }

    /// How many processes of the tool make the load.
    pub fn processes(&self) -> usize {
        match (self.rate, self.connection) {
            (None, Connection::Close) => self.cores.min(self.connections),
            _ => 1,
        }
    }

    /// The connections of the process with this number, from 0: all together hold as
    /// many as were asked for.
    ///
    /// ```
    /// use bench::{load::Load, table::Connection};
    /// let connection = Connection::Close;
    /// let load =
    ///     Load { connection, seconds: 5, answers: None, connections: 8, cores: 3, rate: None };
    /// assert_eq!([load.share(0), load.share(1), load.share(2)], [3, 3, 2]);
    /// ```
    pub fn share(&self, process: usize) -> usize {
        let processes = self.processes();
        let left = usize::from(process < self.connections % processes);
        self.connections / processes + left
    }

    /// The requests of a process with `share` connections, each of which has one at
    /// least.
    fn requests(&self, share: usize) -> u64 {
        match self.answers {
            Some(answers) => answers.div_ceil(self.processes() as u64).max(share as u64),
            None => self.seconds * MOST_A_SECOND,
        }
    }

    /// The threads of `wrk`, which gives each the same number of connections and leaves
    /// the rest out: so as many as divide them, and no more than cores.
    fn threads(&self) -> usize {
        let threads = 1..=self.cores.min(self.connections);
        let mut dividing = threads
            .rev()
            .filter(|threads| self.connections.is_multiple_of(*threads));
        dividing.next().unwrap_or(1)
    }

    /// The different command lines of the load processes, for a record.
    pub fn commands(&self, address: &str, path: &str) -> String {
        let lines = (0..self.processes()).map(|process| self.command(address, path, process));
        let mut lines: Vec<String> = lines.map(|line| line.join(" ")).collect();
        lines.dedup();
        lines.join("; ")
    }

    /// The command line of the process with this number, from 0.
    ///
    /// ```
    /// use bench::{load::Load, table::Connection};
    /// let connection = Connection::Close;
    /// let mut load =
    ///     Load { connection, seconds: 5, answers: None, connections: 8, cores: 3, rate: None };
    /// let line = |load: &Load| load.command("127.0.0.1:80", "/", 2).join(" ");
    /// assert!(line(&load).contains(" -t 5 -n 1000000 -c 2 "));
    /// load.answers = Some(100);
    /// assert!(line(&load).contains(" -t 5 -n 34 -c 2 "));
    /// load.answers = Some(1); // a request for each connection
    /// assert!(line(&load).contains(" -t 5 -n 2 -c 2 "));
    /// ```
    pub fn command(&self, address: &str, path: &str, process: usize) -> Vec<String> {
        let url = format!("http://{address}{path}");
        let share = self.share(process);
        let threads = self.threads();
        let seconds = self.seconds;
        if let Some(rate) = self.rate {
            let kind = self.connection.name();
            let line = format!("steady {rate} a second, {seconds} s, {share} {kind} {url}");
            return line.split(' ').map(String::from).collect();
        }
        let line = match self.connection {
            // -r: count a broken connection and go on. -n must follow -t, which
            // would set it to 50,000.
            Connection::Close => format!(
                "ab -q -r -s {PATIENCE} -t {seconds} -n {} -c {share} -H Connection:close {url}",
                self.requests(share)
            ),
            Connection::KeepAlive => format!("wrk -t {threads} -c {share} -d {seconds} {url}"),
            Connection::Pipelined => {
                format!("wrk -t {threads} -c {share} -d {seconds} -s {PIPELINED} {url} -- {DEPTH}")
            }
        };
        line.split(' ').map(String::from).collect()
    }

    /// Loads a server for a round. The latencies are those of a fixed rate; there are none
    /// otherwise.
    ///
    /// # Errors
    ///
    /// A tool that cannot be run, complains, does not end, or prints what this
    /// program does not understand.
    pub fn run(&self, address: SocketAddr, row: &Row) -> Result<(Seen, Vec<Sample>)> {
        if let Some(rate) = self.rate {
            let requests = (rate * self.seconds).min(self.answers.unwrap_or(u64::MAX));
            return steady::run(address, row, Schedule { rate, requests }, self.connections);
        }
        let mut running = Vec::new();
        for process in 0..self.processes() {
            let line = self.command(&address.to_string(), &row.path, process);
            let mut command = Command::new(&line[0]);
            command.args(&line[1..]).stdin(Stdio::null());
            command.current_dir(crate::root());
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            running.push(Group::spawn(&mut command, self.tool())?);
        }
        let mut sum = Seen::default();
        for group in &mut running {
            if let Err(error) = group.finish(Duration::from_secs(self.seconds) + GRACE) {
                // One that hangs would keep its pipe open.
                ensure!(group.ended().is_some(), error);
                let errors = text(group.child.stderr.take())?;
                let why = errors.lines().find(|line| !line.trim().is_empty());
                bail!("{error}: {}", why.unwrap_or("it does not say why").trim());
            }
            // It has ended, and what it prints fits into a pipe.
            let output = text(group.child.stdout.take())?;
            let seen = match self.connection {
                Connection::Close => read_ab(&output),
                Connection::KeepAlive | Connection::Pipelined => read_wrk(&output),
            };
            let seen = seen.with_context(|| format!("understand the report of {}", self.tool()))?;
            sum.rate += seen.rate;
            sum.answers += seen.answers;
            sum.errors += seen.errors;
        }
        Ok((sum, Vec::new()))
    }
}

fn text(pipe: Option<impl Read>) -> Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes)
            .context("read a tool's output")?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads the report of `ab`. An answer of the wrong length, of another status
/// than 2xx, or without an end is an error and no answer.
///
/// # Errors
///
/// A report without its figures.
///
/// ```
/// let report = "\
/// Time taken for tests:   2.000 seconds
/// Complete requests:      1000
/// Failed requests:        30
///    (Connect: 0, Receive: 10, Length: 20, Exceptions: 0)
/// Non-2xx responses:      70
/// Requests per second:    500.00 [#/sec] (mean)
/// ";
/// let seen = bench::load::read_ab(report).unwrap();
/// assert_eq!((seen.rate, seen.answers, seen.errors), (450.0, 900, 100));
/// ```
pub fn read_ab(report: &str) -> Result<Seen> {
    let figure = |label: &str| -> Option<f64> {
        let rest = report.lines().find_map(|line| line.strip_prefix(label))?;
        rest.split_whitespace().next()?.parse().ok()
    };
    let whole = |label| figure(label).with_context(|| format!("no line `{label}`"));
    let seconds = whole("Time taken for tests:")?;
    let complete = whole("Complete requests:")? as u64;
    let errors = whole("Failed requests:")?
        + figure("Non-2xx responses:").unwrap_or(0.0)
        + figure("Write errors:").unwrap_or(0.0);
    let errors = errors as u64;
    let answers = complete.saturating_sub(errors);
    Ok(Seen {
        rate: answers as f64 / seconds.max(f64::MIN_POSITIVE),
        answers,
        errors,
    })
}

/// Reads the report of `wrk`.
///
/// # Errors
///
/// A report without its figures.
///
/// ```
/// let report = "\
///   1000 requests in 2.00s, 2.92MB read
///   Socket errors: connect 1, read 2, write 3, timeout 4
///   Non-2xx or 3xx responses: 90
/// Requests/sec:    500.00
/// ";
/// let seen = bench::load::read_wrk(report).unwrap();
/// assert_eq!((seen.rate, seen.answers, seen.errors), (455.0, 910, 100));
/// ```
pub fn read_wrk(report: &str) -> Result<Seen> {
    let after = |label: &str| {
        let lines = report.lines().map(str::trim);
        lines
            .filter_map(|line| line.strip_prefix(label).map(str::trim))
            .next()
    };
    let rate: f64 = after("Requests/sec:")
        .context("no line `Requests/sec:`")?
        .parse()?;
    let complete: u64 = report
        .lines()
        .find_map(|line| line.split_once(" requests in "))
        .context("no line of requests")?
        .0
        .trim()
        .parse()?;
    let socket: u64 = after("Socket errors:")
        .unwrap_or_default()
        .split([' ', ','])
        .filter_map(|word| word.parse::<u64>().ok())
        .sum();
    let status: u64 = match after("Non-2xx or 3xx responses:") {
        Some(figure) => figure.parse()?,
        None => 0,
    };
    // An answer of the wrong status was counted; a broken connection was not.
    let answers = complete.saturating_sub(status);
    Ok(Seen {
        rate: rate * answers as f64 / complete.max(1) as f64,
        answers,
        errors: socket + status,
    })
}
