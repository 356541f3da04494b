//! The programs of the course, and the server of the book, built once for each test binary.

use book::course::{Course, Example, Program, PACKAGE};
use book::site::list;
use book::Problem;
use regex::bytes::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
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
pub fn course() -> &'static Course {
    static COURSE: LazyLock<Result<Course, Problem>> =
        LazyLock::new(|| Course::load(&book::root()));
    match &*COURSE {
        Ok(course) => course,
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

/// Whether a program, given as it is typed, has here what it waits with: some need epoll,
/// which is Linux's own.
pub fn runs_here(program: &str) -> bool {
    let name = program.split_whitespace().next().unwrap_or_default();
    let epoll = ["extern crate no_epoll", "use readiness::"];
    let of_linux = |program: &Program| epoll.iter().any(|text| program.source().contains(text));
    cfg!(target_os = "linux") || !course().program(name).is_some_and(of_linux)
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
/// typed in; and where its address stands in its text, with `port` in the place of 8888.
///
/// # Panics
///
/// When the copy cannot be made, or a server neither takes an address nor has
/// `127.0.0.1:8888` in its text.
pub fn as_typed(stage: &Program, folder: &Path, port: u16) -> PathBuf {
    let file = folder.join(stage.package.as_deref().unwrap_or(PACKAGE));
    let fixed = !stage.takes_address(); // also where a client goes
    let replaced = copy_with_port(&executable(&stage.name), &file, fixed.then_some(port));
    let source = stage.file.display();
    assert!(
        replaced || !fixed || !stage.serves,
        "{source} takes no address and has no {ADDRESS}"
    );
    file
}

/// An example, a copy of it in `folder` if its text has the address `127.0.0.1:8888`: with
/// `port` in that place.
///
/// # Panics
///
/// When the copy cannot be made.
pub fn example(example: &Example, folder: &Path, port: u16) -> PathBuf {
    let built = executable(&example.name);
    let text = fs::read_to_string(book::root().join(&example.file));
    if !text.is_ok_and(|text| text.contains(ADDRESS)) {
        return built;
    }
    let file = folder.join(&example.name);
    copy_with_port(&built, &file, Some(port));
    file
}

/// Where servers serve, unless they are told.
const ADDRESS: &str = "127.0.0.1:8888";

/// Writes a file that is to be executed, in another process. What this one has open for
/// writing is open, until they exec, in the children that other threads fork meanwhile,
/// and may not be executed for as long (ETXTBSY).
fn write_elsewhere(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut writer = Command::new("sh");
    writer.args(["-c", "cat >\"$1\"", "sh"]).arg(file);
    let mut writer = writer.stdin(Stdio::piped()).spawn()?;
    let written = writer.stdin.take().map(|mut input| input.write_all(bytes));
    let ended = writer.wait()?;
    written.transpose()?;
    match ended.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{ended}"))),
    }
}

/// Copies a program, with this port where it has 8888 in its text, if it has; whether it
/// has. Without a port it gets another name and stays one file.
fn copy_with_port(program: &Path, file: &Path, port: Option<u16>) -> bool {
    let folder = file.parent().unwrap_or(Path::new("."));
    if port.is_none() && cfg!(target_os = "linux") {
        let _ = fs::remove_file(file); // another one, which may still be ending
        let linked = fs::create_dir_all(folder).and_then(|()| fs::hard_link(program, file));
        if linked.is_ok() {
            return false;
        }
    }
    let mut bytes = fs::read(program).expect("it has been built");
    let mut places = Vec::new();
    if let Some(port) = port {
        let here = format!("127.0.0.1:{port}");
        let address = Regex::new(&regex::escape(ADDRESS)).expect("it is escaped");
        places.extend(address.find_iter(&bytes).map(|found| found.start()));
        let fits = places.is_empty() || ADDRESS.len() == here.len();
        assert!(fits, "the port {port} has four digits, as the page's has");
        for at in &places {
            bytes[*at..at + here.len()].copy_from_slice(here.as_bytes());
        }
    }
    let copied = fs::create_dir_all(folder).and_then(|()| {
        let _ = fs::remove_file(file); // another one, which may still be ending
        write_elsewhere(file, &bytes)?;
        fs::set_permissions(file, fs::Permissions::from_mode(0o755))
    });
    copied.unwrap_or_else(|error| panic!("write {}: {error}", file.display()));
    if cfg!(target_os = "macos") {
        // Its signature was that of the original.
        let mut sign = Command::new("codesign");
        let signed = sign.args(["--force", "--sign", "-"]).arg(file).status();
        let signed = signed.is_ok_and(|status| status.success());
        assert!(signed, "sign {}", file.display());
    }
    !places.is_empty()
}

/// The folder of the executables, `target/debug` unless cargo was told
/// otherwise.
pub fn folder() -> PathBuf {
    let any = executables().values().next();
    let folder = any.and_then(|file| file.parent());
    folder.unwrap_or(Path::new("target/debug")).to_path_buf()
}

/// Compiles programs, given as their names and texts, in a package of their own beside the
/// `copies` of libraries, with these dependencies (`[dependencies]` and what follows). They
/// are programs whose text has been linked and started already, under another manifest, so
/// the compiler stops before it writes machine code. And each is a module, so it starts
/// once for all of them: no text of the course says where it stands (`crate`, `super`).
///
/// # Errors
///
/// What cargo says of them.
///
/// # Panics
///
/// When the files cannot be written.
pub fn check_alone(
    copies: &Path,
    package: &str,
    programs: &[(String, String)],
    dependencies: &str,
) -> Result<(), String> {
    let folder = copies.join(package);
    // The empty workspace keeps cargo from looking for ours above it.
    let manifest = format!(
        "[package]\nname = \"{package}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n\
         {dependencies}\n\n[workspace]\n"
    );
    write(&folder.join("Cargo.toml"), &manifest);
    let mut modules = "#![allow(dead_code)] // their main\n".to_string();
    for (name, text) in programs {
        write(&folder.join(format!("src/{name}.rs")), text);
        modules.push_str(&format!("mod {name};\n"));
    }
    write(&folder.join("src/lib.rs"), &modules);
    let on = course().libraries.iter().filter_map(|library| {
        let folder = copies.join(library.folder.file_name()?);
        folder.is_dir().then_some(folder)
    });
    check(&folder, &[], &on.collect(), &copies.join("target"))
}

/// Has cargo check these targets of the package or workspace in `folder`, which is made of
/// what lies there and in the folders of `on`, with the versions of our Cargo.lock.
///
/// Cargo needs a tenth of a second to find that no file has been written since it was last
/// content. That is looked at here in the same way, by sizes and times, and it is not asked.
///
/// # Errors
///
/// What it says.
pub fn check(
    folder: &Path,
    targets: &[String],
    on: &BTreeSet<PathBuf>,
    target: &Path,
) -> Result<(), String> {
    let lock = book::root().join("Cargo.lock");
    let mut cargo = cargo();
    cargo.args(["check", "--offline", "--quiet", "--color=never"]);
    cargo.env("CARGO_INCREMENTAL", "0"); // nobody edits a copy
    cargo.env("CARGO_BUILD_BUILD_DIR", target);
    cargo.arg("--target-dir").arg(target);
    cargo.args(targets).current_dir(folder);

    let program = PathBuf::from(cargo.get_program());
    let command = format!("{cargo:?} {:?}\n", std::env::var_os("RUSTFLAGS"));
    let state = || {
        let mut state = command.clone();
        let files = [&program, &lock].into_iter().chain(on);
        let listed = files.map(Path::new).chain([folder]);
        let mut listed = listed.map(|path| list(path, &mut state));
        listed.all(|listed| listed.is_ok()).then_some(state)
    };
    let content = folder.join(".content");
    let before = fs::read_to_string(&content).ok();
    if before.is_some() && target.is_dir() && before == state() {
        return Ok(());
    }
    let _ = fs::remove_file(&content);
    let copied = fs::copy(&lock, folder.join("Cargo.lock"));
    copied.map_err(|error| format!("copy Cargo.lock: {error}"))?;
    let output = cargo.output();
    let output = output.map_err(|error| format!("run cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    if let Some(state) = state() {
        write(&content, &state);
    }
    Ok(())
}

/// Writes a file unless it stands there already: cargo goes by its time.
pub fn write(file: &Path, text: &str) {
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
    let programs = course()
        .programs
        .iter()
        .map(|program| program.name.as_str());
    for name in programs.chain(["book"]) {
        cargo.args(["--bin", name]);
    }
    let examples = course().examples.iter();
    let examples = examples.map(|example| example.name.as_str());
    for name in examples.chain(["shared_runtime"]) {
        cargo.args(["--example", name]);
    }
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
