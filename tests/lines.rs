//! Every line of every program is in the book: in a snippet, as an added line
//! of a diff, or unchanged since the step before. The folded listing of the
//! facts box does not count.

use book::course::{Course, Program};
use book::includes::{directives, expand, shown_lines};
use std::collections::BTreeSet;
use tests::programs::course;

#[test]
fn every_line_is_in_the_book() {
    let course = course();
    let missing: Vec<String> = course
        .programs
        .iter()
        .flat_map(|program| not_shown(&course, program))
        .collect();
    assert!(
        missing.is_empty(),
        "no chapter shows these lines:\n{}",
        missing.join("\n")
    );
}

/// The lines that no chapter shows, as `file:line: text`.
fn not_shown(course: &Course, program: &Program) -> Vec<String> {
    let chapters = course
        .chapters()
        .unwrap_or_else(|problem| panic!("{problem}"));
    let mut includes = Vec::new();
    let mut by_diff = BTreeSet::new();
    for chapter in &chapters {
        let expanded = expand(&course.root, chapter).unwrap_or_else(|problem| panic!("{problem}"));
        includes.extend(expanded.includes);
        for directive in directives(&chapter.text) {
            if let ("diff", [before, after]) = (directive.name, &directive.arguments[..]) {
                if let (Some(before), true) = (course.program(before), *after == program.name) {
                    by_diff.extend(course.step(before, program).added);
                }
            }
        }
    }
    let by_snippet = shown_lines(&includes)
        .remove(&program.file)
        .unwrap_or_default();
    let before = program
        .before
        .as_ref()
        .and_then(|name| course.program(name));
    let changed: BTreeSet<usize> = match before {
        Some(before) => course.step(before, program).added.into_iter().collect(),
        None => (0..program.lines.len()).collect(),
    };
    program
        .lines
        .iter()
        .enumerate()
        .filter(|(index, (number, line))| {
            let counts = !matches!(line.trim(), "" | "}");
            let shown = by_snippet.contains(number) || by_diff.contains(index);
            counts && changed.contains(index) && !shown
        })
        .map(|(_, (number, line))| format!("{}:{number}: {line}", program.file.display()))
        .collect()
}
