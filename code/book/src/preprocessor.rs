//! The part of the page that is made and not written, as an ordinary mdBook
//! preprocessor.
//!
//! | directive            | becomes                                             |
//! | -------------------- | --------------------------------------------------- |
//! | `{{#program NAME}}`  | the facts box, with the whole listing folded away   |
//! | `{{#library NAME}}`  | the facts box of a library                          |
//! | `{{#step B}}`        | a stage, to be typed into an empty file             |
//! | `{{#step A B}}`      | what to type to get from one program to the next    |
//! | `{{#diff A B}}`      | what tells two programs apart                       |
//! | `{{#debts NAME}}`    | what a program still owes                           |
//! | `{{#ledger}}`        | all debts                                           |
//! | `{{#test MODULE::NAME}}` | the name of a test, which must exist            |
//! | `{{#index}}`         | where programs, system calls, errors and RFCs are named |
//! | `{{#prove}}`         | the command that runs the tests that the page names |
//! | `{{#prove MODULE::NAME …}}` | the command that runs these                  |
//!
//! Besides, each snippet that is included from a program gets a caption with
//! its file and function, each `console` block is set as a transcript, and what can be
//! looked up becomes a link: see [`crate::lookup`].
//! Includes stay for mdBook, but are checked first: see [`crate::includes`].

use crate::course::{Chapter, Course, Debt, Library, Program};
use crate::includes::{directives, expand, unused_anchors, Directive, Include};
use crate::lookup::Lookup;
use crate::step;
use crate::transcript::{blocks, fences, labels, Fence, PYTHON};
use crate::Problem;
use mdbook_preprocessor::book::{Book, BookItem};
use mdbook_preprocessor::errors::Result as MdbookResult;
use mdbook_preprocessor::PreprocessorContext;
use std::path::Path;

/// The preprocessor, under the name that `book.toml` gives it.
pub struct Preprocessor;

impl Preprocessor {
    /// The name in `book.toml`.
    pub const NAME: &'static str = "course";
}

impl mdbook_preprocessor::Preprocessor for Preprocessor {
    fn name(&self) -> &str {
        Preprocessor::NAME
    }

    fn run(&self, context: &PreprocessorContext, mut book: Book) -> MdbookResult<Book> {
        let course = Course::load(&context.root)?;
        let mut includes = Vec::new();
        let mut first_problem = None;
        let mut pages = Vec::new();
        book.for_each_mut(|item| {
            if let BookItem::Chapter(chapter) = item {
                if let Some(path) = &chapter.source_path {
                    pages.push(Chapter {
                        file: Path::new(&context.config.book.src).join(path),
                        text: std::mem::take(&mut chapter.content),
                    });
                }
            }
        });
        let lookup = Lookup::new(&pages);
        let index = lookup.index(&pages);
        // In the same order as they were taken.
        let mut pages = pages.into_iter();
        book.for_each_mut(|item| {
            let BookItem::Chapter(chapter) = item else {
                return;
            };
            if chapter.source_path.is_none() {
                return;
            }
            let Some(mut page) = pages.next() else {
                return;
            };
            let rendered = lookup.mark(&page).and_then(|text| {
                page.text = text;
                render(&course, &page)
            });
            match rendered {
                Ok((text, included)) => {
                    let text = lookup.mark_made(&page, &text);
                    chapter.content = text.replace("{{#index}}", &index);
                    includes.extend(included);
                }
                Err(problem) => {
                    first_problem.get_or_insert(problem);
                }
            }
        });
        if let Some(problem) = first_problem {
            return Err(problem.into());
        }
        match unused_anchors(&course.root, &course.files(), &includes)
            .into_iter()
            .next()
        {
            Some(problem) => Err(problem.into()),
            None => Ok(book),
        }
    }
}

/// The Markdown that mdBook goes on with, and what it will include.
///
/// # Errors
///
/// The first mistake of the chapter.
pub fn render(course: &Course, chapter: &Chapter) -> Result<(String, Vec<Include>), Problem> {
    let includes = expand(&course.root, chapter)?.includes;
    let mut fences = fences(chapter)?.into_iter().peekable();
    let blocks = blocks(chapter)?;
    let mut labelled = blocks.iter().zip(labels(course, &blocks));
    let mut lines = chapter.text.lines().zip(1..);
    let mut rendered = String::new();
    while let Some((line, number)) = lines.next() {
        if let Some(fence) = fences.next_if(|fence| fence.line == number) {
            if fence.language() == "console" {
                if let Some((block, label)) = labelled.next() {
                    block.check(course, chapter)?;
                    rendered.push_str(&block.html(label));
                    rendered.push('\n');
                }
            } else {
                rendered.push_str(&caption(course, &fence, &includes));
                rendered.push_str(line);
                rendered.push('\n');
                for line in &fence.lines {
                    rendered.push_str(line);
                    rendered.push('\n');
                }
                rendered.push_str(&"`".repeat(line.len() - line.trim_start_matches('`').len()));
                rendered.push('\n');
            }
            // The lines of the block and its closing fence are done.
            lines.nth(fence.lines.len());
        } else {
            rendered.push_str(&replace(course, chapter, line, number)?);
            rendered.push('\n');
        }
    }
    Ok((rendered, includes))
}

/// The file and the function that a snippet is taken from.
fn caption(course: &Course, fence: &Fence<'_>, includes: &[Include]) -> String {
    let end = fence.line + fence.lines.len();
    let Some(include) = includes
        .iter()
        .find(|include| fence.line < include.line && include.line <= end)
        .filter(|include| include.anchor.is_some())
    else {
        return String::new();
    };
    let file = include.file.display();
    match function(course, include) {
        Some(name) => {
            format!("<p class=\"caption\"><code>{file}</code>, <code>{name}</code></p>\n\n")
        }
        None => format!("<p class=\"caption\"><code>{file}</code></p>\n\n"),
    }
}

/// The function that a snippet shows, or stands in.
fn function(course: &Course, include: &Include) -> Option<String> {
    let text = std::fs::read_to_string(course.root.join(&include.file)).ok()?;
    let lines: Vec<&str> = text.lines().collect();
    let (first, last) = (*include.shown.first()?, *include.shown.last()?);
    let name = |line: &&str| {
        let (_, rest) = line.split_once("fn ")?;
        let end = rest.find(['(', '<'])?;
        let defines = !line.trim_start().starts_with("//");
        (defines && !line.contains('"')).then(|| rest[..end].to_string())
    };
    let shown = lines.get(first - 1..last)?;
    if let Some(name) = shown.iter().find_map(name) {
        return Some(name);
    }
    // A snippet without a function of its own stands in the one above it,
    // unless that has ended.
    let above = lines.get(..first - 1)?;
    let (at, name) = above
        .iter()
        .enumerate()
        .rev()
        .find_map(|(at, line)| Some((at, name(line)?)))?;
    let ended = above[at..].contains(&"}");
    (!ended).then_some(name)
}

/// The line with its directives replaced, except for mdBook's own.
fn replace(
    course: &Course,
    chapter: &Chapter,
    line: &str,
    number: usize,
) -> Result<String, Problem> {
    let mut replaced = String::new();
    let mut end = 0;
    for directive in directives(line) {
        let made = make(course, chapter, &directive)
            .map_err(|what| Problem::new(&chapter.file, number, what))?
            .unwrap_or_else(|| line[directive.range.clone()].to_string());
        replaced.push_str(&line[end..directive.range.start]);
        replaced.push_str(&made);
        end = directive.range.end;
    }
    replaced.push_str(&line[end..]);
    Ok(replaced)
}

fn make(
    course: &Course,
    chapter: &Chapter,
    directive: &Directive<'_>,
) -> Result<Option<String>, String> {
    let program = |name: &str| {
        course
            .program(name)
            .ok_or_else(|| format!("there is no program `{name}` in {}", crate::course::TABLE))
    };
    Ok(Some(match (directive.name, &directive.arguments[..]) {
        ("program", [name]) => facts(course, program(name)?),
        ("library", [name]) => {
            let library = course.library(name);
            let unknown = || format!("there is no library `{name}` in {}", crate::course::TABLE);
            library_facts(library.ok_or_else(unknown)?)
        }
        ("step", [after]) => to_type(course, None, program(after)?)?,
        ("step", [before, after]) => to_type(course, Some(program(before)?), program(after)?)?,
        ("diff", [before, after]) => diff(course, program(before)?, program(after)?),
        ("debts", [name]) => debts(course, program(name)?)?,
        ("ledger", []) => ledger(course),
        ("test", [name]) => {
            let (name, file) = test(&course.root, name)?;
            format!("`{name}` in `{file}`")
        }
        ("index", []) => return Ok(None), // of all pages, so it is put in at the end
        ("prove", []) => prove(&course.root, chapter, &tests_of(chapter))?,
        ("prove", names) => prove(&course.root, chapter, names)?,
        (name, arguments) if crate::includes::OURS.contains(&name) => {
            let what = "takes other arguments than";
            return Err(format!(
                "`{{{{#{name}}}}}` {what} `{}`",
                arguments.join(" ")
            ));
        }
        _ => return Ok(None),
    }))
}

/// The facts box.
fn facts(course: &Course, program: &Program) -> String {
    let Program { name, file, .. } = program;
    let mut facts = vec![(
        "Program",
        format!(
            "<code>{}</code>, {}",
            file.display(),
            count(program.lines.len(), "line")
        ),
    )];
    if let Some(before) = program
        .before
        .as_ref()
        .and_then(|name| course.program(name))
    {
        let step = course.step(Some(before), program, 1);
        let since = format!(
            "<code>{}</code>, with {} added and {} gone",
            before.name,
            count(step.added.len(), "line"),
            step.removed
        );
        facts.push(("A step from", since));
    }
    let arguments = program.arguments.as_ref();
    let arguments = arguments.map_or(String::new(), |arguments| format!(" -- {arguments}"));
    let run = format!("<code>cargo run --bin {name}{arguments}</code>");
    facts.push(("Run it", run));
    let needs = match program.dependencies.is_empty() {
        true => "nothing but the standard library",
        false => "these lines in its <code>Cargo.toml</code>",
    };
    let folders: Vec<String> = program
        .folders(course)
        .iter()
        .map(|folder| format!("<code>{}</code>", folder.display()))
        .collect();
    let beside = match folders.is_empty() {
        true => String::new(),
        false => format!(", and put {} beside that package", folders.join(" and ")),
    };
    let copy = format!(
        "put the listing into <code>src/main.rs</code> of an empty package{beside}; it needs {needs}"
    );
    facts.push(("Copy it", copy));

    let label = format!("aria-label=\"About {name}\" data-program=\"{name}\"");
    let mut html = facts_box(&label, &facts);
    if !program.dependencies.is_empty() {
        let lines = program.dependencies.join("\n");
        html.push_str(&format!("\n```toml\n[dependencies]\n{lines}\n```\n\n"));
    }
    html.push_str("<details><summary>The whole program</summary>\n\n");
    html.push_str(&format!("```rust,no_run\n{}```\n\n", program.source()));
    html.push_str("</details>\n</section>\n");
    html
}

/// The facts box of a library: without its listing, which is several files.
fn library_facts(library: &Library) -> String {
    let Library { name, folder, .. } = library;
    let lines = library.files.iter().map(|source| {
        let lines = source.lines.iter();
        lines.filter(|(_, line)| !line.trim().is_empty()).count()
    });
    let lines = count(lines.sum(), "line");
    let files = count(library.files.len(), "file");
    let folder = folder.display();
    let library_and = format!(
        "<code>{folder}</code>, {lines} of code in {files}; its documentation: \
         <code>cargo doc --open -p {name}</code>"
    );
    let facts = [
        ("Library", library_and),
        ("Try it", format!("<code>cargo test -p {name}</code>")),
    ];
    let mut html = facts_box(&format!("aria-label=\"About {name}\""), &facts);
    html.push_str("</section>\n");
    html
}

/// The beginning of a box: its facts, each with its term.
fn facts_box(attributes: &str, facts: &[(&str, String)]) -> String {
    let mut html = format!("<section class=\"program\" {attributes}>\n<dl>\n");
    for (term, fact) in facts {
        html.push_str(&format!("<dt>{term}</dt><dd>{fact}</dd>\n"));
    }
    html.push_str("</dl>\n");
    html
}

/// What to type, and the whole program folded away under it.
fn to_type(course: &Course, before: Option<&Program>, after: &Program) -> Result<String, String> {
    let name = &after.name;
    let step = course.step(before, after, 1);
    if step.hunks.is_empty() {
        return Err(format!("there is nothing to type to get to `{name}`"));
    }
    let before = before.map_or("", |before| &before.name);
    let mut html = format!(
        "<section class=\"step\" aria-label=\"To type: {name}\" data-before=\"{before}\" \
         data-after=\"{name}\">\n\n{}",
        step::html(&step.hunks)
    );
    // What goes into an empty file is whole.
    if !before.is_empty() {
        html.push_str(&format!(
            "<details><summary>Stuck? Compare with <code>{}</code></summary>\n\n\
             ```rust,no_run\n{}```\n\n</details>\n",
            after.file.display(),
            after.typed()
        ));
    }
    html.push_str("</section>\n");
    Ok(html)
}

/// What tells `before` from `after`, with a caption.
fn diff(course: &Course, before: &Program, after: &Program) -> String {
    format!(
        "<section class=\"diff\" aria-label=\"From {} to {}\">\n\n\
         <p class=\"caption\"><code>{}</code> → <code>{}</code></p>\n\n{}</section>\n",
        before.name,
        after.name,
        before.file.display(),
        after.file.display(),
        step::html(&course.step(Some(before), after, 3).hunks)
    )
}

/// The box at the end of a chapter.
fn debts(course: &Course, program: &Program) -> Result<String, String> {
    let name = &program.name;
    let owed: Vec<&Debt> = course.debts.iter().filter(|d| d.owes == *name).collect();
    if owed.is_empty() {
        return Err(format!("`{name}` owes nothing"));
    }
    let mut text = format!(
        "<section class=\"debts\" aria-label=\"What {name} owes\">\n\n**What `{name}` still owes**\n\n"
    );
    for debt in owed {
        text.push_str(&format!("- {} *{}.*\n", debt.what, repaid(course, debt)));
    }
    text.push_str("\n</section>\n");
    Ok(text)
}

/// All debts: a heading for each program, in the order of the table, and under each
/// sentence the test that shows it.
fn ledger(course: &Course) -> String {
    let mut programs: Vec<&str> = Vec::new();
    for debt in &course.debts {
        if !programs.contains(&debt.owes.as_str()) {
            programs.push(&debt.owes);
        }
    }
    let mut text = String::new();
    for program in programs {
        text.push_str(&format!("## `{program}`\n\n"));
        for debt in course.debts.iter().filter(|debt| debt.owes == program) {
            let repaid = repaid(course, debt);
            let Debt { what, test, .. } = debt;
            text.push_str(&format!("- {what} *{repaid}.*<br>\n  Test: `{test}`\n\n"));
        }
    }
    text
}

fn repaid(course: &Course, debt: &Debt) -> String {
    match course.program(&debt.repays) {
        Some(program) => format!("Repaid by `{}`", program.name),
        None => format!("Part {} repays it", debt.part),
    }
}

/// The tests that a page names, but for those of its exercises.
fn tests_of(chapter: &Chapter) -> Vec<&str> {
    let named = directives(&chapter.text).into_iter();
    let named = named.filter(|directive| directive.name == "test");
    let mut tests = Vec::new();
    for test in named.flat_map(|directive| directive.arguments) {
        if !test.starts_with("exercises::") && !tests.contains(&test) {
            tests.push(test);
        }
    }
    tests
}

/// The command that runs what the page shows, that is its transcripts and its snippets, and
/// these tests; set as a transcript is.
fn prove(root: &Path, chapter: &Chapter, tests: &[&str]) -> Result<String, String> {
    let has = |what| chapter.text.contains(what);
    let shows = has("\n```console") || has("\n```rust");
    if !shows && tests.is_empty() {
        return Err("the page names no test that `{{#prove}}` could run".to_string());
    }
    let python = PYTHON.iter().any(|what| has(what));
    let python = python || tests.iter().any(|test| test.starts_with("python::"));
    let features = if python {
        " --features tests/python"
    } else {
        ""
    };
    let suite = format!("cargo test --test suite{features} --");
    let page = chapter.name_of_tests();
    // What each command runs.
    let mut commands: Vec<(String, Vec<&str>)> = Vec::new();
    if shows {
        commands.push((suite.clone(), vec![&page]));
    }
    for test in tests {
        let (name, file) = self::test(root, test)?;
        let library = file.strip_prefix("code/");
        let library = library.and_then(|file| file.split('/').next());
        let run = match library {
            Some(library) => format!("cargo test -p {library} --"),
            None => suite.clone(),
        };
        match commands.iter_mut().find(|(command, _)| *command == run) {
            Some((_, names)) => names.push(name),
            None => commands.push((run, vec![name])),
        }
    }
    let commands = commands.iter();
    let commands = commands.map(|(command, names)| format!("{command} {}", names.join(" ")));
    let command = commands.collect::<Vec<_>>().join(" &amp;&amp; ");
    Ok(format!(
        "<pre class=\"transcript prove\"><code class=\"nohighlight hljs\">\
         <span class=\"command\">{command}</span>\n</code></pre>\n"
    ))
}

/// The name of a test and its file, from `MODULE::NAME`, after a look at whether it is
/// there: in the file of the suite's module, or in one of the files of its folder. A test
/// of a library is `LIBRARY::FILE::NAME`.
fn test<'a>(root: &Path, path: &'a str) -> Result<(&'a str, String), String> {
    let (module, name) = path
        .rsplit_once("::")
        .ok_or_else(|| format!("`{path}` is not of the form `MODULE::NAME`"))?;
    let module = match module.split_once("::") {
        Some((library, file)) => format!("code/{library}/tests/{file}"),
        None => format!("tests/suite/{module}"),
    };
    let mut files = vec![format!("{module}.rs")];
    if let Ok(entries) = std::fs::read_dir(root.join(&module)) {
        let names = entries.flatten().map(|entry| entry.file_name());
        files.extend(names.map(|name| format!("{module}/{}", name.to_string_lossy())));
    }
    for file in &files {
        let text = std::fs::read_to_string(root.join(file))
            .map_err(|error| format!("cannot read {file}: {error}"))?;
        let is_test = text
            .split("#[test]")
            .skip(1)
            .any(|after| after.trim_start().starts_with(&format!("fn {name}(")));
        if is_test {
            return Ok((name, file.clone()));
        }
    }
    Err(format!("there is no test `{name}` in {}", files.join(", ")))
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::sync::LazyLock;

    /// The course of this repository, loaded once.
    static COURSE: LazyLock<Course> = LazyLock::new(|| Course::load(&crate::root()).unwrap());

    fn page(text: &str) -> Result<String, String> {
        let chapter = Chapter {
            file: PathBuf::from("book/part1/page.md"),
            text: text.to_string(),
        };
        match render(&COURSE, &chapter) {
            Ok((text, _)) => Ok(text),
            Err(problem) => Err(problem.to_string()),
        }
    }

    #[test]
    fn text_without_directives_stays_as_it_is() {
        let text = "# Title\n\n```rust,no_run\nfn main() {}\n```\n\n\\{{#include x}} stays\n";
        assert_eq!(page(text).unwrap(), text);
    }

    #[test]
    fn a_snippet_is_captioned_with_its_file_and_function() {
        let include = |anchor| {
            format!("```rust,no_run\n{{{{#rustdoc_include ../../code/part2/webserver2.rs:{anchor}}}}}\n```\n")
        };
        for (anchor, function) in [
            ("head", ""),
            ("main", ", <code>main</code>"),
            ("serve_forever", ", <code>serve_forever</code>"),
        ] {
            let expected = format!(
                "<p class=\"caption\"><code>code/part2/webserver2.rs</code>{function}</p>\n\n{}",
                include(anchor)
            );
            assert_eq!(page(&include(anchor)).unwrap(), expected);
        }
    }

    #[test]
    fn the_facts_box_lists_the_program_without_anchors() {
        let page = page("{{#program whole_request}}").unwrap();
        assert!(page.contains("<code>cargo run --bin whole_request</code>"));
        assert!(page.contains("<code>webserver1</code>, with "));
        assert!(page.contains("fn is_whole("));
        assert!(!page.contains("ANCHOR"));
    }

    #[test]
    fn a_diff_is_captioned_with_both_files() {
        let page = page("{{#diff webserver1 large_answer}}").unwrap();
        assert!(page.contains("webserver1.rs</code> → <code>code/part1/large_answer.rs"));
        assert!(page.contains("<ins>const BODY"), "{page}");
        assert!(page.contains("<del><span>const RESPONSE"), "{page}");
        assert!(!page.contains("//!"), "{page}");
    }

    #[test]
    fn one_command_runs_the_tests_of_a_page() {
        let named = "{{#test debts::one_client_at_a_time}}, {{#test exercises::echo_path}} and \
                     {{#test debts::one_client_at_a_time}}.\n\n{{#prove}}\n";
        let command = ">cargo test --test suite -- one_client_at_a_time</span>";
        assert!(page(named).unwrap().contains(command));
        let shows =
            page("\n```console\n$ true\n```\n\n{{#prove debts::a_large_answer_is_cut_short}}");
        let command = ">cargo test --test suite -- part1_page a_large_answer_is_cut_short</span>";
        assert!(shows.unwrap().contains(command));
        let page = page("{{#prove debts::descriptors_run_out python::the_environ}}").unwrap();
        let command = ">cargo test --test suite --features tests/python -- \
                       descriptors_run_out the_environ</span>";
        assert!(page.contains(command), "{page}");
    }

    #[test]
    fn a_stage_is_started_by_cargo_run_and_nothing_else() {
        let block = |name, command| format!("```console,stage={name}\n$ {command}\n```\n");
        assert!(page(&block("webserver1", "cargo run -- 127.0.0.1:8080")).is_ok());
        let error = page(&block("webserver1", "curl http://127.0.0.1:8888/")).unwrap_err();
        assert!(error.starts_with("book/part1/page.md:2: a block of a stage runs it by "));
        let error = page(&block("webserver9", "cargo run")).unwrap_err();
        let expected = "there is no program `webserver9` in code/book/course.toml";
        assert_eq!(error, format!("book/part1/page.md:1: {expected}"));
    }

    #[test]
    fn a_page_with_several_terminals_says_which_is_which() {
        let server = "```console\n$ cargo run --bin webserver1\n```\n";
        let client = "\n```console\n$ curl http://127.0.0.1:8888/\n```\n";
        let third = "\n```console,terminal=third\n$ ss -tn\n```\n\n```console\n^C\n```\n";
        assert!(!page(server).unwrap().contains("terminal"));
        let page = page(&format!("{server}{client}{third}")).unwrap();
        let labels = page.split("<p class=\"caption terminal\">").skip(1);
        let labels: Vec<&str> = labels.filter_map(|rest| rest.split('<').next()).collect();
        assert_eq!(labels, ["server", "client", "third", "server"]);
    }

    #[test]
    fn the_ledger_has_every_debt_under_its_program() {
        let page = page("{{#ledger}}").unwrap();
        let (_, of_webserver1) = page.split_once("## `webserver1`\n").unwrap();
        let (of_webserver1, _) = of_webserver1.split_once("\n## ").unwrap();
        let debt = "*Repaid by `webserver3c`.*<br>\n  Test: `one_client_at_a_time`\n";
        assert!(of_webserver1.contains(debt), "{of_webserver1}");
        assert_eq!(page.matches("\n  Test: `").count(), COURSE.debts.len());
    }

    #[test]
    fn mistakes_name_chapter_and_line() {
        for (directive, message) in [
            (
                "program webserver9",
                "there is no program `webserver9` in code/book/course.toml",
            ),
            (
                "diff webserver1",
                "`{{#diff}}` takes other arguments than `webserver1`",
            ),
            ("debts echo_path", "`echo_path` owes nothing"),
            (
                "step webserver1 webserver1",
                "there is nothing to type to get to `webserver1`",
            ),
            ("step", "`{{#step}}` takes other arguments than ``"),
            (
                "prove",
                "the page names no test that `{{#prove}}` could run",
            ),
            (
                "prove debts::no_such_test",
                "there is no test `no_such_test` in tests/suite/debts.rs",
            ),
            ("test debts", "`debts` is not of the form `MODULE::NAME`"),
            (
                "test debts::no_such_test",
                "there is no test `no_such_test` in tests/suite/debts.rs",
            ),
            (
                "test none::x",
                "cannot read tests/suite/none.rs: No such file or directory (os error 2)",
            ),
        ] {
            let error = page(&format!("text\n{{{{#{directive}}}}}\n")).unwrap_err();
            assert_eq!(error, format!("book/part1/page.md:2: {message}"));
        }
    }
}
