//! Every line of every program is in the book: in a snippet, as an added line of a step
//! or a diff, or unchanged since the step before. The folded listings do not count, and
//! the head of a program, which nobody types, may stand in them alone. Every line of every
//! library is in a snippet, but for its documentation, its tests, and what it takes from
//! other files.

use book::course::{Course, Program, Source};
use book::includes::{directives, expand, shown_lines};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tests::programs::course;

#[test]
fn every_line_is_in_the_book() {
    let course = course();
    let text = Text::read(course);
    let missing: Vec<String> = course
        .programs
        .iter()
        .flat_map(|program| text.leaves_out(course, program))
        .chain(course.libraries.iter().flat_map(|library| {
            let files = library.files.iter();
            files.flat_map(|source| text.leaves_out_of_library(source))
        }))
        .collect();
    assert!(
        missing.is_empty(),
        "no chapter shows these lines:\n{}",
        missing.join("\n")
    );
}

/// What all chapters show.
struct Text {
    /// The lines of each file that snippets show.
    by_snippet: BTreeMap<PathBuf, BTreeSet<usize>>,
    /// The diffs and the steps: before, if there is one, and after.
    diffs: Vec<(Option<String>, String)>,
}

impl Text {
    fn read(course: &Course) -> Text {
        let chapters = course.chapters();
        let chapters = chapters.unwrap_or_else(|problem| panic!("{problem}"));
        let mut includes = Vec::new();
        let mut diffs = Vec::new();
        for chapter in &chapters {
            let expanded = expand(&course.root, chapter);
            let expanded = expanded.unwrap_or_else(|problem| panic!("{problem}"));
            includes.extend(expanded.includes);
            for directive in directives(&chapter.text) {
                match (directive.name, &directive.arguments[..]) {
                    ("diff" | "step", [before, after]) => {
                        diffs.push((Some(before.to_string()), after.to_string()));
                    }
                    ("step", [after]) => diffs.push((None, after.to_string())),
                    _ => {}
                }
            }
        }
        Text {
            by_snippet: shown_lines(&includes),
            diffs,
        }
    }

    /// The lines that no chapter shows, as `file:line: text`.
    fn leaves_out(&self, course: &Course, program: &Program) -> Vec<String> {
        let added = |before: &Option<String>| {
            let before = before.as_ref().and_then(|name| course.program(name));
            course.step(before, program, 1).added
        };
        let changed: BTreeSet<usize> = added(&program.before).into_iter().collect();
        let diffs = self
            .diffs
            .iter()
            .filter(|(_, after)| *after == program.name);
        let by_diff: BTreeSet<usize> = diffs.flat_map(|(before, _)| added(before)).collect();
        let by_snippet = self.by_snippet.get(&program.file);
        let shown = |index: &usize, number: &usize| {
            by_diff.contains(index) || by_snippet.is_some_and(|lines| lines.contains(number))
        };
        program
            .lines
            .iter()
            .enumerate()
            .filter(|(index, (number, line))| {
                counts(line) && changed.contains(index) && !shown(index, number)
            })
            .map(|(_, (number, line))| format!("{}:{number}: {line}", program.file.display()))
            .collect()
    }

    /// The same for a file of a library.
    fn leaves_out_of_library(&self, source: &Source) -> Vec<String> {
        let by_snippet = self.by_snippet.get(&source.file);
        let shown = |number: &usize| by_snippet.is_some_and(|lines| lines.contains(number));
        source
            .lines
            .iter()
            .filter(|(number, line)| counts(line) && !shown(number))
            .map(|(number, line)| format!("{}:{number}: {line}", source.file.display()))
            .collect()
    }
}

/// Whether a line is worth showing.
fn counts(line: &str) -> bool {
    !matches!(line.trim(), "" | "}")
}
