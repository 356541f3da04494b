//! Builds the book with mdBook's own library.

use crate::preprocessor::Preprocessor;
use anyhow::Context;
use mdbook_driver::config::Config;
use mdbook_driver::MDBook;
use std::path::Path;

/// Builds the book of the repository at `root` into `destination`, with our
/// preprocessor in this process instead of the command in `book.toml`.
///
/// # Errors
///
/// A mistake in a chapter, which names its place, or in `book.toml`; a
/// destination that cannot be written.
pub fn build(root: &Path, destination: &Path) -> anyhow::Result<()> {
    let mut config = Config::from_disk(root.join("book.toml")).context("read book.toml")?;
    config.build.build_dir = destination.to_path_buf();
    let mut book = MDBook::load_with_config(root, config).context("read the chapters")?;
    // Of the same name as the command, whose place it takes.
    book.with_preprocessor(Preprocessor);
    book.build()
}
