//! The programs of the course, built once for each test binary.

use book::course::{Course, Program, PACKAGE};
use book::Problem;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
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
    static COURSE: LazyLock<Result<Course, Problem>> =
        LazyLock::new(|| Course::load(&book::root()));
    match &*COURSE {
        Ok(course) => course.clone(),
        Err(problem) => panic!("{problem}"),
    }
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

/// The path of `webserver2` with all frameworks, from the top of the repository;
/// built in a target folder of its own, so that `target/debug` keeps the small one.
///
/// # Panics
///
/// When it cannot be built.
#[cfg(feature = "frameworks")]
pub fn with_frameworks() -> &'static str {
    static BUILT: LazyLock<()> = LazyLock::new(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(book::root());
        cargo.args(["build", "--quiet", "--locked", "-p", "part2"]);
        cargo.args(["--bin", "webserver2", "--features", "actix,rocket,cot"]);
        cargo.args(["--target-dir", "target/tmp/frameworks"]);
        let status = cargo
            .status()
            .expect("cargo runs the tests, so it is there");
        assert!(status.success(), "build webserver2 with all frameworks");
    });
    LazyLock::force(&BUILT);
    "target/tmp/frameworks/debug/webserver2"
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

/// A stage as the reader has it, in `folder`: under the name of the package that it is
/// typed in; and where an address stands in its text, with `port` in the place of 8888.
///
/// # Panics
///
/// When the copy cannot be made, or a server neither takes an address nor has
/// `127.0.0.1:8888` in its text.
pub fn as_typed(stage: &Program, folder: &Path, port: u16) -> PathBuf {
    let package = stage.package.as_deref().unwrap_or(PACKAGE);
    let mut program = fs::read(executable(&stage.name)).expect("it has been built");
    if !stage.takes_address() {
        let (page, here) = (b"127.0.0.1:8888", format!("127.0.0.1:{port}"));
        assert_eq!(
            page.len(),
            here.len(),
            "the port has four digits, as the page's has"
        );
        let windows = program.windows(page.len()).enumerate();
        let places = windows.filter(|(_, window)| *window == page);
        let places: Vec<usize> = places.map(|(at, _)| at).collect();
        let file = stage.file.display();
        assert!(
            !stage.serves || !places.is_empty(),
            "{file} takes no address and has no 127.0.0.1:8888"
        );
        for at in places {
            program[at..at + page.len()].copy_from_slice(here.as_bytes());
        }
    }
    let file = folder.join(package);
    let bytes = folder.join(format!("{package}.bytes"));
    let copied = fs::create_dir_all(folder).and_then(|()| {
        let _ = fs::remove_file(&file); // another stage, which may still be ending
        fs::write(&bytes, program)?;
        fs::set_permissions(&bytes, fs::Permissions::from_mode(0o755))?;
        // By another process: what one thread here writes, a child that another thread
        // forks at that moment holds open for writing, and it could not be started.
        Command::new("cp").arg(&bytes).arg(&file).status()
    });
    let copied = copied.is_ok_and(|status| status.success());
    assert!(copied, "write {}", file.display());
    if cfg!(target_os = "macos") {
        // Its signature was that of the original.
        let mut sign = Command::new("codesign");
        let signed = sign.args(["--force", "--sign", "-"]).arg(&file).status();
        assert!(
            signed.is_ok_and(|status| status.success()),
            "sign {}",
            file.display()
        );
    }
    file
}

/// The folder of the executables, `target/debug` unless cargo was told
/// otherwise.
pub fn folder() -> PathBuf {
    let any = executables().values().next();
    let folder = any.and_then(|file| file.parent());
    folder.unwrap_or(Path::new("target/debug")).to_path_buf()
}

/// Builds programs, given as their names and texts, in a package of their own, with
/// these lines of `[dependencies]`, and gives the folder of the executables.
///
/// # Errors
///
/// What cargo says of them.
///
/// # Panics
///
/// When the files cannot be written.
pub fn build_alone(
    package: &str,
    programs: &[(String, String)],
    dependencies: &BTreeSet<String>,
) -> Result<PathBuf, String> {
    let alone = folder().join("../tmp/alone");
    let folder = alone.join(package);
    let dependencies: Vec<&str> = dependencies.iter().map(String::as_str).collect();
    // The empty workspace keeps cargo from looking for ours above it.
    let manifest = format!(
        "[package]\nname = \"{package}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n\
         [dependencies]\n{}\n\n[workspace]\n",
        dependencies.join("\n")
    );
    let lock = fs::read_to_string(book::root().join("Cargo.lock"));
    let lock = lock.expect("the workspace has one");
    let mut cargo = cargo();
    cargo.args(["build", "--offline", "--quiet", "--color=never"]);
    write(&folder.join("Cargo.toml"), &manifest);
    write(&folder.join("Cargo.lock"), &lock);
    for (name, text) in programs {
        write(&folder.join(format!("src/bin/{name}.rs")), text);
        cargo.args(["--bin", name]);
    }
    let target = alone.join("target");
    let output = cargo.arg("--target-dir").arg(&target);
    let output = output.current_dir(&folder).output();
    let output = output.map_err(|error| format!("run cargo: {error}"))?;
    match output.status.success() {
        true => Ok(target.join("debug")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Writes a file unless it stands there already: cargo goes by its time.
fn write(file: &Path, text: &str) {
    if fs::read_to_string(file).is_ok_and(|old| old == text) {
        return;
    }
    let folder = file.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(file, text));
    written.unwrap_or_else(|error| panic!("write {}: {error}", file.display()));
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
