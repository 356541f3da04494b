//! The programs of the course, built once for each test binary.

use book::course::Course;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

static EXECUTABLES: LazyLock<BTreeMap<String, PathBuf>> = LazyLock::new(build);

/// The course of this repository.
///
/// # Panics
///
/// When its table or one of its programs cannot be read.
pub fn course() -> Course {
    Course::load(&book::root()).unwrap_or_else(|problem| panic!("{problem}"))
}

/// The executable of a program, or of a path to one (it has a `/`).
///
/// # Panics
///
/// When there is no such program, or it does not compile.
pub fn executable(program: &str) -> PathBuf {
    if program.contains('/') {
        return PathBuf::from(program);
    }
    let found = EXECUTABLES.get(program);
    found
        .unwrap_or_else(|| panic!("there is no program {program}"))
        .clone()
}

/// The folder of the executables, `target/debug` unless cargo was told
/// otherwise.
pub fn folder() -> PathBuf {
    let any = EXECUTABLES.values().next();
    let folder = any.and_then(|file| file.parent());
    folder.unwrap_or(Path::new("target/debug")).to_path_buf()
}

/// Cargo, as it runs these tests.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(book::root()).stdin(Stdio::null());
    cargo
}

fn build() -> BTreeMap<String, PathBuf> {
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--locked", "--message-format=json"]);
    for program in course().programs {
        cargo.args(["--bin", &program.name]);
    }
    let output = cargo.stderr(Stdio::inherit()).output();
    let output = output.expect("cargo runs these tests, so it can be run");
    assert!(output.status.success(), "the programs do not compile");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_string();
            Some((name, PathBuf::from(message["executable"].as_str()?)))
        })
        .collect()
}
