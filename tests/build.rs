//! Makes tests of the text: one for each Rust snippet (skeptic) and one for
//! each chapter with transcripts.
//!
//! Each snippet goes into a file of its own, pushed down to the line at which
//! it stands in its chapter, so that the name of its test tells the place:
//! `part1_one_page_line_47`.
//!
//! Makes the programs with a change in them as well: see `changed/main.rs`.
//!
//! What a chapter cuts out of a library is no program: it is compiled where it
//! stands, with its library, which these tests are built with.

use book::course::{Chapter, Course, Program};
use book::includes::{expand, unused_anchors};
use book::transcript::{blocks, fences, Block, Line, PYTHON};
use book::Problem;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

fn main() {
    for path in ["book", "code", "README.md"] {
        println!("cargo::rerun-if-changed=../{path}");
    }
    println!("cargo::rerun-if-changed=wrong");
    println!("cargo::rerun-if-changed=changed");
    // Cargo prints an error of this form as one line, without a backtrace.
    if let Err(problems) = generate() {
        for problem in problems {
            println!("cargo::error={problem}");
        }
    }
}

fn generate() -> Result<(), Vec<Problem>> {
    let root = book::root();
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let course = Course::load(&root).map_err(|problem| vec![problem])?;
    write_changed(&course, &out).map_err(|problem| vec![problem])?;
    let mut chapters = course.chapters().map_err(|problem| vec![problem])?;
    chapters.push(read(&root, "README.md").map_err(|problem| vec![problem])?);

    let mut problems = Vec::new();
    let mut includes = Vec::new();
    let mut snippets = Vec::new();
    let mut replays = String::new();
    let mut python_replays = String::new();
    for chapter in &chapters {
        let name = chapter.name_of_tests();
        match blocks(chapter) {
            Ok(blocks) if blocks.is_empty() => {}
            Ok(blocks) => {
                let file = chapter.file.display();
                let python = blocks.iter().any(runs_python);
                let (replays, replay) = match python {
                    true => (&mut python_replays, "super::replay_with_python"),
                    false => (&mut replays, "replay"),
                };
                let _ = writeln!(
                    replays,
                    "#[test]\nfn {name}() {{\n    {replay}(\"{file}\");\n}}"
                );
            }
            Err(problem) => problems.push(problem),
        }
        match write_snippets(&course, &out, chapter, &name) {
            Ok((files, included)) => {
                snippets.extend(files);
                includes.extend(included);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        problems = unused_anchors(&root, &course.files(), &includes);
    }
    if !problems.is_empty() {
        return Err(problems);
    }

    let _ = writeln!(replays, "mod python {{\n{python_replays}}}");
    let written = fs::write(out.join("replays.rs"), replays);
    written.map_err(|error| vec![Problem::new("tests/build.rs", 0, error.to_string())])?;
    skeptic::generate_doc_tests(&snippets);
    // By way of functions of ours: see suite/snippets.rs.
    let tests = out.join("skeptic-tests.rs");
    let text = fs::read_to_string(&tests);
    let text = text.map(|text| text.replace("    skeptic::rt::run_test(", "    run("));
    let text = text.map(|text| text.replace("    skeptic::rt::compile_test(", "    compile("));
    let written = text.and_then(|text| fs::write(tests, text));
    written.map_err(|error| vec![Problem::new("tests/build.rs", 0, error.to_string())])
}

/// Whether a block starts a server with Python inside, or one of Python's.
fn runs_python(block: &Block) -> bool {
    let runs = |command: &str| PYTHON.iter().any(|what| command.contains(what));
    let mut lines = block.lines.iter();
    lines.any(|line| matches!(line, Line::Command(command) if runs(command)))
}

/// The Rust snippets of a chapter, each in a file of its own.
fn write_snippets(
    course: &Course,
    out: &Path,
    chapter: &Chapter,
    name: &str,
) -> Result<(Vec<PathBuf>, Vec<book::includes::Include>), Problem> {
    // The whole chapter first: its mistakes bear the right line.
    let includes = expand(&course.root, chapter)?.includes;
    let mut files = Vec::new();
    for fence in fences(chapter)? {
        if fence.language() != "rust" {
            continue;
        }
        let snippet = Chapter {
            file: chapter.file.clone(),
            text: fence.lines.join("\n"),
        };
        let expanded = expand(&course.root, &snippet)?;
        if is_of_a_library(course, &snippet.text, &expanded.includes) {
            continue;
        }
        let code = expanded.text;
        let pushed_down = "\n".repeat(fence.line - 1);
        let text = format!("{pushed_down}````{}\n{code}\n````\n", fence.info);
        let file = out.join(format!("snippets/{}/{name}.md", fence.line));
        write_once(&file, &text).map_err(|error| {
            Problem::new(
                &chapter.file,
                fence.line,
                format!("write {}: {error}", file.display()),
            )
        })?;
        files.push(file);
    }
    Ok((files, includes))
}

/// Where the solutions stand that are written in Python.
const IN_PYTHON: &str = "code/apps/python/solutions";

/// A module for each program with a change in it, and a `main` that chooses one.
fn write_changed(course: &Course, out: &Path) -> Result<(), Problem> {
    let mut sources = wrong_answers(course, out)?;
    if cfg!(feature = "browser") {
        sources.push(("pictures".to_string(), pictures(course)?));
    }
    sources.push(("curious".to_string(), curious(course, "webserver3h")?));
    if course.program("webserver4a").is_some() {
        sources.push((
            "curious_worker".to_string(),
            curious(course, "webserver4a")?,
        ));
    }
    sources.extend(dying(course)?.map(|source| ("dying".to_string(), source)));
    sources.extend(handlers(course)?);
    sources.push(("without_a_close".to_string(), without_a_close(course)?));
    let folder = out.join("changed");
    let mut modules = String::new();
    let mut arms = String::new();
    for (number, (name, source)) in sources.into_iter().enumerate() {
        let file = folder.join(format!("{name}.rs"));
        // Its application asks waitid, which nix does not have for macOS, as it has no epoll.
        let of_linux = name.starts_with("curious")
            || ["sys::epoll", "use readiness::"]
                .iter()
                .any(|text| source.contains(text));
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&file, source))
            .map_err(|error| Problem::new(&file, 0, error.to_string()))?;
        let path = file.display().to_string();
        let here = match of_linux {
            true => "#[cfg(target_os = \"linux\")]\n",
            false => "",
        };
        let _ = writeln!(
            modules,
            "{here}#[path = {path:?}]\n#[allow(warnings, clippy::all)]\nmod program_{number};"
        );
        let _ = writeln!(
            arms,
            "        {here}{name:?} => std::process::Termination::report(program_{number}::main()),"
        );
    }
    let main = format!(
        "{modules}\nfn main() -> std::process::ExitCode {{\n    \
         let name = std::env::args_os().next().unwrap_or_default();\n    \
         let name = std::path::Path::new(&name).file_name().unwrap_or_default();\n    \
         match name.to_string_lossy().as_ref() {{\n{arms}        name => {{\n            \
         eprintln!(\"there is no changed program of the name {{name}}\");\n            \
         std::process::ExitCode::FAILURE\n        }}\n    }}\n}}\n"
    );
    let file = out.join("changed.rs");
    fs::write(&file, main).map_err(|error| Problem::new(&file, 0, error.to_string()))
}

/// The wrong answers to the exercises, as EXERCISE.NAME. What is written in Python
/// becomes a file.
fn wrong_answers(course: &Course, out: &Path) -> Result<Vec<(String, String)>, Problem> {
    let problem = |file: &Path, what: String| Problem::new(file, 0, what);
    let list = |folder: &Path| -> Result<Vec<PathBuf>, Problem> {
        let entries = fs::read_dir(folder).map_err(|error| problem(folder, error.to_string()))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        Ok(files)
    };
    let mut answers = Vec::new();
    for exercise in list(&course.root.join("tests/wrong"))? {
        for file in list(&exercise)? {
            let stem = |path: &Path| {
                let stem = path.file_stem().unwrap_or_default();
                stem.to_string_lossy().into_owned()
            };
            let (exercise, name) = (stem(&exercise), stem(&file));
            let text = fs::read_to_string(&file);
            let text = text.map_err(|error| problem(&file, error.to_string()))?;
            let answer: toml::Table = text
                .parse()
                .map_err(|error| problem(&file, format!("{error}")))?;
            let in_python = course.root.join(format!("{IN_PYTHON}/{exercise}.py"));
            if let Ok(solution) = fs::read_to_string(&in_python) {
                let source = wrong(solution, &answer).unwrap_or_else(|what| {
                    format!(
                        "raise SystemExit({:?})\n",
                        format!("{}: {what}", file.display())
                    )
                });
                let folder = out.join("wrong");
                let module = folder.join(format!("{exercise}.{name}.py"));
                fs::create_dir_all(&folder)
                    .and_then(|()| fs::write(&module, source))
                    .map_err(|error| problem(&module, error.to_string()))?;
                continue;
            }
            let solution = course
                .program(&exercise)
                .ok_or_else(|| problem(&file, format!("there is no program {exercise}")))?;
            let source = match wrong(solution.source(), &answer) {
                Ok(source) => source,
                // The check of the exercise will say so, and the others run.
                Err(what) => format!(
                    "pub fn main() -> std::process::ExitCode {{\n    \
                     eprintln!(\"{{}}\", {:?});\n    std::process::ExitCode::FAILURE\n}}\n",
                    format!("{}: {what}", file.display())
                ),
            };
            answers.push((format!("{exercise}.{name}"), source));
        }
    }
    Ok(answers)
}

/// What `main` is called in a file of the course, and here.
const MAIN: &str = "fn main() -> ExitCode {";
const PUBLIC_MAIN: &str = "pub fn main() -> ExitCode {";
const SHORT_MAIN: &str = "fn main() -> io::Result<()> {"; // in stages

/// A server with an application of the tests built in, `changed/curious.rs`.
fn curious(course: &Course, name: &str) -> Result<String, Problem> {
    let own = "{ start_programs(); Box::new(curious) as Box<dyn Application> }";
    with_application(course, name, "curious", own)
}

/// `webserver4d` with a page of pictures, `changed/pictures.rs`.
fn pictures(course: &Course) -> Result<String, Problem> {
    with_application(course, "webserver4d", "pictures", "pictures")
}

/// A server that has an application of the tests instead of loading one: this expression,
/// and what stands in a file of `changed`.
fn with_application(course: &Course, name: &str, file: &str, own: &str) -> Result<String, Problem> {
    let server = course.program(name);
    let server = server.map(Program::source).unwrap_or_default();
    let file = course.root.join(format!("tests/changed/{file}.rs"));
    let application = fs::read_to_string(&file);
    let application = application.map_err(|error| Problem::new(&file, 0, error.to_string()))?;
    let loads = "apps::load(&options.application)?";
    if server.matches(loads).count() != 1 || server.matches(MAIN).count() != 1 {
        let what = format!("{name} loads its application otherwise");
        return Err(Problem::new(&file, 0, what));
    }
    let server = server.replace(loads, own).replace(MAIN, PUBLIC_MAIN);
    Ok(server + "\n" + &application)
}

/// `webserver4a` whose workers end at once, `changed/dying.rs`, and whose longest pause
/// is one that a test can wait for.
fn dying(course: &Course) -> Result<Option<String>, Problem> {
    let Some(server) = course.program("webserver4a") else {
        return Ok(None);
    };
    let mut server = server.source();
    let file = course.root.join("tests/changed/dying.rs");
    let dying = fs::read_to_string(&file);
    let dying = dying.map_err(|error| Problem::new(&file, 0, error.to_string()))?;
    for (old, new) in [
        (MAIN, PUBLIC_MAIN),
        (
            "fn run(options: Options) -> gateway::Result<()> {\n",
            "$    end_children();\n",
        ),
        (
            "LONGEST_PAUSE: Duration = Duration::from_secs(10)",
            "LONGEST_PAUSE: Duration = Duration::from_millis(800)",
        ),
    ] {
        if server.matches(old).count() != 1 {
            let what = format!("webserver4a has no `{}`", old.trim());
            return Err(Problem::new(&file, 0, what));
        }
        server = server.replace(old, &new.replace('$', old));
    }
    Ok(Some(server + "\n" + &dying))
}

/// The programs with a handler for SIGCHLD, as handler.NAME, with another `main`: it
/// calls the handler with no child there, so that its last call fails, and exits with
/// what `errno` is then. It was 77 before.
fn handlers(course: &Course) -> Result<Vec<(String, String)>, Problem> {
    let mut handlers = Vec::new();
    for program in &course.programs {
        let source = program.source();
        if !source.contains(HANDLER) {
            continue;
        }
        if source.matches(MAIN).count() != 1 {
            let what = format!("{} has no `{MAIN}`", program.name);
            return Err(Problem::new("tests/build.rs", 0, what));
        }
        let server = source.replace(MAIN, "#[allow(dead_code)]\nfn server() -> ExitCode {");
        let main = "nix::errno::Errno::set_raw(77);\n    \
                    reap(nix::libc::SIGCHLD);\n    \
                    ExitCode::from(nix::errno::Errno::last_raw() as u8)";
        let changed = format!("{server}\n{PUBLIC_MAIN}\n    {main}\n}}\n");
        handlers.push((format!("handler.{}", program.name), changed));
    }
    Ok(handlers)
}

/// An example of Part 3 without a line, as its page asks to change it.
fn without_a_close(course: &Course) -> Result<String, Problem> {
    let file = course.root.join("code/part3/examples/one_close_of_two.rs");
    let example = fs::read_to_string(&file);
    let example = example.map_err(|error| Problem::new(&file, 0, error.to_string()))?;
    let (close, main) = ("    drop(writer);\n", "\nfn main() ");
    if example.matches(close).count() == 0 || example.matches(main).count() != 1 {
        let what = format!("it has no `{}`, or no `{}`", close.trim(), main.trim());
        return Err(Problem::new(&file, 0, what));
    }
    Ok(example
        .replacen(close, "", 1)
        .replace(main, "\npub fn main() "))
}

/// How a handler for SIGCHLD begins, in the programs that have one.
const HANDLER: &str = "extern \"C\" fn reap(";

/// A solution with the changes of a wrong answer.
fn wrong(source: String, answer: &toml::Table) -> Result<String, String> {
    let text = |table: &toml::Table, key: &str| match table.get(key) {
        Some(toml::Value::String(text)) => Ok(text.clone()),
        _ => Err(format!("it has no `{key}`")),
    };
    let changes = answer.get("change").and_then(|changes| changes.as_array());
    let changes = changes.ok_or("it changes nothing")?;
    let mut source = source.replacen(MAIN, PUBLIC_MAIN, 1);
    source = source.replacen(
        &format!("\n{SHORT_MAIN}"),
        &format!("\npub {SHORT_MAIN}"),
        1,
    );
    for change in changes {
        let change = change.as_table().ok_or("a change is a table")?;
        let (from, to) = (text(change, "from")?, text(change, "to")?);
        if source.matches(&from).count() != 1 {
            return Err(format!("the solution does not have `{from}` once"));
        }
        source = source.replacen(&from, &to, 1);
    }
    Ok(source)
}

/// Whether a block is a region of a library and nothing else.
fn is_of_a_library(course: &Course, text: &str, includes: &[book::includes::Include]) -> bool {
    let alone = text.trim().starts_with("{{#include ") && text.trim().lines().count() == 1;
    let mut includes = includes.iter();
    alone && includes.any(|include| course.library_of(&include.file).is_some())
}

/// Writes a file that cargo watches, as if it had always been there: a newer
/// time than that of this run would make cargo run it again.
fn write_once(file: &Path, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(file.parent().unwrap_or(Path::new("")))?;
    fs::write(file, text)?;
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(24 * 60 * 60);
    File::options()
        .append(true)
        .open(file)?
        .set_modified(long_ago)
}

fn read(root: &Path, file: &str) -> Result<Chapter, Problem> {
    let text = fs::read_to_string(root.join(file))
        .map_err(|error| Problem::new(file, 0, format!("cannot read it: {error}")))?;
    Ok(Chapter {
        file: PathBuf::from(file),
        text,
    })
}
