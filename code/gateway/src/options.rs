//! The command line of a server, with clap.

use clap::error::ErrorKind;
use clap::Parser;

// ANCHOR: parse
/// The options that the program was started with. Where they make no sense, says
/// so in a line, and ends the program with 2; where they ask for help or for the
/// version, shows that and ends it with 0.
pub fn parse<P: Parser>() -> P {
    P::try_parse().unwrap_or_else(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
        _ => {
            crate::log::complain(line(&error.to_string()));
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
