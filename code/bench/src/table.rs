//! The table of servers, `servers.toml`; its head says what a row may hold.

use anyhow::{bail, ensure, Context, Result};
use clap::ValueEnum;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the table stands, from the top of the repository.
pub const TABLE: &str = "code/bench/servers.toml";

/// Whether a connection serves one request or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// A new one for each request, which says `Connection: close`.
    Close,
    /// One for as long as both sides like.
    KeepAlive,
    /// The same, and [`DEPTH`] requests at a time.
    Pipelined,
}

/// Requests that are sent at a time where they are pipelined.
pub const DEPTH: usize = 16;

impl Connection {
    /// As the table writes it.
    pub fn name(self) -> &'static str {
        match self {
            Connection::Close => "close",
            Connection::KeepAlive => "keep-alive",
            Connection::Pipelined => "pipelined",
        }
    }
}

/// A row of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// In the report and in the options.
    pub name: String,
    /// What it is, in a few words.
    pub what: String,
    /// Starts it; see [`words`].
    pub command: String,
    /// What is asked for.
    pub path: String,
    /// The whole body of the right answer.
    pub body: String,
    /// A new connection for each request, or not. A server that keeps connections can be
    /// asked in the other ways too.
    #[serde(default = "close")]
    pub connection: Connection,
    /// A file to fill in `{address}` and `{root}` in; `{config}` in the command becomes
    /// the path of the copy. From the top of the repository.
    pub config: Option<PathBuf>,
    /// Makes it, at the top of the repository.
    pub build: Option<String>,
    /// Commands on the `PATH`; with a `/`, files from the top.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Modules that `python3` must be able to import.
    #[serde(default)]
    pub modules: Vec<String>,
    /// What to do when one of them is missing.
    pub install: Option<String>,
    /// A command whose first line says the version.
    pub version: Option<String>,
    /// The folder it runs in, from the top of the repository.
    pub cwd: Option<PathBuf>,
    /// Variables to set.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Seconds until its first right answer.
    #[serde(default = "ten")]
    pub ready_within: u64,
}

fn close() -> Connection {
    Connection::Close
}

fn ten() -> u64 {
    10
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    server: Vec<Row>,
}

/// Reads a table.
///
/// # Errors
///
/// A file that cannot be read or parsed; two rows of one name; a command
/// without `{address}`, `{port}` or `{config}`; a path that does not begin with `/`.
pub fn load(path: &Path) -> Result<Vec<Row>> {
    let name = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("read {name}"))?;
    let table: Table = toml::from_str(&text).with_context(|| format!("{name} is no table"))?;
    let mut names = BTreeSet::new();
    for row in &table.server {
        let server = &row.name;
        ensure!(names.insert(server), "{name}: {server} is named twice");
        ensure!(
            !server.contains([',', '/', ' ']) && !server.is_empty(),
            "{name}: the name `{server}` must not be empty, nor hold a comma, a slash or a blank"
        );
        ensure!(
            row.config.is_some()
                || ["{address}", "{port}"]
                    .iter()
                    .any(|place| row.command.contains(place)),
            "{name}: {server}: the command lacks {{address}} or {{port}}: {}",
            row.command
        );
        ensure!(
            row.config.is_some() == row.command.contains("{config}"),
            "{name}: {server}: `config` and {{config}} in the command belong together: {}",
            row.command
        );
        ensure!(
            row.path.starts_with('/') && !row.path.contains(char::is_whitespace),
            "{name}: {server}: the path must begin with a slash and hold no blank: {}",
            row.path
        );
    }
    Ok(table.server)
}

/// The rows of the names `wanted`, in that order; all rows if none is named.
///
/// # Errors
///
/// A name that no row has, or that stands twice.
pub fn choose(rows: Vec<Row>, wanted: &[String]) -> Result<Vec<Row>> {
    if wanted.is_empty() {
        return Ok(rows);
    }
    let mut chosen: Vec<Row> = Vec::new();
    for name in wanted {
        let Some(row) = rows.iter().find(|row| row.name == *name) else {
            let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
            bail!("no server is named {name}; there are {}", names.join(", "));
        };
        ensure!(
            chosen.iter().all(|other| other.name != *name),
            "{name} is asked for twice"
        );
        chosen.push(row.clone());
    }
    Ok(chosen)
}

/// The rows, each to be asked over connections of this kind. Those that close every
/// connection are left out, if they were not asked for by name (`wanted`).
///
/// # Errors
///
/// A row that was asked for and closes every connection.
pub fn ask(mut rows: Vec<Row>, connection: Connection, wanted: &[String]) -> Result<Vec<Row>> {
    if connection != Connection::Close {
        let closes = |row: &Row| row.connection == Connection::Close;
        if let Some(row) = rows.iter().find(|row| closes(row) && !wanted.is_empty()) {
            bail!("{} closes every connection", row.name);
        }
        rows.retain(|row| !closes(row));
    }
    for row in &mut rows {
        row.connection = connection;
    }
    Ok(rows)
}

/// The words of a command of the table: `{root}`, `{address}` and `{port}` filled in, and
/// the program found from `root` if it has a `/`.
///
/// # Errors
///
/// An empty command.
pub fn words(command: &str, root: &Path, address: &str) -> Result<Vec<String>> {
    let root_text = root
        .to_str()
        .context("the repository's path is not UTF-8")?;
    let port = address.rsplit(':').next().unwrap_or_default();
    // Split first: the path of the repository may hold blanks.
    let mut words: Vec<String> = command
        .split_whitespace()
        .map(|word| {
            word.replace("{root}", root_text)
                .replace("{address}", address)
                .replace("{port}", port)
        })
        .collect();
    let program = words.first_mut().context("an empty command in the table")?;
    if program.contains('/') {
        *program = root.join(&program).to_string_lossy().into_owned();
    }
    Ok(words)
}
