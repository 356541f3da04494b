//! The programs of the course, built once for each test binary.

use book::course::Course;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// The executables by their names, or why there are none.
static EXECUTABLES: LazyLock<Result<BTreeMap<String, PathBuf>, String>> = LazyLock::new(build);

/// The course of this repository.
///
/// # Panics
///
/// When its table or one of its programs cannot be read.
pub fn course() -> Course {
    Course::load(&book::root()).unwrap_or_else(|problem| panic!("{problem}"))
}

/// The executable of a program, or of a path to one: that has a `/`, and begins
/// at the top of the repository.
///
/// # Panics
///
/// When there is no such program, or it does not compile.
pub fn executable(program: &str) -> PathBuf {
    if program.contains('/') {
        return book::root().join(program);
    }
    let found = executables().get(program);
    found
        .unwrap_or_else(|| panic!("there is no program {program}"))
        .clone()
}

/// A program as it is typed: words after its name are arguments.
///
/// # Panics
///
/// See [`executable`].
pub fn command(program: &str) -> Command {
    let mut words = program.split_whitespace();
    let mut command = Command::new(executable(words.next().unwrap_or_default()));
    command.args(words);
    command
}

/// The folder of the executables, `target/debug` unless cargo was told
/// otherwise.
pub fn folder() -> PathBuf {
    let any = executables().values().next();
    let folder = any.and_then(|file| file.parent());
    folder.unwrap_or(Path::new("target/debug")).to_path_buf()
}

/// Cargo, as it runs these tests.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(book::root()).stdin(Stdio::null());
    cargo
}

fn executables() -> &'static BTreeMap<String, PathBuf> {
    match &*EXECUTABLES {
        Ok(executables) => executables,
        Err(error) => panic!("the programs do not compile:\n{error}"),
    }
}

fn build() -> Result<BTreeMap<String, PathBuf>, String> {
    let mut cargo = cargo();
    let format = "--message-format=json-render-diagnostics";
    cargo.args(["build", "--quiet", "--locked", "--color=never", format]);
    for program in course().programs {
        cargo.args(["--bin", &program.name]);
    }
    cargo.args(["--bin", "webserver2"]); // which no chapter shows yet
    let output = cargo.output();
    let output = output.map_err(|error| format!("run cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_string();
            Some((name, PathBuf::from(message["executable"].as_str()?)))
        })
        .collect())
}
