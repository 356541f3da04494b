//! Python's applications on the servers of the course: their environment, the
//! servers with Python inside, and a client that keeps its cookies.

use crate::answer::Answer;
use crate::client::Client;
use crate::programs::{cargo, folder};
use crate::server::Server;
use crate::{left_out, say};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::LazyLock;

/// Where the virtual environment stands, from the top of the repository.
pub const ENVIRONMENT: &str = "target/venv";

/// How it is made.
const HOW: &str = "virtual environment in target/venv: python3 -m venv target/venv && \
    target/venv/bin/pip install -r code/apps/python/requirements.txt \
    -r tests/python/requirements.txt";

/// Whether `check` can be done. If not, it says what is missing.
pub fn can_check(check: &str) -> bool {
    let there = environment().join("bin/python").exists();
    if !there {
        left_out(check, HOW);
    }
    there
}

/// The virtual environment.
pub fn environment() -> PathBuf {
    book::root().join(ENVIRONMENT)
}

/// The folder of the programs with Python inside; built in a target folder of their
/// own, so that `target/debug` keeps those without.
static BUILT: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let target = target();
    say("builds the servers with Python inside");
    // One by one, as the chapters' own commands do, which then find them built.
    for (package, kind, program) in [
        ("part2", "--bin", "webserver2"),
        ("part3h", "--bin", "webserver3h"),
        ("part4", "--bin", "webserver4a"),
        ("part4", "--bin", "webserver4b"),
        ("part4", "--bin", "webserver4c"),
        ("part4", "--bin", "webserver4d"),
        ("apps", "--example", "bare_fork"),
    ] {
        let mut cargo = cargo();
        cargo.args(["build", "--quiet", "--locked", "--color=never"]);
        cargo.args(["-p", package, "--features", "python", kind, program]);
        cargo.arg("--target-dir").arg(&target);
        cargo.env("PYO3_PYTHON", environment().join("bin/python"));
        cargo.env_remove("VIRTUAL_ENV");
        let output = cargo.output();
        let output = output.map_err(|error| format!("run cargo: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
    }
    Ok(target.join("debug"))
});

/// The folder of the programs with Python inside.
///
/// # Panics
///
/// When they do not compile.
pub fn programs() -> &'static Path {
    match &*BUILT {
        Ok(folder) => folder,
        Err(error) => panic!("the servers do not compile with Python:\n{error}"),
    }
}

/// What a terminal has in its environment after `. target/venv/bin/activate`, and
/// what makes cargo build there what these tests have built.
pub fn activated() -> Vec<(&'static str, String)> {
    let environment = environment();
    let text = |path: &Path| path.display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    vec![
        ("VIRTUAL_ENV", text(&environment)),
        ("PATH", format!("{}:{path}", text(&environment.join("bin")))),
        ("PYO3_PYTHON", text(&environment.join("bin/python"))),
        ("CARGO_TARGET_DIR", text(&target())),
        ("PYTHONDONTWRITEBYTECODE", "1".to_string()),
    ]
}

/// Where cargo builds what has Python inside.
pub fn target() -> PathBuf {
    book::root().join("target/tmp/python")
}

/// A program with Python inside: `webserver2`, `webserver3h`, `webserver4a`, `webserver4b`,
/// `webserver4c` or `webserver4d`.
///
/// # Panics
///
/// When it does not compile.
pub fn executable(program: &str) -> PathBuf {
    programs().join(program)
}

/// The same program without Python inside.
///
/// # Panics
///
/// When it does not compile.
pub fn without(program: &str) -> PathBuf {
    let mut build = cargo();
    build.args(["build", "--quiet", "--locked", "--bin", program]);
    let output = build.output().expect("cargo runs these tests");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    folder().join(program)
}

/// A folder with Python's modules in it, in which a server runs. Dropping it takes
/// it away.
pub struct Site {
    /// Where it stands.
    pub folder: PathBuf,
}

impl Site {
    /// A folder with our applications, those of the course and those of the tests.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn new() -> Site {
        let site = Site::empty();
        for from in ["code/apps/python", "tests/python"] {
            copy(&book::root().join(from), &site.folder);
        }
        site
    }

    /// A folder with the applications of the course, inside of the repository,
    /// where cargo finds the workspace.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn in_workspace(name: &str) -> Site {
        let folder = book::root().join("target/tmp").join(name);
        let _ = fs::remove_dir_all(&folder); // of a run that was killed
        copy(&book::root().join("code/apps/python"), &folder);
        Site { folder }
    }

    /// A folder without a module.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn empty() -> Site {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("course-python-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("the system has room for temporary files");
        let folder = folder.canonicalize().expect("it has been made");
        Site { folder }
    }

    /// Writes a file into it.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, file: &str, text: &str) {
        let written = fs::write(self.folder.join(file), text);
        written.unwrap_or_else(|error| panic!("write {file}: {error}"));
    }

    /// What stands in a file; nothing where there is none.
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap_or_default()
    }

    /// What an application has noted so far.
    pub fn notes(&self) -> String {
        self.read("notes")
    }

    /// A program with Python inside, about to run here with these arguments, in the
    /// virtual environment.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(executable(program));
        command.args(arguments).current_dir(&self.folder);
        command.env("VIRTUAL_ENV", environment());
        without_settings(&mut command);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// The same without Python inside.
    ///
    /// # Panics
    ///
    /// When it does not compile.
    pub fn without(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(without(program));
        command.args(arguments).current_dir(&self.folder);
        command
    }

    /// A server that runs here.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn serve(&self, program: &str, arguments: &[&str]) -> Server {
        let mut arguments = arguments.to_vec();
        arguments.push("127.0.0.1:0");
        let command = self.command(program, &arguments);
        let name = format!("{program} {}", arguments.join(" "));
        Server::spawn(&name, command).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Default for Site {
    fn default() -> Site {
        Site::new()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Puts the folder of this machine's Python in front, where `python3` is the script of a
/// version manager: to ask that each time which one it is takes longer than Python.
pub fn found_at_once(command: &mut Command) {
    static PATH: LazyLock<Option<OsString>> = LazyLock::new(|| {
        let mut python = Command::new("python3");
        python.args([
            "-c",
            "import os, sys; print(os.path.dirname(sys.executable))",
        ]);
        let said = python.stdin(Stdio::null()).output().ok()?.stdout;
        let folder = PathBuf::from(String::from_utf8(said).ok()?.trim_end());
        let path = std::env::var_os("PATH")?;
        let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        if !folder.join("python3").exists() || folders.contains(&folder) {
            return None;
        }
        folders.insert(0, folder);
        std::env::join_paths(folders).ok()
    });
    if let Some(path) = &*PATH {
        command.env("PATH", path);
    }
}

/// Takes away the settings of this machine's own Python.
pub fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PYTHON") {
            command.env_remove(name);
        }
    }
}

/// Copies what stands in a folder, without what Python and Django leave there.
///
/// # Panics
///
/// When it cannot.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it is ours");
    for entry in fs::read_dir(from).expect("it is a folder of the repository") {
        let entry = entry.expect("it can be listed");
        let name = entry.file_name();
        let left = ["__pycache__", "db.sqlite3"].contains(&name.to_string_lossy().as_ref());
        match entry.path() {
            _ if left => {}
            folder if folder.is_dir() => copy(&folder, &to.join(name)),
            file => drop(fs::copy(&file, to.join(name)).expect("it can be copied")),
        }
    }
}

/// A client that keeps its cookies from one request to the next.
pub struct Visitor<'a> {
    server: &'a Server,
    cookies: BTreeMap<String, String>,
    /// `Authorization`, if there is one.
    pub authorization: Option<String>,
}

impl<'a> Visitor<'a> {
    /// One that has been nowhere yet.
    pub fn new(server: &'a Server) -> Visitor<'a> {
        Visitor {
            server,
            cookies: BTreeMap::new(),
            authorization: None,
        }
    }

    /// Asks for a path.
    pub fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    /// Sends a form.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields = fields.iter();
        let fields = fields.map(|(name, value)| format!("{name}={}", escaped(value)));
        let form = fields.collect::<Vec<String>>().join("&");
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        self.ask("POST", path, &[kind], form.as_bytes())
    }

    /// Asks with these fields and this body.
    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut client = self.server.connect();
        client.send(self.head(method, path, fields, body.len()));
        client.send(body);
        self.answer(&mut client)
    }

    /// The head of such a request, with the cookies that are kept.
    pub fn head(&self, method: &str, path: &str, fields: &[(&str, &str)], length: usize) -> String {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.server.address
        );
        for (name, value) in fields {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if let Some(authorization) = &self.authorization {
            let _ = write!(head, "Authorization: {authorization}\r\n");
        }
        let cookies = self.cookies.iter();
        let cookies: Vec<String> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            let _ = write!(head, "Cookie: {}\r\n", cookies.join("; "));
        }
        if length > 0 {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
        head + "\r\n"
    }

    /// The answer that comes to this client, whose cookies are kept.
    pub fn answer(&mut self, client: &mut Client) -> Answer {
        let answer = Answer::read(client);
        for cookie in answer.all("Set-Cookie") {
            let (pair, _) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.cookies.insert(name.to_string(), value.to_string());
        }
        answer
    }

    /// The value of a cookie that it has been given.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }
}

/// What may stand in a form as it is stays, and the rest becomes `%XX`.
fn escaped(text: &str) -> String {
    let bytes = text.bytes();
    let escaped = bytes.map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    escaped.collect()
}
