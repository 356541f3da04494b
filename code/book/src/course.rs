//! The table of programs and debts, `code/book/course.toml`, and the files it
//! speaks of.

use crate::anchors;
use crate::step::{self, Hunk};
use crate::Problem;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the table stands, from the top of the repository.
pub const TABLE: &str = "code/book/course.toml";

/// The folder of the chapters, from the top of the repository.
pub const CHAPTERS: &str = "book";

/// The folder of a part where its stages stand.
const STAGES: &str = "stages";

/// The package that a reader types stages in, unless the table says another.
pub const PACKAGE: &str = "my-server";

/// How many lines the comment at the head of a stage may have.
const LONGEST_HEAD: usize = 4;

/// The programs of the course and what they owe.
#[derive(Clone, Debug)]
pub struct Course {
    /// The top of the repository.
    pub root: PathBuf,
    /// The programs, each after the step before it.
    pub programs: Vec<Program>,
    /// The libraries that programs are built on.
    pub libraries: Vec<Library>,
    /// The experiments: whole programs of a part, as cargo finds them, without a row.
    pub examples: Vec<Example>,
    /// The debts, in the order in which the text meets them.
    pub debts: Vec<Debt>,
}

/// A program that a chapter shows line by line.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name, as in `cargo run --bin NAME`.
    pub name: String,
    /// Its file, from the top of the repository.
    pub file: PathBuf,
    /// The name of the step before it.
    pub before: Option<String>,
    /// Whether it is a server, and takes the address where it serves as its
    /// argument.
    pub serves: bool,
    /// What it is started with, if it needs to be told something.
    pub arguments: Option<String>,
    /// The package that a reader types it in, if it is a stage.
    pub package: Option<String>,
    /// Its lines without anchor comments, each with its number in the file.
    pub lines: Vec<(usize, String)>,
    /// How many of them are its head, which nobody types.
    pub head: usize,
    /// The lines of `[dependencies]` that it needs when it is copied out.
    pub dependencies: Vec<String>,
}

/// An experiment that is a program of its own: `cargo run -p PACKAGE --example NAME`.
#[derive(Clone, Debug)]
pub struct Example {
    /// Its name.
    pub name: String,
    /// The package that it belongs to.
    pub package: String,
    /// Its file, from the top of the repository.
    pub file: PathBuf,
}

/// A library of the course, which chapters show line by line as well.
#[derive(Clone, Debug)]
pub struct Library {
    /// The name of its package.
    pub name: String,
    /// The folder of its package, from the top of the repository.
    pub folder: PathBuf,
    /// Its files under `src/`, in the order of their paths.
    pub files: Vec<Source>,
    /// The lines of its `[dependencies]`.
    pub dependencies: Vec<String>,
}

/// A file of a library.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file, from the top of the repository.
    pub file: PathBuf,
    /// Its lines of code, each with its number in the file: neither anchor
    /// comments, nor documentation, which has pages of its own, nor the names
    /// that it takes from other files, nor tests.
    pub lines: Vec<(usize, String)>,
}

/// Something that a program gets wrong, and the program that mends it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debt {
    /// The test in `tests/suite/debts.rs` that shows it.
    pub test: String,
    /// The program that fails.
    pub owes: String,
    /// A program that differs from it only so that the failure shows better.
    pub shown: Option<String>,
    /// What the programs that run an application are started with, if not with
    /// their usual arguments.
    pub with: Option<String>,
    /// What the reader sees, in Markdown.
    pub what: String,
    /// The program that mends it, which may be still to come.
    pub repays: String,
    /// The part of the course where that program belongs.
    pub part: u8,
}

/// One chapter's Markdown.
#[derive(Clone, Debug)]
pub struct Chapter {
    /// Its file, from the top of the repository.
    pub file: PathBuf,
    /// Its text as written.
    pub text: String,
}

impl Chapter {
    /// How the tests of its transcripts and of its snippets begin: `part1_one_page` for
    /// `book/part1/one-page.md`.
    pub fn name_of_tests(&self) -> String {
        let path = self.file.strip_prefix(CHAPTERS).unwrap_or(&self.file);
        let path = path.with_extension("");
        let path = path.to_string_lossy().to_lowercase();
        path.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
    }
}

/// The step from one program to the next, or from an empty file. The heads of the files
/// have no part in it.
#[derive(Clone, Debug)]
pub struct Step {
    /// Lines of the later program that the earlier one lacks: their places in
    /// [`Program::lines`].
    pub added: Vec<usize>,
    /// How many lines of the earlier program are gone.
    pub removed: usize,
    /// The places that change, each with the lines around it.
    pub hunks: Vec<Hunk>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    program: Vec<Row>,
    library: Vec<LibraryRow>,
    debt: Vec<Debt>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    file: PathBuf,
    before: Option<String>,
    serves: Option<bool>,
    arguments: Option<String>,
    package: Option<String>,
}

/// What is looked at of a `Cargo.toml`.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    bin: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    path: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LibraryRow {
    name: String,
    folder: PathBuf,
}

impl Course {
    /// Reads the table and the programs under `root`.
    ///
    /// # Errors
    ///
    /// A table that cannot be read or parsed; a library whose folder is missing;
    /// a program whose file or package is missing, that is named twice, or whose step before it does not stand
    /// above it; a debt that an unknown program owes.
    pub fn load(root: &Path) -> Result<Course, Problem> {
        let table: Table = toml::from_str(&read(root, Path::new(TABLE))?).map_err(|error| {
            let line = error.span().map_or(0, |span| span.start);
            let text = fs::read_to_string(root.join(TABLE)).unwrap_or_default();
            Problem::new(TABLE, line_of(&text, line), error.message())
        })?;

        let mut course = Course {
            root: root.to_path_buf(),
            programs: Vec::new(),
            libraries: Vec::new(),
            examples: examples(root)?,
            debts: Vec::new(),
        };
        for row in table.library {
            course.libraries.push(Library::read(root, row)?);
        }
        for row in table.program {
            if course.program(&row.name).is_some() {
                let what = format!("the program `{}` is named twice", row.name);
                return Err(Problem::new(TABLE, 0, what));
            }
            if let Some(before) = &row.before {
                if course.program(before).is_none() {
                    let what = format!(
                        "`{}` comes after `{before}`, which does not stand above it",
                        row.name
                    );
                    return Err(Problem::new(TABLE, 0, what));
                }
            }
            course.programs.push(Program::read(root, row)?);
        }
        for example in &course.examples {
            if course.program(&example.name).is_some() {
                let what = "a program of the table has that name too";
                return Err(Problem::new(&example.file, 0, what));
            }
        }
        for debt in table.debt {
            for name in debt.shown.iter().chain([&debt.owes]) {
                if course.program(name).is_none() {
                    let what = format!("the debt `{}` names no program: `{name}`", debt.test);
                    return Err(Problem::new(TABLE, 0, what));
                }
            }
            course.debts.push(debt);
        }
        Ok(course)
    }

    /// The program of that name.
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name == name)
    }

    /// The example of that name, in that package.
    pub fn example(&self, package: &str, name: &str) -> Option<&Example> {
        let mut examples = self.examples.iter();
        examples.find(|example| example.package == package && example.name == name)
    }

    /// The library of that name.
    pub fn library(&self, name: &str) -> Option<&Library> {
        self.libraries.iter().find(|library| library.name == name)
    }

    /// The library that `file` belongs to.
    pub fn library_of(&self, file: &Path) -> Option<&Library> {
        let mut libraries = self.libraries.iter();
        libraries.find(|library| file.starts_with(library.folder.join("src")))
    }

    /// The files that chapters show line by line.
    pub fn files(&self) -> Vec<PathBuf> {
        let programs = self.programs.iter().map(|program| &program.file);
        let libraries = self.libraries.iter().flat_map(|library| &library.files);
        let libraries = libraries.map(|source| &source.file);
        let examples = self.examples.iter().map(|example| &example.file);
        programs.chain(examples).chain(libraries).cloned().collect()
    }

    /// All chapters, in the order of their paths; `SUMMARY.md` is not one.
    ///
    /// # Errors
    ///
    /// A folder or a file that cannot be read.
    pub fn chapters(&self) -> Result<Vec<Chapter>, Problem> {
        let mut chapters = Vec::new();
        for file in files(&self.root, Path::new(CHAPTERS), "md")? {
            if !file.ends_with("SUMMARY.md") {
                let text = read(&self.root, &file)?;
                chapters.push(Chapter { file, text });
            }
        }
        Ok(chapters)
    }

    /// What the step from `before`, or from an empty file, to `after` changes, with at
    /// least so many lines of context around each place.
    pub fn step(&self, before: Option<&Program>, after: &Program, context: usize) -> Step {
        let old: Vec<&str> = before.map_or(Vec::new(), Program::typed_lines);
        let new = after.typed_lines();
        let changes = step::changes(&old, &new);
        let added = changes.iter().flat_map(|change| change.new.clone());
        Step {
            added: added.map(|index| index + after.head).collect(),
            removed: changes.iter().map(|change| change.old.len()).sum(),
            hunks: step::hunks(&old, &new, &changes, context),
        }
    }
}

impl Program {
    fn read(root: &Path, row: Row) -> Result<Program, Problem> {
        let text = read(root, &row.file)?;
        let lines: Vec<(usize, String)> = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !anchors::is_comment(line))
            .map(|(index, line)| (index + 1, line.to_string()))
            .collect();
        let head = head(&lines);
        let is_stage = row.file.iter().any(|folder| folder == STAGES);
        let manifest = row.file.ancestors().skip(1);
        let manifest = manifest
            .map(|folder| folder.join("Cargo.toml"))
            .find(|manifest| root.join(manifest).is_file())
            .filter(|manifest| manifest != Path::new("Cargo.toml"))
            .ok_or_else(|| Problem::new(&row.file, 0, "it stands in no package of its own"))?;
        check_target(root, &manifest, &row)?;
        if is_stage && !(1..=LONGEST_HEAD).contains(&comment(&lines)) {
            let what = format!(
                "a stage begins with a comment (`//!`) of 1 to {LONGEST_HEAD} lines, which \
                 nobody types: what it shows, and the command that runs it"
            );
            return Err(Problem::new(&row.file, 1, what));
        }
        if let (false, Some(_)) = (is_stage, &row.package) {
            let what = "a `package` is where a reader types a stage, and this is none";
            return Err(Problem::new(TABLE, 0, format!("`{}`: {what}", row.name)));
        }
        let mut dependencies = dependencies(root, &manifest)?;
        dependencies.retain(|line| {
            let name = line.split('=').next().unwrap_or_default();
            let path = format!("{}::", name.trim().replace('-', "_"));
            text.lines().any(|line| uses(line, &path))
        });
        Ok(Program {
            name: row.name,
            file: row.file,
            before: row.before,
            serves: row.serves.unwrap_or(true),
            arguments: row.arguments,
            package: is_stage.then(|| row.package.unwrap_or_else(|| PACKAGE.to_string())),
            lines,
            head,
            dependencies,
        })
    }

    /// Whether it is a stage: a program on the way to another, which the reader types.
    pub fn is_stage(&self) -> bool {
        self.package.is_some()
    }

    /// Whether it is a server that can be told where to serve. A stage may have its
    /// address in its text.
    pub fn takes_address(&self) -> bool {
        self.serves && (!self.is_stage() || self.source().contains("env::args"))
    }

    /// The folders of the course that it needs when it is copied out: those its
    /// dependencies name, and those that they name in turn.
    pub fn folders(&self, course: &Course) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        let mut lines: Vec<String> = self.dependencies.clone();
        while let Some(line) = lines.pop() {
            let name = line.split('=').next().unwrap_or_default().trim();
            if let Some(library) = course.library(name).filter(|_| line.contains("path =")) {
                if !folders.contains(&library.folder) {
                    folders.push(library.folder.clone());
                    lines.extend(library.dependencies.iter().cloned());
                }
            }
        }
        folders.sort();
        folders
    }

    /// The whole program without anchor comments, as the page lists it.
    pub fn source(&self) -> String {
        text(&self.lines)
    }

    /// What of it is typed: all but its head.
    pub fn typed(&self) -> String {
        text(&self.lines[self.head..])
    }

    /// The lines of [`Program::typed`].
    pub fn typed_lines(&self) -> Vec<&str> {
        let lines = self.lines[self.head..].iter();
        lines.map(|(_, line)| line.as_str()).collect()
    }
}

impl Library {
    fn read(root: &Path, row: LibraryRow) -> Result<Library, Problem> {
        let mut sources = Vec::new();
        for file in files(root, &row.folder.join("src"), "rs")? {
            let text = read(root, &file)?;
            let code = |line: &&str| !matches!(line.trim(), "#[cfg(test)]");
            let lines = text
                .lines()
                .zip(1..)
                .take_while(|(line, _)| code(line))
                .filter(|(line, _)| {
                    let line = line.trim_start();
                    let left_out = [
                        "///",
                        "//!",
                        "#![",
                        "#[cfg(",
                        "use ",
                        "pub use ",
                        "pub(crate) use ",
                        "mod ",
                        "pub mod ",
                    ];
                    let left_out = left_out.iter().any(|start| line.starts_with(start));
                    !left_out && !anchors::is_comment(line)
                })
                .map(|(line, number)| (number, line.to_string()))
                .collect();
            sources.push(Source { file, lines });
        }
        let dependencies = dependencies(root, &row.folder.join("Cargo.toml"))?;
        Ok(Library {
            name: row.name,
            folder: row.folder,
            files: sources,
            dependencies,
        })
    }
}

/// The examples of the parts, in the order of their paths.
fn examples(root: &Path) -> Result<Vec<Example>, Problem> {
    let mut examples = Vec::new();
    for file in files(root, Path::new("code"), "rs")? {
        let names: Vec<&str> = file.iter().filter_map(|name| name.to_str()).collect();
        let ["code", package, "examples", name] = names[..] else {
            continue;
        };
        if let (true, Some(name)) = (package.starts_with("part"), name.strip_suffix(".rs")) {
            let (name, package) = (name.to_string(), package.to_string());
            examples.push(Example {
                name,
                package,
                file,
            });
        }
    }
    Ok(examples)
}

/// Numbered lines as a text.
fn text(lines: &[(usize, String)]) -> String {
    lines.iter().map(|(_, line)| format!("{line}\n")).collect()
}

/// How many lines the comment at the head of a program has.
fn comment(lines: &[(usize, String)]) -> usize {
    let comment = |(_, line): &&(usize, String)| line.starts_with("//!");
    lines.iter().take_while(comment).count()
}

/// What another system than Linux needs so that a program compiles there.
const ELSEWHERE: &str = "#[cfg(not(target_os = \"linux\"))]";

/// How many lines are at its head that nobody types: the comment, with the blank lines
/// under it, and what other systems need.
fn head(lines: &[(usize, String)]) -> usize {
    let comment = comment(lines);
    let mut elsewhere = false;
    let below = lines[comment..].iter().take_while(|(_, line)| {
        let of_head = comment > 0 && (line.is_empty() || line == ELSEWHERE || elsewhere);
        elsewhere = line == ELSEWHERE;
        of_head
    });
    comment + below.count()
}

/// Whether cargo knows the program of this row by its name.
fn check_target(root: &Path, manifest: &Path, row: &Row) -> Result<(), Problem> {
    let folder = manifest.parent().unwrap_or(Path::new(""));
    let known: Manifest = toml::from_str(&read(root, manifest)?)
        .map_err(|error| Problem::new(manifest, 0, error.message()))?;
    let is_target =
        |target: &Target| target.name == row.name && folder.join(&target.path) == row.file;
    match known.bin.iter().any(is_target) {
        true => Ok(()),
        false => {
            let (name, file) = (&row.name, row.file.strip_prefix(folder));
            let file = file.unwrap_or(&row.file).display();
            let what = format!("it lacks a [[bin]] of the name `{name}` and the path `{file}`");
            Err(Problem::new(manifest, 0, what))
        }
    }
}

/// All files under `folder` with this extension, in the order of their paths.
fn files(root: &Path, folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Problem> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let unreadable = |error| Problem::new(&folder, 0, format!("cannot list it: {error}"));
        for entry in fs::read_dir(root.join(&folder)).map_err(unreadable)? {
            let file = folder.join(entry.map_err(unreadable)?.file_name());
            if root.join(&file).is_dir() {
                folders.push(file);
            } else if file.extension().is_some_and(|found| found == extension) {
                files.push(file);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The lines of `[dependencies]` in a manifest.
fn dependencies(root: &Path, manifest: &Path) -> Result<Vec<String>, Problem> {
    let text = read(root, manifest)?;
    let mut lines = Vec::new();
    let mut in_dependencies = false;
    for line in text.lines() {
        if line.starts_with('[') {
            in_dependencies = line.trim() == "[dependencies]";
        } else if in_dependencies && line.contains('=') && !line.starts_with('#') {
            lines.push(line.to_string());
        }
    }
    Ok(lines)
}

/// Whether a line of code has `path` as the beginning of a path, such as
/// `nix::` but not `unix::`.
fn uses(line: &str, path: &str) -> bool {
    let code = line.split("//").next().unwrap_or(line);
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

/// The text of `file` under `root`.
pub(crate) fn read(root: &Path, file: &Path) -> Result<String, Problem> {
    fs::read_to_string(root.join(file))
        .map_err(|error| Problem::new(file, 0, format!("cannot read it: {error}")))
}

/// The number of the line, from 1, that holds the byte at `offset`.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    let end = offset.min(text.len());
    1 + text.as_bytes()[..end]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_used_where_a_path_begins_with_it() {
        assert!(uses("use nix::sys::wait::waitpid;", "nix::"));
        assert!(uses("    nix::unistd::fork()", "nix::"));
        assert!(!uses("use std::os::unix::net::UnixStream;", "nix::"));
        assert!(!uses("use crate::nix::x;", "nix::"));
        assert!(!uses("// as nix::unistd::fork says", "nix::"));
    }

    #[test]
    fn the_real_table_loads() {
        let course = Course::load(&crate::root()).unwrap();
        let program = course.program("webserver1").unwrap();
        assert!(program.dependencies.is_empty());
        assert!(!program.source().contains("ANCHOR"));
    }

    #[test]
    fn a_step_counts_what_it_adds_and_removes() {
        let program = |text: &str| {
            let lines: Vec<(usize, String)> =
                text.lines().map(|line| (0, line.to_string())).collect();
            Program {
                name: String::new(),
                file: PathBuf::new(),
                before: None,
                serves: true,
                arguments: None,
                package: None,
                head: head(&lines),
                lines,
                dependencies: Vec::new(),
            }
        };
        let course = Course {
            root: PathBuf::new(),
            programs: Vec::new(),
            libraries: Vec::new(),
            examples: Vec::new(),
            debts: Vec::new(),
        };
        let (old, new) = (
            program("//! A.\n\na\nb\nc"),
            program("//! B!\n//!\n\na\nx\ny\nc"),
        );
        let step = course.step(Some(&old), &new, 1);
        assert_eq!((step.added, step.removed), (vec![4, 5], 1));
        assert_eq!(new.typed(), "a\nx\ny\nc\n");
        let stand_in = "extern crate no_epoll as nix;";
        let elsewhere = program(&format!("//! C.\n\n{ELSEWHERE}\n{stand_in}\n\na\nb\n"));
        assert_eq!(elsewhere.typed(), "a\nb\n");
        let step = course.step(None, &new, 1);
        assert_eq!((step.added, step.removed), (vec![3, 4, 5, 6], 0));
    }
}
