//! The command line of a server, with clap.

use crate::log::{complain, complain_of_panics, outlive_file_limit};
use clap::error::ErrorKind;
use clap::Parser;
use std::io;
use std::process::ExitCode;

// ANCHOR: main
/// What the `main` of a server comes to: reads its options and runs it. What goes
/// wrong is said in a line, and the program ends with 1.
pub fn main<P: Parser>(run: impl FnOnce(P) -> crate::Result<()>) -> ExitCode {
    complain_of_panics();
    outlive_file_limit();
    match run(parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

/// The error of a server that cannot have the address it was given.
pub fn cannot_bind(address: &str, error: io::Error) -> io::Error {
    let why = match address.starts_with(':') {
        true => "no host before the port".to_string(),
        false => error.to_string(),
    };
    let hint = "another address can be the last argument";
    io::Error::new(error.kind(), format!("bind {address}: {why}; {hint}"))
}
// ANCHOR_END: main

// ANCHOR: parse
/// The options that the program was started with. Where they make no sense, says
/// so in a line, and ends the program with 2; where they ask for help or for the
/// version, shows that and ends it with 0.
pub fn parse<P: Parser>() -> P {
    P::try_parse().unwrap_or_else(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
        _ => {
            complain(line(&error.to_string()));
            std::process::exit(2)
        }
    })
}

/// What is wrong, and how it is used: clap has a paragraph for each.
fn line(error: &str) -> String {
    let text = error.strip_prefix("error: ").unwrap_or(error);
    let paragraphs = text
        .split("\n\n")
        .filter(|text| !text.starts_with("For more"));
    let lines = paragraphs.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    lines
        .collect::<Vec<_>>()
        .join("; ")
        .replace("; Usage:", "; usage:")
        + "; --help says more"
}
// ANCHOR_END: parse
