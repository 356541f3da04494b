//! What a run leaves as JSON: the machine, the commands, and every round.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A recorded run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// Servers measured in turn, by `bench`.
    Throughput(Throughput),
    /// The cost of a fork, by `fork_cost`.
    ForkCost(ForkCost),
}

/// The machine of a run, and when it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The model of the first processor, as the kernel names it.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// MiB of memory.
    pub memory_mib: u64,
    /// Processes that wanted to run in the minute before, on the average. More
    /// than a few tenths were other work, and are in the figures.
    pub load_before: f32,
    /// The kernel's name and release.
    pub kernel: String,
    /// UTC, as in RFC 3339.
    pub date: String,
    /// What `rustc --version` says.
    pub rustc: String,
}

/// Servers measured in turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Throughput {
    /// Where and when.
    pub machine: Machine,
    /// The length of a round.
    pub seconds: u64,
    /// The length of each server's warm-up before the first round.
    pub warm_up_seconds: u64,
    /// Where a turn ends earlier than its seconds: after so many answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<u64>,
    /// Connections open at a time, over all load processes.
    pub connections: usize,
    /// The load tools that were used, by name.
    pub tools: BTreeMap<String, Tool>,
    /// The row that the ratios are to.
    pub baseline: String,
    /// The servers in the order of their turns.
    pub servers: Vec<Measured>,
    /// The pairs that were asked for.
    pub comparisons: Vec<Comparison>,
}

/// A load tool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tool {
    /// Its own words.
    pub version: String,
    /// Its command line, with `{address}` and `{path}` for the server's.
    pub command: String,
    /// How many of them ran at once.
    pub processes: usize,
}

/// A server and its rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// The row's name.
    pub name: String,
    /// What it is.
    pub what: String,
    /// The row's command.
    pub command: String,
    /// What the row's version command says.
    pub version: Option<String>,
    /// `close`, `keep-alive` or `pipelined`.
    pub connection: String,
    /// The load tool, one of [`Throughput::tools`].
    pub tool: String,
    /// In the order in which they ran.
    pub rounds: Vec<Round>,
    /// Answers a second.
    pub rate: Spread,
    /// Microseconds of the server's processor time for an answer.
    pub server_cpu_us: Spread,
    /// Of which in the server's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_user_us: Option<Spread>,
    /// And in the kernel, on its behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_system_us: Option<Spread>,
    /// What the load tool reports as wrong, over all rounds.
    pub errors: u64,
    /// The median rate over the baseline's.
    pub ratio: f64,
    /// What clients cost that say nothing, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<Silent>,
    /// How long the answers of all rounds took, if they were asked for at a fixed rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// Clients that connect and say nothing, before the first round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Silent {
    /// As many as should come.
    pub clients: u64,
    /// Those whom the kernel let in.
    pub connected: u64,
    /// Those whom the server accepted; the others were in the kernel's queue.
    pub accepted: u64,
    /// Processes of the server with all of them there.
    pub processes: u64,
    /// The threads of these.
    pub threads: u64,
    /// Resident bytes of the server before the first came, without those of files: the
    /// `Pss_Anon` and `Pss_Shmem` of its processes, which divide what they share among
    /// them. What the kernel holds for a connection is not in it.
    pub resident_before: u64,
    /// The same with all of them there.
    pub resident_after: u64,
    /// The difference, for each that was accepted.
    pub bytes_each: Option<f64>,
    /// Microseconds of an answer on a new connection before they came, the median.
    pub alone_us: f64,
    /// The same beside them; none where somebody waited in the queue already.
    pub beside_us: Option<f64>,
}

/// How long answers took that were asked for at a fixed rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// Requests a second that were due.
    pub rate: u64,
    /// Answers that were timed.
    pub samples: u64,
    /// From the moment at which the request was due, whenever it could be sent.
    pub from_due: Percentiles,
    /// From the moment at which it was sent. Who reads these alone leaves out what the
    /// requests waited for that could not be sent in time.
    pub from_sent: Percentiles,
}

/// Figures that so many of a set are not greater than, by the nearest rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// 50 of 100.
    pub p50_us: f64,
    /// 90 of 100.
    pub p90_us: f64,
    /// 99 of 100.
    pub p99_us: f64,
    /// 999 of 1000.
    pub p999_us: f64,
    /// The greatest.
    pub max_us: f64,
}

/// One round of one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Round {
    /// Answers a second, errors not counted.
    pub rate: f64,
    /// Whole answers.
    pub answers: u64,
    /// What the load tool reports as wrong.
    pub errors: u64,
    /// Microseconds of the server's processor time for an answer.
    pub server_cpu_us: f64,
    /// Of which in the server's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_user_us: Option<f64>,
    /// And in the kernel, on its behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_system_us: Option<f64>,
}

/// Two servers of the same run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// The one.
    pub of: String,
    /// The one it is measured by.
    pub to: String,
    /// The ratios of their rates, round by round.
    pub ratio: Spread,
}

/// The cost of a fork as the parent's memory grows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForkCost {
    /// Where and when.
    pub machine: Machine,
    /// The size of the pages that were touched: `4 KiB` or `huge`.
    pub pages: String,
    /// How often each size had its turn.
    pub rounds: u64,
    /// From the smallest on.
    pub sizes: Vec<ForkSize>,
}

/// The cost at one size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForkSize {
    /// Touched before the forks, in units of 1,000,000 bytes.
    pub megabytes: u64,
    /// What the process really held, in the same unit.
    pub resident_megabytes: u64,
    /// How many forks were timed in each round.
    pub forks: u64,
    /// Microseconds from fork until waitpid has returned: the medians of the
    /// rounds.
    pub microseconds: Spread,
}

/// The middle and the ends of several figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle one; between the two middle ones of an even number.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// The spread of `figures`; nothing of none.
    ///
    /// ```
    /// use bench::record::Spread;
    /// let spread = Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap();
    /// assert_eq!((spread.median, spread.min, spread.max), (2.5, 1.0, 4.0));
    /// ```
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => (sorted[half - 1] + sorted[half]) / 2.0,
            _ => sorted[half],
        };
        Some(Spread {
            median: rounded(median),
            min: rounded(min),
            max: rounded(max),
        })
    }
}

/// Three decimals: more would be noise.
pub fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

impl Record {
    /// Reads a run.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or holds no run.
    pub fn read(path: &Path) -> Result<Record> {
        let name = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("read {name}"))?;
        serde_json::from_str(&text).with_context(|| format!("{name} is not a recorded run"))
    }

    /// Writes a run, and the folders it needs.
    ///
    /// # Errors
    ///
    /// A place that cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text).with_context(|| format!("write {}", path.display()))
    }
}

/// Makes sure that a record can be written to `path`, before any time is spent on it.
///
/// # Errors
///
/// A folder that cannot be made, and a file that cannot be opened for writing.
pub fn check_writable(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    let new = !path.exists();
    let opened = fs::OpenOptions::new().append(true).create(true).open(path);
    opened.with_context(|| format!("write {}", path.display()))?;
    if new {
        // A run that fails leaves no empty record.
        fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
    }
    Ok(())
}

/// A count with a comma before each three digits.
///
/// ```
/// assert_eq!(bench::record::grouped(1234567.4), "1,234,567");
/// assert_eq!(bench::record::grouped(12.0), "12");
/// ```
pub fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
