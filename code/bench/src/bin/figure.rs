//! figure: draws a recorded run as a bar chart.
//!
//!     cargo run -p bench --bin figure -- RUN.json FIGURE.svg [--servers A,B] [--of WHAT]
//!
//! The same run gives the same bytes. The figure takes the colours of the page it
//! stands in, and tells its own figures to those who cannot see it.

use anyhow::{Context, Result};
use bench::figure::{draw, Of};
use bench::record::Record;
use clap::{Parser, ValueEnum};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Draws a recorded run as a bar chart
#[derive(Parser)]
#[command(name = "figure", version)]
struct Options {
    /// The run, from `bench` or `fork_cost`
    run: PathBuf,
    /// The SVG to write
    figure: PathBuf,
    /// The servers to draw, in this order; all of the run otherwise
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    servers: Vec<String>,
    /// What the bars show: rate, processor or silent
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "rate",
        hide_possible_values = true
    )]
    of: Of,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            bench::say(&format!("figure: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let options = Options::parse();
    let record = Record::read(&options.run)?;
    let mut again = format!(
        "cargo run -p bench --bin figure -- {} {}",
        options.run.display(),
        options.figure.display()
    );
    if !options.servers.is_empty() {
        again.push_str(&format!(" --servers {}", options.servers.join(",")));
    }
    if options.of != Of::Rate {
        let of = options.of.to_possible_value();
        again.extend(of.map(|of| format!(" --of {}", of.get_name())));
    }
    let svg = draw(&record, &options.servers, options.of, &again)?;
    let name = options.figure.display();
    fs::write(&options.figure, svg).with_context(|| format!("write {name}"))
}
