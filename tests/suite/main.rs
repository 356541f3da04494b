//! The suite: what the course promises, in one binary, a module for each kind of
//! promise. `cargo test --test suite MODULE::` runs one of them, and
//! `cargo test --test suite MODULE::NAME` one test.

mod alone;
#[cfg(target_os = "linux")]
mod bench;
mod book_server;
#[cfg(feature = "browser")]
mod browser;
mod chapters;
mod comparison;
mod debts;
mod exercises;
#[cfg(all(feature = "fronts", target_os = "linux"))]
mod fronts;
mod house;
mod leftovers;
mod lines;
mod my_gateway;
mod my_machine;
mod pages;
mod part3;
mod part4;
mod properties;
#[cfg(feature = "browser")]
mod published;
#[cfg(feature = "python")]
mod python;
mod runtimes;
mod snippets;
mod webserver1;
mod webserver2;
mod workflows;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A program of the course with a change in it: see `tests/changed/main.rs`.
fn changed(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("changed");
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("make {folder:?}: {error}"));
    let link = folder.join(name);
    let program = Path::new(env!("CARGO_BIN_EXE_changed"));
    if fs::read_link(&link).ok().as_deref() != Some(program) {
        let _ = fs::remove_file(&link);
        let made = symlink(program, &link);
        made.unwrap_or_else(|error| panic!("make {link:?}: {error}"));
    }
    link
}
