//! What `.github` says: that what it names is there. `.ci/run workflows` lints it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The files of a folder under `.github`, with their texts.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = book::root().join(".github").join(folder);
    let entries = fs::read_dir(folder).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    files
        .filter(|file| file.extension().is_some_and(|end| end == "yml"))
        .map(|file| (file.clone(), fs::read_to_string(&file).unwrap()))
        .collect()
}

/// The commands that a workflow runs, each in one line.
fn commands(workflow: &str) -> Vec<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut commands = Vec::new();
    let mut lines = workflow.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((before, command)) = line.split_once("run: ") else {
            continue;
        };
        let mut command = command.to_string();
        if [">-", ">", "|"].contains(&command.as_str()) {
            command.clear();
            while let Some(line) = lines.next_if(|line| indent(line) > indent(before)) {
                command.push_str(line.trim());
                command.push(' ');
            }
        }
        commands.push(command.trim().to_string());
    }
    commands
}

/// The steps that `.ci/run` can be told.
fn steps() -> BTreeSet<String> {
    let script = fs::read_to_string(book::root().join(".ci/run")).unwrap();
    let (_, list) = script.split_once("\nsteps=(").unwrap();
    let list = list.split_once(')').unwrap().0;
    let steps: BTreeSet<String> = list.split_whitespace().map(str::to_string).collect();
    for step in &steps {
        let function = format!("\n{step}() {{\n");
        assert!(script.contains(&function), ".ci/run has no step {step}");
    }
    steps
}

/// What is wrong with a command, if anything is.
fn mistake(command: &str, steps: &BTreeSet<String>) -> Option<String> {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    if program.starts_with('.') {
        let found = fs::metadata(book::root().join(program));
        let is_there = found.is_ok_and(|found| found.permissions().mode() & 0o111 != 0);
        let named = words.find(|word| program == ".ci/run" && !steps.contains(*word));
        return match named {
            _ if !is_there => Some(format!("there is no {program}")),
            Some(step) => Some(format!(".ci/run has no step {step}")),
            None => None,
        };
    }
    match program {
        "cargo" => {
            let main = fs::read_to_string(book::root().join("code/book/src/main.rs")).unwrap();
            let ours = words.skip_while(|word| *word != "--").skip(1);
            let mut options = ours.filter_map(|word| word.strip_prefix("--"));
            let unknown = options.find(|name| !main.contains(&format!("\n    {name}: ")));
            unknown.map(|name| format!("cargo run has no option --{name}"))
        }
        "gh" => None, // it stands on the machines of GitHub
        _ => Some(format!("what is {program}?")),
    }
}

#[test]
fn workflows_name_what_there_is() {
    let steps = steps();
    let mut runs = 0;
    for (file, workflow) in files("workflows") {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        for command in commands(&workflow) {
            let mistake = mistake(&command, &steps);
            assert_eq!(mistake, None, "{name}: {command}");
            runs += 1;
        }
        // A step that is not run uses an action, of a version.
        for line in workflow.lines().filter(|line| line.contains("uses: ")) {
            let (_, action) = line.split_once("uses: ").unwrap();
            let (name, version) = action.split_once('@').unwrap_or((action, ""));
            assert!(name.starts_with("actions/"), "{line}");
            assert!(version.starts_with('v') && version.len() > 1, "{line}");
        }
    }
    assert!(runs >= 4, "only {runs} commands were found");
    for (command, wanted) in [
        (".ci/run nonsense", ".ci/run has no step nonsense"),
        (".ci/nonsense", "there is no .ci/nonsense"),
        (
            "cargo run -- --nonsense x",
            "cargo run has no option --nonsense",
        ),
        ("make book", "what is make?"),
    ] {
        assert_eq!(mistake(command, &steps).as_deref(), Some(wanted));
    }
}

/// dependabot looks where a manifest is, and everywhere where one is.
#[test]
fn dependabot_knows_the_manifests() {
    let file = book::root().join(".github/dependabot.yml");
    let text = fs::read_to_string(file).unwrap();
    let mut found = BTreeSet::new();
    for (ecosystem, manifest) in [("cargo", "Cargo.lock"), ("pip", "requirements.txt")] {
        let (_, entry) = text
            .split_once(&format!("ecosystem: {ecosystem}\n"))
            .unwrap();
        let (_, folders) = entry.split_once("directories: [").unwrap();
        for folder in folders.split_once(']').unwrap().0.split(", ") {
            let file = Path::new(folder.trim_start_matches('/')).join(manifest);
            assert!(book::root().join(&file).exists(), "no {}", file.display());
            found.insert(file);
        }
    }
    for manifest in ["Cargo.lock", "requirements.txt"] {
        for folder in ["", "tests/fuzz", "tests/python", "code/apps/python"] {
            let file = Path::new(folder).join(manifest);
            let there = book::root().join(&file).exists();
            assert_eq!(there, found.contains(&file), "{}", file.display());
        }
    }
}

/// What is asked for when something differs is what the book's own command prints.
#[test]
fn templates_ask_for_what_doctor_prints() {
    let templates = files("ISSUE_TEMPLATE");
    assert_eq!(templates.len(), 3);
    let asks = |(_, text): &&(PathBuf, String)| text.contains("`cargo run -- --doctor`");
    assert_eq!(templates.iter().filter(asks).count(), 1);
}
