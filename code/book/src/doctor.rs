//! `cargo run -- --doctor`: the tools that the course uses, their versions, and what is
//! left out without them, in a form to paste.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A tool that the course uses.
struct Tool {
    name: &'static str,
    /// What makes it tell its version.
    version: &'static [&'static str],
    /// What is left out without it.
    without: &'static str,
    /// Where only Linux has it.
    linux: bool,
}

const fn tool(
    name: &'static str,
    version: &'static [&'static str],
    without: &'static str,
    linux: bool,
) -> Tool {
    Tool {
        name,
        version,
        without,
        linux,
    }
}

const TOOLS: &[Tool] = &[
    tool("cargo", &["--version"], "everything", false),
    tool("rustc", &["--version"], "everything", false),
    tool(
        "cc",
        &["--version"],
        "everything: Rust links with it",
        false,
    ),
    tool("curl", &["--version"], "most terminal sessions", false),
    // Of the next three some say nothing of themselves, and others wait for a host.
    tool(
        "telnet",
        &[],
        "sessions of Part 1 that are typed by hand",
        false,
    ),
    tool("nc", &[], "sessions with clients that say nothing", false),
    tool("ps", &[], "sessions that look at processes", false),
    tool("ss", &["--version"], "sessions that look at sockets", true),
    tool(
        "strace",
        &["--version"],
        "sessions that look at system calls",
        true,
    ),
    tool(
        "unshare",
        &["--version"],
        "the debt of a server that is process 1",
        true,
    ),
    tool(
        "node",
        &["--version"],
        "sessions with a strict client",
        false,
    ),
    tool(
        "npm",
        &["--version"],
        "the lint of the workflows, in .ci/run",
        false,
    ),
    tool(
        "python3",
        &["--version"],
        "Python's applications; a client that is not strict",
        false,
    ),
    tool("ab", &["-V"], "what is measured", false),
    tool(
        "wrk",
        &["--version"],
        "some rows of what is measured",
        false,
    ),
    tool(
        "chromium",
        &["--version"],
        "the checks in a browser; the PDF",
        false,
    ),
    tool(
        "mdbook",
        &["--version"],
        "mdbook serve, which follows your edits",
        false,
    ),
];

/// Longer than any of them takes to tell its version.
const PATIENCE: Duration = Duration::from_secs(5);

/// What there is on this machine, looked for in these folders.
pub fn report(folders: &[PathBuf]) -> String {
    let mut report = format!(
        "{} {}\n\n{:<10} {:<28} {}\n",
        std::env::consts::OS,
        std::env::consts::ARCH,
        "tool",
        "version",
        "left out without it"
    );
    for tool in TOOLS {
        let (found, without) = match find(folders, tool.name) {
            Some(file) => (version(&file, tool.version), ""),
            None if tool.linux && !cfg!(target_os = "linux") => {
                ("only on Linux".into(), tool.without)
            }
            None => ("missing".to_string(), tool.without),
        };
        let line = format!("{:<10} {found:<28} {without}", tool.name);
        let _ = writeln!(report, "{}", line.trim_end());
    }
    report
}

/// The first executable file of that name.
fn find(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let is_executable = |file: &PathBuf| {
        let found = file.metadata();
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    folders
        .iter()
        .map(|folder| folder.join(name))
        .find(is_executable)
}

/// What it says of its version: the first word of its first line that has a number with
/// a point in it.
fn version(file: &Path, arguments: &[&str]) -> String {
    if arguments.is_empty() {
        return "there".to_string();
    }
    let mut command = Command::new(file);
    command.args(arguments).stdin(Stdio::null());
    let output = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let output = output.and_then(|mut child| {
        let start = Instant::now();
        while child.try_wait()?.is_none() {
            if start.elapsed() > PATIENCE {
                child.kill()?;
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        child.wait_with_output()
    });
    let output = match output {
        Ok(output) => output,
        Err(error) => return format!("does not run: {error}"),
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let is_version =
        |word: &&str| word.contains('.') && word.contains(|c: char| c.is_ascii_digit());
    let word = said.split_whitespace().find(is_version);
    let first = said.lines().next().unwrap_or_default();
    let version = word
        .map(|word| word.trim_matches([',', ';', '(', ')']))
        .unwrap_or(first);
    match version.trim() {
        "" => "there".to_string(),
        version => version.chars().take(28).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// A folder of programs that do what these scripts do.
    fn stubs(scripts: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, script) in scripts {
            let file = folder.path().join(name);
            // By another process: what this one has open for writing, a child that another
            // test forks meanwhile has open until it execs, and it may not be run (ETXTBSY).
            let text = format!("#!/bin/sh\n{script}\n");
            let mut writer = std::process::Command::new("sh");
            writer.args(["-c", "printf %s \"$2\" >\"$1\"", "sh"]);
            assert!(writer.arg(&file).arg(text).status().unwrap().success());
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        folder
    }

    /// What the report says of a tool.
    fn of(report: &str, tool: &str) -> String {
        let line = report
            .lines()
            .find(|line| line.split(' ').next() == Some(tool));
        let line = line.unwrap_or_else(|| panic!("nothing of {tool} in:\n{report}"));
        line[tool.len()..].trim().to_string()
    }

    #[test]
    fn a_tool_is_there_with_its_version_or_what_it_is_for_is_named() {
        let folder = stubs(&[
            ("cargo", "echo 'cargo 1.95.0 (f2d3ce0bd 2026-03-21)'"),
            (
                "curl",
                "echo 'curl 7.88.1 (x86_64-pc-linux-gnu)'; echo 'libcurl/8.0.0'",
            ),
            ("node", "echo v20.20.2"),
            (
                "ab",
                "echo 'This is ApacheBench, Version 2.3 <$Revision: 1 $>'",
            ),
            ("wrk", "echo 'wrk debian/4.1.0-3+b2 [epoll]' >&2; exit 1"),
            ("nc", "touch \"$0.was-run\""),
            ("rustc", ":"),
            ("strace", "echo here"),
        ]);
        // A file that cannot be run is no tool.
        fs::write(folder.path().join("telnet"), "").unwrap();
        let folders = [folder.path().join("none"), folder.path().to_path_buf()];
        let report = report(&folders);
        for (tool, line) in [
            ("cargo", "1.95.0"),
            ("curl", "7.88.1"),
            ("node", "v20.20.2"),
            ("ab", "2.3"),
            ("wrk", "debian/4.1.0-3+b2"),
            ("nc", "there"),
            ("rustc", "there"),
            ("strace", "here"),
        ] {
            assert_eq!(of(&report, tool), line, "{report}");
        }
        assert!(!folder.path().join("nc.was-run").exists());
        let (found, without) = (
            of(&report, "telnet"),
            "sessions of Part 1 that are typed by hand",
        );
        assert!(
            found.starts_with("missing") && found.ends_with(without),
            "{report}"
        );
        assert!(report.starts_with(std::env::consts::OS), "{report}");
        assert!(report.lines().all(|line| line.len() < 100), "{report}");
    }

    #[test]
    fn what_does_not_run_is_said() {
        let folder = stubs(&[]);
        let file = folder.path().join("curl");
        fs::write(&file, "#!/no/such/interpreter\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let report = report(&[folder.path().to_path_buf()]);
        assert!(
            of(&report, "curl").starts_with("does not run: "),
            "{report}"
        );
    }
}
