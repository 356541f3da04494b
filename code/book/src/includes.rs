//! What mdBook makes of `{{#include}}` and `{{#rustdoc_include}}`, byte for
//! byte, except that a mistake is an error.
//!
//! mdBook shows nothing for a missing anchor and leaves the directive in the
//! page for a missing file, and exits with 0 both times. Here each is a
//! [`Problem`]. Some of what mdBook offers is a problem too, because it goes
//! stale: ranges of lines, `{{#playground}}`, and whole files whose anchor
//! comments would show.

use crate::anchors;
use crate::course::{read, Chapter};
use crate::Problem;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

/// The names of the directives that [`crate::preprocessor`] replaces.
pub const OURS: [&str; 9] = [
    "program", "library", "step", "diff", "debts", "ledger", "test", "prove", "index",
];

// mdBook's own expression, except that a directive may stand without arguments.
static DIRECTIVE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\\\{\{\#.*\}\}|\{\{\s*\#([a-zA-Z0-9_]+)(?:\s+([^}]+))?\}\}")
        .expect("a constant, used by every test")
});

/// A directive of a chapter: `{{#name arguments}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive<'a> {
    /// Its name; empty where a backslash before it says to show it as it is.
    pub name: &'a str,
    /// Its arguments, split at white space.
    pub arguments: Vec<&'a str>,
    /// Where it stands in the text.
    pub range: Range<usize>,
    /// The line, from 1.
    pub line: usize,
}

/// A file, or a part of it, that a chapter shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// The file, from the top of the repository.
    pub file: PathBuf,
    /// The anchor; none for the whole file.
    pub anchor: Option<String>,
    /// The line of the chapter, from 1.
    pub line: usize,
    /// The lines of the file that the reader sees, from 1.
    pub shown: Vec<usize>,
}

/// A chapter with its includes in place.
#[derive(Clone, Debug)]
pub struct Expanded {
    /// The text, as mdBook's own preprocessor `links` leaves it.
    pub text: String,
    /// What was included.
    pub includes: Vec<Include>,
}

/// All directives of a text, in order.
pub fn directives(text: &str) -> Vec<Directive<'_>> {
    // Each line is counted from the directive before.
    let (mut line, mut counted) = (1, 0);
    DIRECTIVE
        .captures_iter(text)
        .filter_map(|captures| {
            let whole = captures.get(0)?;
            line += text[counted..whole.start()].matches('\n').count();
            counted = whole.start();
            Some(Directive {
                name: captures.get(1).map_or("", |name| name.as_str()),
                arguments: captures
                    .get(2)
                    .map(|rest| rest.as_str().split_whitespace().collect())
                    .unwrap_or_default(),
                range: whole.range(),
                line,
            })
        })
        .collect()
}

/// Puts the includes of `chapter` in place.
///
/// # Errors
///
/// The first mistake: a file that is missing, an anchor that is missing, never
/// closed, or opened twice, a range of lines, a directive that nobody knows, a
/// whole file with anchor comments, an included file with directives of its
/// own.
pub fn expand(root: &Path, chapter: &Chapter) -> Result<Expanded, Problem> {
    let mut text = String::new();
    let mut includes = Vec::new();
    let mut end = 0;
    for directive in directives(&chapter.text) {
        let whole = &chapter.text[directive.range.clone()];
        let replacement = match directive.name {
            "" => whole[1..].to_string(),
            "include" | "rustdoc_include" => {
                let (include, shown) = include(root, chapter, &directive)?;
                includes.push(include);
                shown
            }
            name if OURS.contains(&name) => whole.to_string(),
            name => {
                let what = format!("nobody knows the directive `{{{{#{name}}}}}`");
                return Err(Problem::new(&chapter.file, directive.line, what));
            }
        };
        text.push_str(&chapter.text[end..directive.range.start]);
        text.push_str(&replacement);
        end = directive.range.end;
    }
    text.push_str(&chapter.text[end..]);
    Ok(Expanded { text, includes })
}

/// The anchors of the included files, and of `files`, that no chapter uses:
/// one problem for each, at the anchor.
pub fn unused_anchors(root: &Path, files: &[PathBuf], includes: &[Include]) -> Vec<Problem> {
    let files: BTreeSet<&PathBuf> = includes
        .iter()
        .map(|include| &include.file)
        .chain(files)
        .collect();
    let mut problems = Vec::new();
    for file in files {
        let Ok(text) = read(root, file) else { continue };
        let used = |name: &str| {
            includes
                .iter()
                .any(|include| include.file == *file && include.anchor.as_deref() == Some(name))
        };
        for (index, line) in text.lines().enumerate() {
            if let Some(name) = anchors::start(line).filter(|name| !used(name)) {
                let what = format!("no chapter shows the anchor `{name}`");
                problems.push(Problem::new(file, index + 1, what));
            }
        }
    }
    problems
}

fn include(
    root: &Path,
    chapter: &Chapter,
    directive: &Directive<'_>,
) -> Result<(Include, String), Problem> {
    let problem = |what: String| Problem::new(&chapter.file, directive.line, what);
    let [argument] = directive.arguments[..] else {
        let what = format!("`{{{{#{}}}}}` takes one file", directive.name);
        return Err(problem(what));
    };
    let (path, anchor) = match argument.split_once(':') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (argument, None),
    };
    if let Some(range) = anchor.filter(|anchor| {
        let first = anchor.split(':').next().unwrap_or_default();
        first.is_empty() || first.parse::<usize>().is_ok() || anchor.contains(':')
    }) {
        let what = format!("`{range}` is a range of lines, which goes stale: use an anchor");
        return Err(problem(what));
    }

    let folder = chapter.file.parent().unwrap_or(Path::new(""));
    let file = normal(&folder.join(path));
    let text = read(root, &file)
        .map_err(|error| problem(format!("cannot include {}: {}", file.display(), error.what)))?;
    if let Some(nested) = directives(&text).first() {
        let what = format!(
            "{} includes something itself, in line {}",
            file.display(),
            nested.line
        );
        return Err(problem(what));
    }

    let shown = match anchor {
        Some(anchor) => anchored(&text, anchor).map_err(|error| {
            let what = format!("{error} in {}", file.display());
            problem(what)
        })?,
        None if text.lines().any(anchors::is_comment) => {
            let what = format!(
                "{} has anchors, whose comments would show: name one",
                file.display()
            );
            return Err(problem(what));
        }
        None => (1..=text.lines().count()).collect(),
    };
    let replacement = match directive.name {
        "include" => only(&text, &shown),
        _ => rest_hidden(&text, &shown),
    };
    let include = Include {
        file,
        anchor: anchor.map(str::to_string),
        line: directive.line,
        shown,
    };
    Ok((include, replacement))
}

/// The lines of `text`, from 1, that stand between the comments of `anchor`.
fn anchored(text: &str, anchor: &str) -> Result<Vec<usize>, String> {
    let mut shown = Vec::new();
    let mut opened = None;
    let mut closed = false;
    for (line, number) in text.lines().zip(1..) {
        // mdBook asks for the end first inside of an anchor, and for the start
        // first outside; a line with both is refused here.
        let (start, end) = (anchors::start(line), anchors::end(line));
        match (start, end) {
            (Some(_), Some(_)) => return Err(format!("line {number} has two anchor comments")),
            (Some(name), None) if name == anchor => {
                if opened.is_some() || closed {
                    return Err(format!("the anchor `{anchor}` is opened twice"));
                }
                opened = Some(number);
            }
            (None, Some(name)) if name == anchor => {
                if opened.take().is_none() {
                    return Err(format!(
                        "the anchor `{anchor}` is closed before it is opened"
                    ));
                }
                closed = true;
            }
            (None, None) if opened.is_some() => shown.push(number),
            _ => {}
        }
    }
    match (opened, closed) {
        (Some(line), _) => Err(format!(
            "the anchor `{anchor}`, opened in line {line}, is never closed"
        )),
        (None, false) => Err(format!("there is no anchor `{anchor}`")),
        (None, true) => Ok(shown),
    }
}

/// `{{#include}}`: the shown lines alone.
fn only(text: &str, shown: &[usize]) -> String {
    let shown: BTreeSet<usize> = shown.iter().copied().collect();
    let lines: Vec<&str> = text
        .lines()
        .zip(1..)
        .filter(|(_, number)| shown.contains(number))
        .map(|(line, _)| line)
        .collect();
    lines.join("\n")
}

/// `{{#rustdoc_include}}`: every line, the others behind `# `, without the
/// anchor comments.
fn rest_hidden(text: &str, shown: &[usize]) -> String {
    let shown: BTreeSet<usize> = shown.iter().copied().collect();
    let lines: Vec<String> = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !anchors::is_comment(line))
        .map(|(line, number)| match shown.contains(&number) {
            true => line.to_string(),
            false => format!("# {line}"),
        })
        .collect();
    lines.join("\n")
}

/// `path` without `.` and `..`, as far as they can be resolved by name.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

/// The lines of each included file that some chapter shows.
pub fn shown_lines(includes: &[Include]) -> BTreeMap<PathBuf, BTreeSet<usize>> {
    let mut shown: BTreeMap<PathBuf, BTreeSet<usize>> = BTreeMap::new();
    for include in includes {
        let lines = shown.entry(include.file.clone()).or_default();
        lines.extend(&include.shown);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "one\n// ANCHOR: a\ntwo\n// ANCHOR: b\n\nthree\n// ANCHOR_END: b\n// ANCHOR_END: a\nfour\n";

    #[test]
    fn a_directive_has_a_name_arguments_and_a_line() {
        let found = directives("see\n{{#diff webserver3a webserver3b}}");
        assert_eq!((found[0].name, found[0].line), ("diff", 2));
        assert_eq!(found[0].arguments, ["webserver3a", "webserver3b"]);
    }

    fn files() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("code")).unwrap();
        for (name, text) in [
            ("file.rs", FILE),
            ("open.rs", "// ANCHOR: a\none\n"),
            ("nested.rs", "{{#include x}}\n"),
            ("plain.rs", "one\ntwo\n"),
        ] {
            std::fs::write(root.path().join("code").join(name), text).unwrap();
        }
        root
    }

    fn expand_text(text: &str) -> Result<Expanded, String> {
        let root = files();
        let chapter = Chapter {
            file: PathBuf::from("book/part/chapter.md"),
            text: text.to_string(),
        };
        expand(root.path(), &chapter).map_err(|problem| problem.to_string())
    }

    #[test]
    fn an_anchor_is_shown_and_the_rest_is_hidden() {
        let expanded = expand_text("x\n{{#rustdoc_include ../../code/file.rs:b}}\ny").unwrap();
        assert_eq!(expanded.text, "x\n# one\n# two\n\nthree\n# four\ny");
        assert_eq!(expanded.includes[0].shown, [5, 6]);
        let expanded = expand_text("{{#include ../../code/file.rs:a}}").unwrap();
        assert_eq!(expanded.text, "two\n\nthree");
    }

    #[test]
    fn a_whole_file_and_an_escape() {
        let expanded = expand_text("{{#include ../../code/plain.rs}} \\{{#include x}}").unwrap();
        assert_eq!(expanded.text, "one\ntwo {{#include x}}");
    }

    #[test]
    fn mistakes_name_chapter_line_and_name() {
        for (directive, message) in [
            ("include ../../code/none.rs", "cannot include code/none.rs: cannot read it: No such file or directory (os error 2)"),
            ("include ../../code/file.rs:c", "there is no anchor `c` in code/file.rs"),
            ("include ../../code/open.rs:a", "the anchor `a`, opened in line 1, is never closed in code/open.rs"),
            ("include ../../code/file.rs:2:3", "`2:3` is a range of lines, which goes stale: use an anchor"),
            ("include ../../code/file.rs:7", "`7` is a range of lines, which goes stale: use an anchor"),
            ("include ../../code/file.rs", "code/file.rs has anchors, whose comments would show: name one"),
            ("include ../../code/nested.rs", "code/nested.rs includes something itself, in line 1"),
            ("inlcude ../../code/file.rs:a", "nobody knows the directive `{{#inlcude}}`"),
            ("playground ../../code/plain.rs", "nobody knows the directive `{{#playground}}`"),
            ("include a.rs b.rs", "`{{#include}}` takes one file"),
        ] {
            let error = expand_text(&format!("x\n\n{{{{#{directive}}}}}")).unwrap_err();
            assert_eq!(error, format!("book/part/chapter.md:3: {message}"));
        }
    }

    #[test]
    fn an_anchor_that_nobody_uses_is_found() {
        let expanded = expand_text("{{#include ../../code/file.rs:a}}").unwrap();
        let problems = unused_anchors(files().path(), &[], &expanded.includes);
        assert_eq!(problems.len(), 1);
        assert_eq!(
            problems[0].to_string(),
            "code/file.rs:4: no chapter shows the anchor `b`"
        );
    }
}
