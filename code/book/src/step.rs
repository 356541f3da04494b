//! From one program to the next: the places that change, each with enough of the lines
//! around it to be found, and what a page shows of them.
//!
//! A reader goes through a page's places from the top, and types. So the lines of a
//! place that are there already stand once, and once only, in the program as it is at
//! that moment: the old one, with what has been typed above.

use crate::escape;
use similar::{capture_diff_slices, Algorithm, DiffOp};
use std::hash::Hash;
use std::ops::Range;

/// Lines that make way for others; either may be none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where they stand in the old program, from 0.
    pub old: Range<usize>,
    /// Where the others stand in the new one.
    pub new: Range<usize>,
}

/// A place that changes, with the lines around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// Where it is, in words, as HTML.
    pub place: String,
    /// Its lines.
    pub lines: Vec<(Kind, String)>,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It stays.
    Same,
    /// It is typed.
    Added,
    /// It goes.
    Removed,
}

/// What changes from `old` to `new`, from the top. Where the same change can be told in
/// several ways, because a line at one end of it is equal to the one after the other end,
/// it is told so that it begins where something begins.
pub fn changes(old: &[&str], new: &[&str]) -> Vec<Change> {
    // Lines that are equal stand for each other where they stand in the same function, or
    // an `Ok(())` of one would be kept as that of another. But what has moved to another
    // function, or to one of another name, is not typed again.
    let typed = |changes: &[Change]| changes.iter().map(|change| change.new.len()).sum::<usize>();
    let (plain, by_function) = (
        found(old, new),
        found(&in_functions(old), &in_functions(new)),
    );
    let changes = match typed(&by_function) <= typed(&plain) + MORE_TO_TYPE {
        true => by_function,
        false => plain,
    };
    settled(old, new, changes)
}

/// How many more lines it may cost to tell functions apart.
const MORE_TO_TYPE: usize = 3;

/// What changes, as it is found.
fn found<T: Eq + Hash + Ord>(old: &[T], new: &[T]) -> Vec<Change> {
    let found = capture_diff_slices(Algorithm::Patience, old, new);
    let found = found
        .iter()
        .filter(|op| !matches!(op, DiffOp::Equal { .. }));
    let mut changes: Vec<Change> = Vec::new();
    for op in found {
        let (old, new) = (op.old_range(), op.new_range());
        match changes.last_mut() {
            Some(last) if last.old.end == old.start && last.new.end == new.start => {
                last.old.end = old.end;
                last.new.end = new.end;
            }
            _ => changes.push(Change { old, new }),
        }
    }
    changes
}

/// Each line with the item at the left margin that it stands in, if that has a name.
fn in_functions<'a>(lines: &[&'a str]) -> Vec<(Option<String>, &'a str)> {
    let mut item = None;
    let mut all = Vec::new();
    for line in lines {
        if indent(line) == 0 && name(line).is_some() {
            item = name(line);
        }
        all.push((item.clone(), *line));
        if *line == "}" {
            item = None;
        }
    }
    all
}

/// The changes, each where it begins best.
fn settled(old: &[&str], new: &[&str], mut changes: Vec<Change>) -> Vec<Change> {
    for at in 0..changes.len() {
        let above = at.checked_sub(1).map(|above| changes[above].clone());
        let below = changes.get(at + 1).cloned();
        let change = &mut changes[at];
        // Only the side that has lines moves over the lines that both have.
        if change.old.is_empty() {
            let top = above.map_or(0, |above| above.new.end);
            let end = below.map_or(new.len(), |below| below.new.start);
            let to = best(new, &change.new, top, end);
            let by = to as isize - change.new.start as isize;
            change.new = moved(&change.new, by);
            change.old = moved(&change.old, by);
        } else if change.new.is_empty() {
            let top = above.map_or(0, |above| above.old.end);
            let end = below.map_or(old.len(), |below| below.old.start);
            let to = best(old, &change.old, top, end);
            let by = to as isize - change.old.start as isize;
            change.new = moved(&change.new, by);
            change.old = moved(&change.old, by);
        }
    }
    changes
}

fn moved(range: &Range<usize>, by: isize) -> Range<usize> {
    range.start.saturating_add_signed(by)..range.end.saturating_add_signed(by)
}

/// Where the lines of `range` had best begin, if they may begin wherever the text stays
/// the same, between `top` and `end`.
fn best(lines: &[&str], range: &Range<usize>, top: usize, end: usize) -> usize {
    let length = range.len();
    let mut starts = vec![range.start];
    let mut start = range.start;
    while start > top && lines[start - 1] == lines[start + length - 1] {
        start -= 1;
        starts.push(start);
    }
    let mut start = range.start;
    while start + length < end && lines[start] == lines[start + length] {
        start += 1;
        starts.push(start);
    }
    let oddity = |start: &usize| {
        let own = &lines[*start..*start + length];
        let first = own.first().map_or("", |line| line.trim_start());
        let says = own.iter().find(|line| !line.trim().is_empty());
        let above = start.checked_sub(1).map_or("", |above| lines[above].trim());
        let closes = first.starts_with(['}', ')', ']']);
        let torn = above.starts_with("//") || above.starts_with("#[");
        let indent = says.map_or(0, |line| indent(line));
        (closes || torn, indent, first.is_empty())
    };
    starts
        .into_iter()
        .min_by_key(|start| (oddity(start), usize::MAX - start))
        .unwrap_or(range.start)
}

/// The places of `changes`, each with at least `context` lines around it, and with as many
/// as it takes to find it.
pub fn hunks(old: &[&str], new: &[&str], changes: &[Change], context: usize) -> Vec<Hunk> {
    // Each place as the changes that it takes in, and the lines of the old program that
    // it shows.
    let mut places: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    for at in 0..changes.len() {
        places.push((at..at + 1, 0..0));
    }
    let mut at = 0;
    while at < places.len() {
        let taken = places[at].0.clone();
        let top = taken.start.checked_sub(1);
        let top = top.map_or(0, |above| changes[above].old.end);
        let end = changes.get(taken.end);
        let end = end.map_or(old.len(), |below| below.old.start);
        let own = &changes[taken.clone()];
        places[at].1 = shown(old, new, own, top..end, context);
        let shown = &places[at].1;
        if at > 0 && shown.start <= places[at - 1].1.end {
            // Places that touch are one.
            places[at - 1].0.end = taken.end;
            places.remove(at);
            at -= 1;
        } else if at + 1 < places.len() && !is_unique(old, new, own, shown) {
            places[at].0.end = places[at + 1].0.end;
            places.remove(at + 1);
        } else {
            at += 1;
        }
    }
    places
        .into_iter()
        .map(|(taken, shown)| hunk(old, new, &changes[taken], shown))
        .collect()
}

/// The lines of the old program to show with these changes, which follow each other.
fn shown(
    old: &[&str],
    new: &[&str],
    changes: &[Change],
    within: Range<usize>,
    context: usize,
) -> Range<usize> {
    let (first, last) = (&changes[0], &changes[changes.len() - 1]);
    let mut shown = first.old.start..last.old.end;
    // Above up to a line that says something, below up to one that is not blank.
    while shown.start > within.start
        && (first.old.start - shown.start < context || !says(old[shown.start]))
    {
        shown.start -= 1;
    }
    while shown.end < within.end
        && (shown.end - last.old.end < context || old[shown.end - 1].trim().is_empty())
    {
        shown.end += 1;
    }
    while !is_unique(old, new, changes, &shown) {
        if shown.start > within.start {
            shown.start -= 1;
            while shown.start > within.start && !says(old[shown.start]) {
                shown.start -= 1;
            }
        } else if shown.end < within.end {
            shown.end += 1;
        } else {
            break; // the neighbours come to its help
        }
    }
    shown
}

/// Whether the lines of the old program that are shown stand once in the program as it is
/// when the reader comes to these changes.
fn is_unique(old: &[&str], new: &[&str], changes: &[Change], shown: &Range<usize>) -> bool {
    let first = &changes[0];
    let text: Vec<&str> = new[..first.new.start]
        .iter()
        .chain(&old[first.old.start..])
        .copied()
        .collect();
    occurrences(&text, &old[shown.clone()]) == 1 || text.is_empty()
}

/// How often the lines stand in the text.
fn occurrences(text: &[&str], lines: &[&str]) -> usize {
    match lines.is_empty() {
        true => 0,
        false => text
            .windows(lines.len())
            .filter(|window| *window == lines)
            .count(),
    }
}

fn hunk(old: &[&str], new: &[&str], changes: &[Change], shown: Range<usize>) -> Hunk {
    let mut lines = Vec::new();
    let mut at = shown.start;
    let mut take = |kind: Kind, from: &[&str]| {
        lines.extend(from.iter().map(|line| (kind, line.to_string())));
    };
    for change in changes {
        take(Kind::Same, &old[at..change.old.start]);
        take(Kind::Removed, &old[change.old.clone()]);
        take(Kind::Added, &new[change.new.clone()]);
        at = change.old.end;
    }
    take(Kind::Same, &old[at..shown.end]);
    Hunk {
        place: place(old, new, changes),
        lines,
    }
}

/// Where the first of these changes is, in words: "In `main`, after `let listener = …`".
fn place(old: &[&str], new: &[&str], changes: &[Change]) -> String {
    let change = &changes[0];
    if old.is_empty() {
        return "All of <code>src/main.rs</code>".to_string();
    }
    if !old[..change.old.start].iter().any(|line| says(line)) {
        return "At the top".to_string();
    }
    let told = |lines: &[&str]| {
        lines
            .iter()
            .find(|line| says(line))
            .map(|line| abbreviated(line))
    };
    let gone = told(&old[change.old.clone()]);
    // What is there at this moment: the new program above, and the old one below.
    let (text, at) = match change.new.is_empty() {
        true => (old, change.old.start),
        false => (new, change.new.start),
    };
    let first = text[at..]
        .iter()
        .find(|line| says(line))
        .copied()
        .unwrap_or_default();
    let around = around(text, at, indent(first));
    let scope = around.iter().find_map(|index| name(text[*index]));
    let inside = scope
        .as_ref()
        .map_or(String::new(), |name| format!("in <code>{name}</code>, "));
    let place = if let Some(gone) = gone {
        match changes.iter().all(|change| change.new.is_empty()) {
            true => format!("{inside}take out <code>{gone}</code>"),
            false => format!("{inside}in place of <code>{gone}</code>"),
        }
    } else if let Some(above) = (0..at).rev().find(|index| !text[*index].trim().is_empty()) {
        let above = opened(text, above);
        match (name(text[above]), around.first() == Some(&above)) {
            (Some(name), true) => format!("at the beginning of <code>{name}</code>"),
            (Some(name), false) if indent(text[above]) == 0 => format!("below <code>{name}</code>"),
            (_, true) => format!(
                "{inside}at the beginning of <code>{}</code>",
                abbreviated(text[above])
            ),
            (_, false) => format!("{inside}after <code>{}</code>", abbreviated(text[above])),
        }
    } else {
        "at the top".to_string()
    };
    let mut letters = place.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// The lines that the line `at`, so far to the right, stands in: from the inside out.
fn around(lines: &[&str], at: usize, indent_of: usize) -> Vec<usize> {
    let mut around = Vec::new();
    let mut least = indent_of;
    for index in (0..at).rev() {
        let line = lines[index];
        if line.trim().is_empty() || indent(line) >= least {
            continue;
        }
        // The end of a head, such as `) -> bool {` or `} else {`: it goes on above.
        match line.trim_start().starts_with([')', '}', ']']) {
            true => least = indent(line) + 1,
            false => {
                least = indent(line);
                around.push(index);
            }
        }
    }
    around
}

/// The line that opened what `at` closes, or `at` itself.
fn opened(lines: &[&str], at: usize) -> usize {
    let closes = |line: &str| line.trim_start().starts_with([')', '}', ']']);
    let level = indent(lines[at]);
    match closes(lines[at]) {
        true => (0..at)
            .rev()
            .find(|index| {
                let line = lines[*index];
                !line.trim().is_empty() && indent(line) == level && !closes(line)
            })
            .unwrap_or(at),
        false => at,
    }
}

/// The name of what a line defines: of the function, or of the type.
fn name(line: &str) -> Option<String> {
    let line = line.trim_start();
    let word = |after: &str| {
        let end = after.find(|c: char| !c.is_alphanumeric() && c != '_');
        let name = &after[..end.unwrap_or(after.len())];
        (!name.is_empty()).then(|| name.to_string())
    };
    let line = [
        "pub(crate) ",
        "pub ",
        "const ",
        "async ",
        "unsafe ",
        "extern \"C\" ",
    ]
    .iter()
    .fold(line, |line, start| line.strip_prefix(start).unwrap_or(line));
    if let Some(implemented) = line.strip_prefix("impl") {
        let implemented = implemented.trim_end_matches('{').trim();
        return Some(escape(&format!("impl {implemented}")));
    }
    ["fn ", "struct ", "enum ", "trait ", "mod "]
        .iter()
        .find_map(|start| line.strip_prefix(start).and_then(word))
}

/// A line, short enough to be named, as HTML.
fn abbreviated(line: &str) -> String {
    const LONGEST: usize = 40;
    let line = line.trim().trim_end_matches([';', ',']);
    let line = line.strip_suffix('{').unwrap_or(line).trim_end();
    if line.chars().count() <= LONGEST {
        return escape(line);
    }
    let cut = match line.split_once(" = ") {
        Some((left, _)) if left.chars().count() < LONGEST => format!("{left} ="),
        _ => line.chars().take(LONGEST - 2).collect(),
    };
    format!("{} …", escape(cut.trim_end()))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether a line says something: it is neither blank nor made of brackets.
fn says(line: &str) -> bool {
    line.chars().any(|c| c.is_alphanumeric())
}

/// The places as the page shows them, each under its words. What is typed is `ins`, and
/// what goes is `del`.
pub fn html(hunks: &[Hunk]) -> String {
    let mut html = String::new();
    for hunk in hunks {
        html.push_str(&format!("<p class=\"caption\">{}:</p>\n\n", hunk.place));
        // Markdown lets HTML that begins with this tag have empty lines.
        let whole = hunk.lines.iter().all(|(kind, _)| *kind == Kind::Added);
        let class = if whole { "hunk whole" } else { "hunk" };
        html.push_str(&format!(
            "<pre class=\"{class}\"><code class=\"language-rust hljs\">"
        ));
        for (kind, line) in &hunk.lines {
            let tag = match kind {
                Kind::Same => "span",
                Kind::Added => "ins",
                Kind::Removed => "del",
            };
            // What is struck is the text, and not the blanks before it.
            let (blanks, text) = line.split_at(indent(line));
            let text = match kind {
                Kind::Removed if !text.is_empty() => format!("<span>{}</span>", escape(text)),
                _ => escape(text),
            };
            html.push_str(&format!("<{tag}>{blanks}{text}\n</{tag}>"));
        }
        html.push_str("</code></pre>\n\n");
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places between two texts: each its words, and its lines with a sign before
    /// them.
    fn places(old: &str, new: &str) -> Vec<(String, String)> {
        let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
        let hunks = hunks(&old, &new, &changes(&old, &new), 1);
        let sign = |kind: &Kind| match kind {
            Kind::Same => ' ',
            Kind::Added => '+',
            Kind::Removed => '-',
        };
        let shown = |hunk: Hunk| {
            let lines = hunk.lines.iter();
            let lines = lines.map(|(kind, line)| format!("{}{line}\n", sign(kind)));
            (hunk.place, lines.collect())
        };
        hunks.into_iter().map(shown).collect()
    }

    fn place(place: &str, lines: &str) -> (String, String) {
        (place.to_string(), lines.to_string())
    }

    const ONE: &str = "use std::io;\n\nfn main() -> io::Result<()> {\n    let a = one();\n    \
                       two(a);\n    Ok(())\n}\n";

    #[test]
    fn a_line_is_found_by_its_neighbours_and_in_words() {
        let new = ONE.replace("    two(a);\n", "    two(a);\n    three();\n");
        let expected = place(
            "In <code>main</code>, after <code>two(a)</code>",
            "     two(a);\n+    three();\n     Ok(())\n",
        );
        assert_eq!(places(ONE, &new), [expected]);

        let new = ONE.replace("let a = one();", "let a = Vec::<u8>::new();");
        let expected = place(
            "In <code>main</code>, in place of <code>let a = one()</code>",
            " fn main() -> io::Result<()> {\n-    let a = one();\n+    let a = Vec::<u8>::new();\n     two(a);\n",
        );
        assert_eq!(places(ONE, &new), [expected]);

        let new = ONE.replace("    let a = one();\n", "    zero();\n    let a = one();\n");
        let expected = place(
            "At the beginning of <code>main</code>",
            " fn main() -> io::Result<()> {\n+    zero();\n     let a = one();\n",
        );
        assert_eq!(places(ONE, &new), [expected]);

        let new = ONE.replace("    two(a);\n", "");
        let expected = place(
            "In <code>main</code>, take out <code>two(a)</code>",
            "     let a = one();\n-    two(a);\n     Ok(())\n",
        );
        assert_eq!(places(ONE, &new), [expected]);

        let new = format!("use std::env;\n{ONE}");
        let expected = place("At the top", "+use std::env;\n use std::io;\n");
        assert_eq!(places(ONE, &new), [expected]);
    }

    #[test]
    fn a_function_is_typed_whole_and_below_the_one_before_it() {
        let new = format!("{ONE}\nfn two(a: u8) -> io::Result<()> {{\n    Ok(())\n}}\n");
        let expected = place(
            "Below <code>main</code>",
            "     Ok(())\n }\n+\n+fn two(a: u8) -> io::Result<()> {\n+    Ok(())\n+}\n",
        );
        assert_eq!(places(ONE, &new), [expected]);

        // The end of `main` does not become that of the new function.
        let new = new.replace("    two(a);\n    Ok(())\n", "    two(a)\n");
        let (_, lines) = &places(ONE, &new)[0];
        assert!(
            lines.contains("-    Ok(())\n+    two(a)\n }\n+\n+fn two"),
            "{lines}"
        );

        // What only has another name is not typed again.
        let new = ONE.replace("fn main", "fn run");
        let (_, lines) = &places(ONE, &new)[0];
        assert_eq!(lines.matches("\n+").count(), 1, "{lines}");
    }

    /// `x` stands three times; the place shows as much as tells them apart.
    #[test]
    fn a_place_that_stands_twice_shows_more_around_it() {
        let old = "fn a() {\n    x();\n    x();\n}\n\nfn b() {\n    x();\n    x();\n}\n";
        let new = "fn a() {\n    x();\n    x();\n}\n\nfn b() {\n    x();\n    y();\n    x();\n}\n";
        let expected = place(
            "In <code>b</code>, after <code>x()</code>",
            " fn b() {\n     x();\n+    y();\n     x();\n",
        );
        assert_eq!(places(old, new), [expected]);
    }

    #[test]
    fn blank_lines_and_braces_tell_no_place() {
        let old = "fn a() {\n    loop {\n        x();\n    }\n}\n\nfn b() {}\n";
        let new = "fn a() {\n    loop {\n        x();\n    }\n    y();\n}\n\nfn b() {}\n";
        let expected = place(
            "In <code>a</code>, after <code>loop</code>",
            "         x();\n     }\n+    y();\n }\n",
        );
        assert_eq!(places(old, new), [expected]);
    }

    #[test]
    fn what_is_code_on_the_page_is_no_html() {
        let lines = vec![
            (Kind::Same, "a < b".to_string()),
            (Kind::Removed, "    &x".to_string()),
            (Kind::Added, String::new()),
        ];
        let place = "At the top".to_string();
        assert_eq!(
            html(&[Hunk { place, lines }]),
            "<p class=\"caption\">At the top:</p>\n\n<pre class=\"hunk\">\
             <code class=\"language-rust hljs\"><span>a &lt; b\n</span>\
             <del>    <span>&amp;x</span>\n</del><ins>\n</ins></code></pre>\n\n"
        );
    }
}
