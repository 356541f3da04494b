//! What can be looked up from a page: the terms of the glossary, the chapter of a program,
//! the manual of a system call, the section of an RFC. And the index of them all.
//!
//! On each page the first use in running text becomes a link. Headings, code blocks, tables
//! and links stay as they are. No line is added: what is wrong with a page is still found
//! by the numbers of its lines.

use crate::course::Chapter;
use crate::escape;
use crate::includes::directives;
use crate::transcript::fences;
use crate::Problem;
use regex::{Captures, Regex};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;

/// The page of the terms, from the folder of the chapters.
const GLOSSARY: &str = "appendix/glossary.md";

/// The page of the index.
const INDEX: &str = "appendix/names.md";

/// Terms that are everyday words as well. They are marked where the text sets them in
/// italics, as it does where it defines a term.
const EVERYDAY: [&str; 22] = [
    "application",
    "body",
    "connection",
    "exec",
    "folding",
    "fork",
    "frame",
    "future",
    "handler",
    "head",
    "method",
    "peer",
    "port",
    "process",
    "range",
    "reap",
    "reset",
    "runtime",
    "stream",
    "target",
    "token",
    "tower",
];

/// System calls and their relatives in the C library whose names mean nothing else in this
/// course, with the section of the manual.
const CALLS: [(&str, u8); 33] = [
    ("_exit", 2),
    ("accept", 2),
    ("accept4", 2),
    ("dup2", 2),
    ("epoll_create1", 2),
    ("epoll_wait", 2),
    ("execve", 2),
    ("fcntl", 2),
    ("fork", 2),
    ("futex", 2),
    ("getpeername", 2),
    ("getpid", 2),
    ("getsockname", 2),
    ("ioctl", 2),
    ("mmap", 2),
    ("nanosleep", 2),
    ("pidfd_open", 2),
    ("pipe2", 2),
    ("posix_spawn", 3),
    ("prctl", 2),
    ("prlimit", 2),
    ("pselect", 2),
    ("recvfrom", 2),
    ("sendfile", 2),
    ("sendto", 2),
    ("setrlimit", 2),
    ("setsockopt", 2),
    ("sigaction", 2),
    ("signalfd", 2),
    ("vfork", 2),
    ("wait4", 2),
    ("waitid", 2),
    ("waitpid", 2),
];

/// Those whose names mean something else too, in Rust, in Python or in a shell. In the text
/// they are linked as `name(2)`; in the index they stand with the others.
const SHARED: [&str; 13] = [
    "bind", "close", "connect", "kill", "listen", "pipe", "poll", "read", "select", "send",
    "shutdown", "socket", "write",
];

/// A term of the glossary.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    /// The place on the glossary's page.
    id: String,
    /// What it means, without any markup.
    meaning: String,
}

/// Everything that a page can lead to.
pub struct Lookup {
    terms: BTreeMap<String, Term>,
    words: Regex,
    /// The page of each program, from the folder of the chapters.
    programs: BTreeMap<String, String>,
}

static ENTRY: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^\*\*(.+?)\.\*\*"));
/// The head of a table, and the line under it.
static HEAD: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^\|.*\|\n\|[ :|-]+\|$"));
static CODE: LazyLock<Regex> = LazyLock::new(|| regex(r"^`([\w-]+)(?:\((\d)\))?`$"));
static PLAIN_CALL: LazyLock<Regex> = LazyLock::new(|| regex(r"^(\w+)\((\d)\)$"));
static STANDARD: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\bRFC\s+(\d+)(?:,\s+section\s+(\d+(?:\.\d+)*))?"));

/// What stands in a paragraph and is no running text: code, links, HTML, directives.
static NO_TEXT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?s)`[^`]+`|!?\[(?:[^\[\]]|`[^`]*`|\[[^\[\]]*\])*\](?:\([^)]*\)|\[[^\]]*\])|<[^>]+>|\{\{.*?\}\}|\w+\(\d\)",
    )
});

/// A program that a page names where it was made, and not written.
static MADE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?P<before>Repaid by |<dt>A step from</dt><dd>)(?:`(?P<a>\w+)`|<code>(?P<b>\w+)</code>)",
    )
});

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant, used by every test")
}

impl Lookup {
    /// Takes the terms and the programs from the chapters, which are all there are.
    pub fn new(chapters: &[Chapter]) -> Lookup {
        let glossary = chapters.iter().find(|chapter| path(chapter) == GLOSSARY);
        let terms = glossary.map_or(BTreeMap::new(), |glossary| terms(&glossary.text));
        let mut names: Vec<&String> = terms.keys().collect();
        names.sort_by_key(|name| (usize::MAX - name.len(), *name));
        let names: Vec<String> = names
            .iter()
            .map(|name| regex::escape(name).replace(' ', r"\s+"))
            .collect();
        // Without any term it finds nothing.
        let words = match names.is_empty() {
            true => r"[^\s\S]".to_string(),
            false => format!(r"(?i)\b({})(?:s|es)?\b", names.join("|")),
        };
        let mut programs = BTreeMap::new();
        // The page of the facts box, and of a stage the one where it is typed.
        for (directive_name, of) in [("program", 0), ("step", usize::MAX)] {
            for chapter in chapters {
                for directive in directives(&chapter.text) {
                    let arguments = &directive.arguments;
                    let name = arguments.get(of).or(arguments.last());
                    if let (true, Some(name)) = (directive.name == directive_name, name) {
                        programs.entry(name.to_string()).or_insert(path(chapter));
                    }
                }
            }
        }
        Lookup {
            terms,
            words: Regex::new(&words).unwrap_or_else(|_| regex(r"[^\s\S]")),
            programs,
        }
    }

    /// The chapter with its links, line for line.
    ///
    /// # Errors
    ///
    /// A code block that is never closed.
    pub fn mark(&self, chapter: &Chapter) -> Result<String, Problem> {
        let own = path(chapter);
        if own == GLOSSARY {
            return Ok(anchored(&chapter.text));
        }
        let mut seen = BTreeSet::new();
        let mut text = chapter.text.clone();
        let mut changes = nameless(&text);
        for paragraph in paragraphs(chapter)? {
            let words = &chapter.text[paragraph.clone()];
            let found = self.found(words, &own, &mut seen);
            changes.extend(found.into_iter().map(|(range, with)| {
                (
                    range.start + paragraph.start..range.end + paragraph.start,
                    with,
                )
            }));
        }
        changes.sort_by_key(|(range, _)| range.start);
        for (range, with) in changes.into_iter().rev() {
            text.replace_range(range, &with);
        }
        Ok(text)
    }

    /// What becomes a link in a paragraph.
    fn found(
        &self,
        text: &str,
        own: &str,
        seen: &mut BTreeSet<String>,
    ) -> Vec<(Range<usize>, String)> {
        let mut found = Vec::new();
        let mut end = 0;
        let islands: Vec<Range<usize>> =
            NO_TEXT.find_iter(text).map(|found| found.range()).collect();
        for island in islands
            .into_iter()
            .chain(std::iter::once(text.len()..text.len()))
        {
            self.found_in_text(text, end..island.start, seen, &mut found);
            let code = &text[island.clone()];
            if let Some(link) = self.link(code, own) {
                if seen.insert(code.trim_matches('`').to_string()) {
                    found.push((island.clone(), link));
                }
            }
            end = island.end;
        }
        found
    }

    /// The terms and the RFCs in a stretch of running text.
    fn found_in_text(
        &self,
        text: &str,
        within: Range<usize>,
        seen: &mut BTreeSet<String>,
        found: &mut Vec<(Range<usize>, String)>,
    ) {
        let words = &text[within.clone()];
        for standard in STANDARD.captures_iter(words) {
            let Some(whole) = standard.get(0) else {
                continue;
            };
            let name = whole
                .as_str()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            if seen.insert(name) {
                let link = format!("[{}]({})", whole.as_str(), address(&standard));
                found.push((
                    within.start + whole.start()..within.start + whole.end(),
                    link,
                ));
            }
        }
        for captures in self.words.captures_iter(words) {
            let (Some(whole), Some(name)) = (captures.get(0), captures.get(1)) else {
                continue;
            };
            let name = name
                .as_str()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            let Some((name, term)) = self.term(&name) else {
                continue;
            };
            let mut range = within.start + whole.start()..within.start + whole.end();
            let (before, after) = (&text[..range.start], &text[range.end..]);
            // Part of a longer word, such as `re-fork`, or of a name, such as `TCP/IP`.
            let joins = |c: char| matches!(c, '-' | '/' | '_' | '\'' | '\u{2019}');
            if before.ends_with(joins) || after.starts_with(joins) {
                continue;
            }
            let stars = |text: &str, at_end: bool| match at_end {
                true => text.len() - text.trim_end_matches('*').len(),
                false => text.len() - text.trim_start_matches('*').len(),
            };
            let (left, right) = (stars(before, true), stars(after, false));
            let italic = left == 1 && right == 1;
            if (EVERYDAY.contains(&name) && !italic) || !seen.insert(format!("term {}", term.id)) {
                continue;
            }
            if left == right {
                range = range.start - left..range.end + right;
            }
            let (id, meaning) = (&term.id, escape(&term.meaning));
            let words = &text[range.clone()];
            found.push((range, format!(
                "<a class=\"term\" href=\"{UP}{GLOSSARY_PAGE}#{id}\" aria-description=\"{meaning}\">{words}</a>"
            )));
        }
    }

    /// The term of this name, with its name as the glossary has it.
    fn term(&self, written: &str) -> Option<(&str, &Term)> {
        let lower = written.to_lowercase();
        let (name, term) = self
            .terms
            .get_key_value(written)
            .or_else(|| self.terms.get_key_value(&lower))?;
        Some((name, term))
    }

    /// Where a piece of code leads: to a program's chapter, or to a manual.
    fn link(&self, code: &str, own: &str) -> Option<String> {
        let captures = CODE.captures(code).or_else(|| PLAIN_CALL.captures(code))?;
        let name = &captures[1];
        let section = captures
            .get(2)
            .and_then(|section| section.as_str().parse().ok());
        if let (Some(page), None) = (self.programs.get(name), section) {
            return (page != own).then(|| format!("[{code}]({UP}{page})"));
        }
        let call = CALLS.into_iter().find(|(call, _)| *call == name);
        // With any other number it is a call of a descriptor: `close(4)`.
        let shared = || {
            SHARED
                .contains(&name)
                .then_some((name, 2))
                .filter(|_| section == Some(2))
        };
        let (_, of) = call.or_else(shared)?;
        if section.is_some_and(|section: u8| section != of) {
            return None;
        }
        Some(format!("[{code}]({})", manual(name, of)))
    }

    /// The links of what was made for this page: see `MADE`.
    pub fn mark_made(&self, chapter: &Chapter, rendered: &str) -> String {
        let own = path(chapter);
        let up = up(&own);
        let link = |captures: &Captures<'_>| {
            let named = captures.name("a").or(captures.name("b"));
            let page = named.and_then(|name| self.programs.get(name.as_str()));
            match (named, page) {
                (Some(name), Some(page)) if *page != own => {
                    let page = page.trim_end_matches(".md");
                    let (before, name) = (&captures["before"], name.as_str());
                    format!("{before}<a href=\"{up}{page}.html\"><code>{name}</code></a>")
                }
                _ => captures[0].to_string(),
            }
        };
        MADE.replace_all(rendered, link).replace(UP, &up)
    }

    /// The index: programs, system calls, errors and signals, and RFCs, each with the pages
    /// that name it.
    pub fn index(&self, chapters: &[Chapter]) -> String {
        let pages: Vec<(&Chapter, String)> = chapters
            .iter()
            .filter(|chapter| ![GLOSSARY, INDEX].contains(&&*path(chapter)))
            .map(|chapter| (chapter, title(&chapter.text)))
            .collect();
        let up = up(INDEX);
        let linked = |page: &str| {
            let title = pages.iter().find(|(chapter, _)| path(chapter) == page);
            let title = title.map_or("", |(_, title)| title);
            let same = pages.iter().filter(|(_, other)| other == title).count();
            let part = page
                .split('/')
                .next()
                .and_then(|folder| folder.strip_prefix("part"));
            let part = part.filter(|_| same > 1);
            let part = part.map_or(String::new(), |part| format!(" (Part {part})"));
            format!("[{title}{part}]({up}{page})")
        };
        let naming = |pattern: &str| -> Vec<String> {
            let pattern = Regex::new(pattern).unwrap_or_else(|_| regex(r"[^\s\S]"));
            let naming = pages
                .iter()
                .filter(|(chapter, _)| pattern.is_match(&chapter.text));
            naming.map(|(chapter, _)| linked(&path(chapter))).collect()
        };
        let mut text = "## Programs\n\n".to_string();
        for (name, page) in &self.programs {
            text.push_str(&format!("- `{name}`: {}\n", linked(page)));
        }
        text.push_str("\n## System calls\n\nThe name leads to the manual, on man7.org.\n\n");
        let calls = CALLS.into_iter().chain(SHARED.map(|name| (name, 2)));
        let calls: BTreeMap<&str, u8> = calls.collect();
        for (name, section) in calls {
            let naming = naming(&format!(r"`{name}(\(\d\))?`|\b{name}\(\d\)"));
            if !naming.is_empty() {
                let manual = manual(name, section);
                text.push_str(&format!("- [`{name}`]({manual}): {}\n", naming.join(" · ")));
            }
        }
        text.push_str("\n## Errors and signals\n\n");
        let all = regex(r"\b(?:E[A-Z]{3,}|SIG[A-Z][A-Z0-9]{2,})\b");
        let names = pages
            .iter()
            .flat_map(|(chapter, _)| all.find_iter(&chapter.text));
        let names: BTreeSet<&str> = names.map(|name| name.as_str()).collect();
        for name in names.into_iter().filter(|name| *name != "ESTAB") {
            let naming = naming(&format!(r"\b{name}\b"));
            text.push_str(&format!("- `{name}`: {}\n", naming.join(" · ")));
        }
        text.push_str("\n## RFCs\n\nThe number leads to the text, on rfc-editor.org.\n\n");
        let mut standards: BTreeMap<(u32, Vec<u32>), (String, BTreeSet<usize>)> = BTreeMap::new();
        for (at, (chapter, _)) in pages.iter().enumerate() {
            for captures in STANDARD.captures_iter(&chapter.text) {
                let number = |text: &str| text.parse().unwrap_or(0);
                let section = captures.get(2).map_or("", |section| section.as_str());
                let sections = section.split('.').filter(|part| !part.is_empty());
                let key = (number(&captures[1]), sections.map(number).collect());
                let name = match section {
                    "" => format!("RFC {}", &captures[1]),
                    section => format!("RFC {}, section {section}", &captures[1]),
                };
                let link = format!("[{name}]({})", address(&captures));
                standards
                    .entry(key)
                    .or_insert((link, BTreeSet::new()))
                    .1
                    .insert(at);
            }
        }
        for (link, at) in standards.values() {
            let naming: Vec<String> = at.iter().map(|at| linked(&path(pages[*at].0))).collect();
            text.push_str(&format!("- {link}: {}\n", naming.join(" · ")));
        }
        text
    }
}

/// Stands for the way from the page up to the folder of the chapters, until it is known.
const UP: &str = "\u{e000}up\u{e000}";

/// The glossary, as pages link to it from HTML.
const GLOSSARY_PAGE: &str = "appendix/glossary.html";

fn up(page: &str) -> String {
    "../".repeat(page.matches('/').count())
}

/// Where a chapter stands, from the folder of the chapters.
fn path(chapter: &Chapter) -> String {
    let path = chapter.file.strip_prefix(crate::course::CHAPTERS);
    path.unwrap_or(&chapter.file)
        .to_string_lossy()
        .replace('\\', "/")
}

/// What a chapter is called.
fn title(text: &str) -> String {
    let title = text.lines().find_map(|line| line.strip_prefix("# "));
    title.unwrap_or_default().to_string()
}

fn manual(name: &str, section: u8) -> String {
    format!("https://man7.org/linux/man-pages/man{section}/{name}.{section}.html")
}

/// Where an RFC stands, or its section.
fn address(captures: &Captures<'_>) -> String {
    let section = captures
        .get(2)
        .map(|section| format!("#section-{}", section.as_str()));
    let section = section.unwrap_or_default();
    format!(
        "https://www.rfc-editor.org/rfc/rfc{}{section}",
        &captures[1]
    )
}

/// The empty cells in the heads of tables, with a word for those who hear the page.
fn nameless(text: &str) -> Vec<(Range<usize>, String)> {
    let mut nameless = Vec::new();
    for row in HEAD.find_iter(text) {
        let line = row.start()..row.start() + row.as_str().find('\n').unwrap_or(0);
        let mut start = None;
        for (at, sign) in text[line.clone()].match_indices('|') {
            let at = line.start + at;
            if let Some(start) = start.filter(|start| text[*start..at].trim().is_empty()) {
                nameless.push((start..at, format!(" {NAME} ")));
            }
            start = Some(at + sign.len());
        }
    }
    nameless
}

/// Names a column that has no name to be seen.
const NAME: &str = "<span class=\"for-ears\">name</span>";

/// The terms of the glossary by their names, in lower case unless they have capitals
/// besides the first.
fn terms(glossary: &str) -> BTreeMap<String, Term> {
    let mut terms: BTreeMap<String, Term> = BTreeMap::new();
    for paragraph in glossary.split("\n\n") {
        let Some(entry) = ENTRY.captures(paragraph) else {
            continue;
        };
        let meaning = paragraph[entry[0].len()..].replace(['*', '`'], "");
        let meaning = meaning.split_whitespace().collect::<Vec<_>>().join(" ");
        let id = id(&entry[1]);
        for name in entry[1].replace('`', "").split(", ") {
            let shouts = name.chars().skip(1).any(|c| c.is_uppercase());
            let name = if shouts {
                name.to_string()
            } else {
                name.to_lowercase()
            };
            let (id, meaning) = (id.clone(), meaning.clone());
            terms.insert(name, Term { id, meaning });
        }
    }
    // "See *file descriptor*." means what that means.
    let other = |term: &Term| {
        let name = term.meaning.strip_prefix("See ")?.strip_suffix('.')?;
        terms.get(name).cloned()
    };
    let all = terms.iter();
    all.map(|(name, term)| (name.clone(), other(term).unwrap_or(term.clone())))
        .collect()
}

/// The place of a term, by its first name.
fn id(names: &str) -> String {
    let name = names.split(", ").next().unwrap_or(names).to_lowercase();
    name.replace('`', "")
        .replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// The glossary, with a place for each term.
fn anchored(glossary: &str) -> String {
    let anchored = ENTRY.replace_all(glossary, |entry: &Captures<'_>| {
        format!("<dfn id=\"{}\">{}.</dfn>", id(&entry[1]), &entry[1])
    });
    anchored.into_owned()
}

/// The stretches of running text: neither headings, nor code blocks, tables, HTML or lines
/// that are a directive.
fn paragraphs(chapter: &Chapter) -> Result<Vec<Range<usize>>, Problem> {
    let mut in_fence = BTreeSet::new();
    for fence in fences(chapter)? {
        in_fence.extend(fence.line..=fence.line + fence.lines.len() + 1);
    }
    let mut paragraphs: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    let mut in_html = false;
    let mut goes_on = false;
    for (line, number) in chapter.text.split_inclusive('\n').zip(1..) {
        let words = line.trim();
        // A block of HTML goes on to the next blank line.
        in_html = (in_html && !words.is_empty()) || words.starts_with('<');
        let is_text = !words.is_empty()
            && !in_html
            && !in_fence.contains(&number)
            && !words.starts_with(['#', '|'])
            && !words.starts_with("{{");
        let range = at..at + line.len();
        at = range.end;
        match paragraphs.last_mut() {
            Some(last) if is_text && goes_on => last.end = range.end,
            _ if is_text => paragraphs.push(range),
            _ => {}
        }
        goes_on = is_text;
    }
    Ok(paragraphs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn chapter(file: &str, text: &str) -> Chapter {
        Chapter {
            file: PathBuf::from("book").join(file),
            text: text.to_string(),
        }
    }

    const TERMS: &str = "# Glossary\n\n**Backlog.** A *queue* of \"many\".\n\n**Body.** Bytes.\n\n\
                         **Descriptor.** See *file descriptor*.\n\n\
                         **Close-on-exec, `CLOEXEC`.** A mark.\n\n**File descriptor.** A\nnumber.\n";

    /// A page of this text, marked, with a glossary and the chapter of `webserver1`.
    fn marked(text: &str) -> String {
        let page = chapter("part2/a.md", text);
        let lookup = Lookup::new(&[
            chapter("appendix/glossary.md", TERMS),
            chapter("part1/one.md", "# One\n\n{{#program webserver1}}\n"),
            page.clone(),
        ]);
        lookup.mark_made(&page, &lookup.mark(&page).unwrap())
    }

    fn term(id: &str, meaning: &str, word: &str) -> String {
        let href = format!("../appendix/glossary.html#{id}");
        format!("<a class=\"term\" href=\"{href}\" aria-description=\"{meaning}\">{word}</a>")
    }

    #[test]
    fn the_first_use_of_a_term_leads_to_the_glossary() {
        let backlog = |word| term("backlog", "A queue of &quot;many&quot;.", word);
        for (text, expected) in [
            (
                "The backlog, a backlog.\n",
                format!("The {}, a backlog.\n", backlog("backlog")),
            ),
            (
                "*Backlogs* are\n",
                format!("{} are\n", backlog("*Backlogs*")),
            ),
            (
                "a file\ndescriptor\n",
                format!(
                    "a {}\n",
                    term("file-descriptor", "A number.", "file\ndescriptor")
                ),
            ),
            (
                "a descriptor\n",
                format!("a {}\n", term("file-descriptor", "A number.", "descriptor")),
            ),
            (
                "no body, one *body*\n",
                format!("no body, one {}\n", term("body", "Bytes.", "*body*")),
            ),
            (
                "by CLOEXEC\n",
                format!("by {}\n", term("close-on-exec", "A mark.", "CLOEXEC")),
            ),
        ] {
            assert_eq!(marked(text), expected);
        }
    }

    #[test]
    fn what_is_no_running_text_stays_as_it_is() {
        for text in [
            "# The backlog\n",
            "`backlog`, [the backlog](x.md), <b title=\"backlog\">x</b>\n",
            "```text\nbacklog\n```\n",
            "<figure>\nbacklog\n</figure>\n",
            "| backlog |\n",
            "backlog-like, nobacklog, cloexec\n",
        ] {
            assert_eq!(marked(text), text);
        }
    }

    #[test]
    fn programs_calls_and_standards_are_linked_once() {
        assert_eq!(
            marked("`webserver1`, `webserver1`; `fork`; `read`, `close(4)`; read(2)\n"),
            "[`webserver1`](../part1/one.md), `webserver1`; \
             [`fork`](https://man7.org/linux/man-pages/man2/fork.2.html); `read`, `close(4)`; \
             [read(2)](https://man7.org/linux/man-pages/man2/read.2.html)\n"
        );
        assert_eq!(
            marked("RFC 9112, section 9.6, and RFC\n9110.\n"),
            "[RFC 9112, section 9.6](https://www.rfc-editor.org/rfc/rfc9112#section-9.6), and \
             [RFC\n9110](https://www.rfc-editor.org/rfc/rfc9110).\n"
        );
        let lookup = Lookup::new(&[chapter("part1/one.md", "{{#program webserver1}}\n")]);
        let made = lookup.mark_made(&chapter("debts.md", ""), "*Repaid by `webserver1`.*");
        let link = "<a href=\"part1/one.html\"><code>webserver1</code></a>";
        assert_eq!(made, format!("*Repaid by {link}.*"));
    }

    #[test]
    fn a_column_without_a_name_has_one_for_the_ear() {
        let table = "| | a |\n| --- | --- |\n| | 1 |\n";
        assert_eq!(
            marked(table),
            format!("| {NAME} | a |\n| --- | --- |\n| | 1 |\n")
        );
    }

    #[test]
    fn the_index_names_pages() {
        let pages = [
            chapter(
                "part1/one.md",
                "# One\n\n{{#program webserver1}}\n\n`fork` fails with `EMFILE`.\n",
            ),
            chapter("part2/two.md", "# Two\n\nRFC 9112, section 3\n"),
        ];
        let index = Lookup::new(&pages).index(&pages);
        for line in [
            "- `webserver1`: [One](../part1/one.md)\n",
            "/fork.2.html): [One](../part1/one.md)\n",
            "- `EMFILE`: [One](../part1/one.md)\n",
            "- [RFC 9112, section 3](https://www.rfc-editor.org/rfc/rfc9112#section-3): [Two](../part2/two.md)\n",
        ] {
            assert!(index.contains(line), "{index}");
        }
    }

    #[test]
    fn the_glossary_has_places() {
        let lookup = Lookup::new(&[]);
        let glossary = chapter("appendix/glossary.md", TERMS);
        let marked = lookup.mark(&glossary).unwrap();
        let place = "<dfn id=\"close-on-exec\">Close-on-exec, `CLOEXEC`.</dfn> A mark.";
        assert!(marked.contains(place), "{marked}");
    }
}
