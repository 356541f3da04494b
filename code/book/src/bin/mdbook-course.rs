//! The preprocessor as a command, for a stock mdBook: `book.toml` names it.
//!
//! mdBook asks `mdbook-course supports RENDERER` first; without arguments it
//! gives the book as JSON on the standard input and takes it back, changed,
//! from the standard output.

use book::preprocessor::Preprocessor;
use mdbook_preprocessor::{parse_input, Preprocessor as _};
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "supports")
    {
        return ExitCode::SUCCESS; // what it makes is Markdown and HTML
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let (context, book) = parse_input(io::stdin())?;
    let book = Preprocessor.run(&context, book)?;
    serde_json::to_writer(io::stdout(), &book)?;
    Ok(())
}
