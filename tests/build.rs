//! Makes tests of the text: one for each Rust snippet (skeptic) and one for
//! each chapter with transcripts.
//!
//! Each snippet goes into a file of its own, pushed down to the line at which
//! it stands in its chapter, so that the name of its test tells the place:
//! `part1_one_page_line_47`.
//!
//! What a chapter cuts out of a library is no program: it is compiled where it
//! stands, with its library, which these tests are built with.

use book::course::{Chapter, Course};
use book::includes::{expand, unused_anchors};
use book::transcript::{blocks, fences, Block, Line};
use book::Problem;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

fn main() {
    for path in ["book", "code", "README.md"] {
        println!("cargo::rerun-if-changed=../{path}");
    }
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
    let mut chapters = course.chapters().map_err(|problem| vec![problem])?;
    chapters.push(read(&root, "README.md").map_err(|problem| vec![problem])?);

    let mut problems = Vec::new();
    let mut includes = Vec::new();
    let mut snippets = Vec::new();
    let mut replays = String::new();
    let mut python_replays = String::new();
    for chapter in &chapters {
        let name = name(&chapter.file);
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
    Ok(())
}

/// Whether a block starts a server with Python inside.
fn runs_python(block: &Block) -> bool {
    let mut lines = block.lines.iter();
    lines
        .any(|line| matches!(line, Line::Command(command) if command.contains("--features python")))
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

/// `part1_one_page` for `book/part1/one-page.md`.
fn name(file: &Path) -> String {
    let path = file.strip_prefix(book::course::CHAPTERS).unwrap_or(file);
    path.with_extension("")
        .to_string_lossy()
        .to_lowercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}
