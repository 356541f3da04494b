//! The machinery that keeps the text of the course and its programs true to
//! each other.
//!
//! - [`anchors`]: the comments that mark a region of a program.
//! - [`course`]: the table of programs and debts, `course.toml`.
//! - [`includes`]: what mdBook makes of `{{#include}}` and
//!   `{{#rustdoc_include}}`, except that a mistake is an error.
//! - [`lookup`]: links to the glossary, to the chapters of programs, to manuals and RFCs.
//! - [`step`]: what changes from one program to the next, and what a page shows of it.
//! - [`transcript`]: `console` blocks, as the page shows them and as the tests
//!   replay them.
//! - [`preprocessor`]: the facts boxes, diffs, debts and captions, as an
//!   ordinary mdBook preprocessor.
//! - [`site`]: builds the whole book (feature `site`).
//! - [`publish`]: the same for an address on the web.
//! - [`doctor`]: the tools that the course uses, and whether they are there.
//! - `paper`: makes an EPUB and a PDF of it (feature `epub`).
//!
//! Everything that can be wrong with a chapter is a [`Problem`], which names
//! the file and the line to mend.

#![deny(missing_docs)]

pub mod anchors;
pub mod course;
#[cfg(feature = "site")]
pub mod doctor;
pub mod includes;
pub mod lookup;
#[cfg(feature = "epub")]
pub mod paper;
pub mod preprocessor;
#[cfg(feature = "site")]
pub mod publish;
#[cfg(feature = "site")]
pub mod site;
pub mod step;
pub mod transcript;

use std::fmt;
use std::path::{Path, PathBuf};

/// Something wrong with the book, and the place to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, from the top of the repository.
    pub file: PathBuf,
    /// The line, counted from 1; 0 where the whole file is meant.
    pub line: usize,
    /// What is wrong, in one line.
    pub what: String,
}

impl Problem {
    /// A problem with `file` at `line`.
    pub fn new(file: impl AsRef<Path>, line: usize, what: impl Into<String>) -> Problem {
        Problem {
            file: file.as_ref().to_path_buf(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file.display(), self.what),
            line => write!(f, "{}:{line}: {}", self.file.display(), self.what),
        }
    }
}

impl std::error::Error for Problem {}

/// The top of the repository that this package stands in.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_path_buf()
}

/// `text` as HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
