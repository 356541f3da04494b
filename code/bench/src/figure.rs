//! A bar chart of a recorded run, as an SVG in the page's own colours.

use crate::record::{grouped, ForkCost, Measured, Record, Spread, Throughput};
use anyhow::{bail, ensure, Context, Result};
use clap::ValueEnum;
use std::fmt::Write;

/// What a figure looks like without the page whose colours it takes: as a file of its
/// own, or as an image. All figures of the book have this line.
const COLOURS: &str = "<style>svg:root{background:white}@media (prefers-color-scheme:dark)\
    {svg:root{--fg:#d6d9de;--bg:#161923;--links:#6db3dd;background:#161923}}</style>";

/// Units of the figure, which is shown at least this many pixels wide.
const WIDTH: usize = 360;

/// Where the longest bar ends; the rest is for its figure.
const LONGEST: f64 = 286.0;

/// The height of a row: a line of text, and a bar.
const ROW: usize = 46;

/// Characters of the monospaced label that the width holds.
const LABEL: usize = 46;

/// What the bars of a run of servers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Of {
    /// Answers a second.
    Rate,
    /// Microseconds of the server's processor time for an answer.
    Processor,
    /// Resident bytes of the server for each silent client.
    Silent,
}

impl Of {
    fn title(self) -> &'static str {
        match self {
            Of::Rate => "Answers a second",
            Of::Processor => "Processor time for an answer, microseconds",
            Of::Silent => "Resident bytes for a silent client",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Of::Rate => "answers a second",
            Of::Processor => "microseconds",
            Of::Silent => "bytes",
        }
    }

    fn value(self, server: &Measured) -> Result<Spread> {
        match self {
            Of::Rate => Ok(server.rate),
            Of::Processor => Ok(server.server_cpu_us),
            Of::Silent => {
                let silent = server.silent.as_ref();
                let each = silent.and_then(|silent| silent.bytes_each);
                let each =
                    each.with_context(|| format!("{} held no silent clients", server.name))?;
                Spread::of([each]).context("no figure")
            }
        }
    }

    /// As it stands beside the bar.
    fn text(self, figure: f64) -> String {
        match self {
            Of::Processor => format!("{figure:.1}"),
            Of::Rate | Of::Silent => grouped(figure),
        }
    }
}

struct Bar {
    label: String,
    value: Spread,
    text: String,
}

/// Draws the medians of a run as bars, their spread as a line on each. Of a run of
/// servers only those in `names` are drawn, in that order; all if there are none; and of
/// each what `of` says.
/// `metadata` is kept in the figure and not shown: how to draw it again.
///
/// # Errors
///
/// A name that the run does not have, or that is too long for the figure; a run
/// without figures.
pub fn draw(record: &Record, names: &[String], of: Of, metadata: &str) -> Result<String> {
    let (title, unit, bars, conditions) = match record {
        Record::Throughput(run) => (
            of.title(),
            of.unit(),
            servers(run, names, of)?,
            conditions(run, of),
        ),
        Record::ForkCost(run) => {
            if of != Of::Rate || !names.is_empty() {
                bail!("a run of forks has no servers to choose");
            }
            (
                "Microseconds for a fork, by memory touched",
                "microseconds",
                forks(run),
                forks_conditions(run),
            )
        }
    };
    let most = bars.iter().map(|bar| bar.value.max).fold(0.0, f64::max);
    ensure!(most > 0.0, "the run has no figures to draw");
    for bar in &bars {
        ensure!(
            bar.label.chars().count() <= LABEL,
            "`{}` is too long a label; {LABEL} characters fit",
            bar.label
        );
    }

    let mut said = Vec::new();
    for bar in &bars {
        said.push(format!(
            "{} {} ({} to {})",
            bar.label,
            bar.text,
            of.text(bar.value.min),
            of.text(bar.value.max)
        ));
    }
    let height = 28 + bars.len() * ROW;
    let mut svg = String::new();
    let short: Vec<String> = bars
        .iter()
        .map(|bar| format!("{} {}", bar.label, bar.text))
        .collect();
    let label = escaped(&format!("A bar chart. {title}: {}.", short.join(", ")));
    let desc = escaped(&match of {
        // One figure for each, which has no spread.
        Of::Silent => format!("In {unit}: {}. {conditions}", short.join("; ")),
        Of::Rate | Of::Processor => format!(
            "Medians in {unit}, with the least and the greatest: {}. {conditions}",
            said.join("; ")
        ),
    });
    writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}" style="fill:var(--fg, black);font-family:var(--sans-font, sans-serif)">"#
    )?;
    writeln!(svg, "{COLOURS}")?;
    writeln!(svg, "<desc>{desc}</desc>")?;
    writeln!(svg, "<metadata>{}</metadata>", escaped(metadata))?;
    writeln!(
        svg,
        r#"<text x="4" y="16" style="font-size:13px;font-weight:bold">{title}</text>"#
    )?;
    for (place, bar) in bars.iter().enumerate() {
        let top = 28 + place * ROW;
        let at = |figure: f64| 4.0 + figure / most * (LONGEST - 4.0);
        let (end, min, max) = (at(bar.value.median), at(bar.value.min), at(bar.value.max));
        let length = (end - 4.0).max(1.0);
        let name = escaped(&bar.label);
        writeln!(
            svg,
            r#"<text x="4" y="{}" style="font-size:12.5px;font-family:var(--mono-font, monospace)">{name}</text>"#,
            top + 12
        )?;
        writeln!(
            svg,
            r#"<rect x="4" y="{}" width="{length:.1}" height="18" rx="2" style="fill:var(--links, #1f5f9f);fill-opacity:.3;stroke:var(--links, #1f5f9f);stroke-width:1"/>"#,
            top + 18
        )?;
        let middle = top + 27;
        writeln!(
            svg,
            r#"<path d="M{min:.1} {}v8M{max:.1} {}v8M{min:.1} {middle}H{max:.1}" style="fill:none;stroke:var(--fg, black);stroke-width:1"/>"#,
            middle - 4,
            middle - 4
        )?;
        let text = escaped(&bar.text);
        writeln!(
            svg,
            r#"<text x="{:.1}" y="{}" style="font-size:12.5px">{text}</text>"#,
            end.max(max) + 6.0,
            top + 31
        )?;
    }
    writeln!(svg, "</svg>")?;
    Ok(svg)
}

fn servers(run: &Throughput, names: &[String], of: Of) -> Result<Vec<Bar>> {
    let all: Vec<String> = run
        .servers
        .iter()
        .map(|server| server.name.clone())
        .collect();
    let names = if names.is_empty() { &all } else { names };
    names
        .iter()
        .map(|name| {
            let server = run.servers.iter().find(|server| server.name == *name);
            let server = server.with_context(|| format!("the run has no server {name}"))?;
            let value = of.value(server)?;
            Ok(Bar {
                label: name.clone(),
                value,
                text: of.text(value.median),
            })
        })
        .collect()
}

fn conditions(run: &Throughput, of: Of) -> String {
    let machine = format!(
        "{}, {} cores, {}",
        run.machine.cpu, run.machine.cores, run.machine.kernel
    );
    if of == Of::Silent {
        return format!("One look at each before the first round; {machine}.");
    }
    let rounds = run.servers.first().map_or(0, |server| server.rounds.len());
    format!(
        "{rounds} rounds of {} s each in turn, {} connections at a time; {machine}.",
        run.seconds, run.connections
    )
}

fn forks(run: &ForkCost) -> Vec<Bar> {
    let bar = |size: &crate::record::ForkSize| Bar {
        label: format!("{} MB", grouped(size.megabytes as f64)),
        value: size.microseconds,
        text: grouped(size.microseconds.median),
    };
    run.sizes.iter().map(bar).collect()
}

fn forks_conditions(run: &ForkCost) -> String {
    let forks = run.sizes.first().map_or(0, |size| size.forks);
    format!(
        "{} rounds of {forks} forks of each size, {} pages; {}, {}.",
        run.rounds, run.pages, run.machine.cpu, run.machine.kernel
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
