//! The built book: the pages as the reader gets them.

use crate::book_server;
use book::course::Program;
use book::includes::{directives, expand};
use book::transcript::Line;
use mdbook_driver::book::{Book, BookItem, Chapter};
use mdbook_driver::builtin_preprocessors::LinkPreprocessor;
use mdbook_driver::config::Config;
use scraper::{ElementRef, Html, Selector};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use tests::programs::course;
use tests::say;

/// The folder of the pages that `cargo run` serves.
fn folder() -> &'static Path {
    static PAGES: LazyLock<PathBuf> = LazyLock::new(|| {
        book_server::Book::start();
        // The folder and not the link: it stays as it is if they are built once more.
        let pages = fs::canonicalize(book::root().join("target/pages"));
        pages.expect("where the server finds them")
    });
    &PAGES
}

/// Every page by its path from the top of the book.
pub type Pages = BTreeMap<PathBuf, Html>;

/// The pages, parsed once for all tests, each of which has them in its turn.
pub fn pages() -> MutexGuard<'static, Pages> {
    static PARSED: LazyLock<Mutex<Pages>> = LazyLock::new(|| {
        let files = files(folder()).into_iter();
        let pages = files.filter(|file| file.extension().is_some_and(|end| end == "html"));
        let parsed = pages.map(|file| {
            let text = fs::read_to_string(folder().join(&file)).unwrap();
            (file, Html::parse_document(&text))
        });
        Mutex::new(parsed.collect())
    });
    // A test that failed has changed nothing.
    PARSED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every file under `folder`, by its path from there.
pub fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(under) = folders.pop() {
        for entry in fs::read_dir(folder.join(&under)).unwrap() {
            let path = under.join(entry.unwrap().file_name());
            // What Python and Django leave behind where they have run.
            if path.ends_with("__pycache__") || path.ends_with("db.sqlite3") {
                continue;
            }
            match folder.join(&path).is_dir() {
                true => folders.push(path),
                false => drop(files.insert(path)),
            }
        }
    }
    files
}

fn all<'a>(page: &'a Html, css: &str) -> Vec<ElementRef<'a>> {
    page.select(&selector(css)).collect()
}

fn selector(css: &str) -> Selector {
    Selector::parse(css).unwrap_or_else(|error| panic!("{css}: {error}"))
}

/// Our expansion of each chapter is mdBook's, byte for byte.
#[test]
fn includes_are_those_of_mdbook() {
    let root = book::root();
    let course = course();
    let mut seen = 0;
    for chapter in course.chapters().unwrap() {
        let path = chapter.file.strip_prefix("book").unwrap();
        let content = chapter.text.clone();
        let mut theirs = Book::new();
        theirs.push_item(Chapter::new("chapter", content, path, Vec::new()));
        let config = Config::from_disk(root.join("book.toml")).unwrap();
        let context =
            mdbook_preprocessor::PreprocessorContext::new(root.clone(), config, "html".into());
        let theirs =
            mdbook_preprocessor::Preprocessor::run(&LinkPreprocessor::new(), &context, theirs);
        let theirs = theirs.unwrap();
        let Some(BookItem::Chapter(theirs)) = theirs.items.first() else {
            panic!("it has gone")
        };
        let ours = expand(&root, &chapter).unwrap();
        assert_eq!(ours.text, theirs.content, "{}", chapter.file.display());
        seen += ours.includes.len();
    }
    assert!(seen > 0, "no chapter includes anything");
}

/// Every link inside the book, and every image, style and script, leads
/// somewhere; foreign links are listed and not followed.
#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let files = files(folder());
    let ids: BTreeMap<&PathBuf, BTreeSet<&str>> = pages
        .iter()
        .map(|(path, page)| {
            let ids = all(page, "[id]");
            (
                path,
                ids.iter()
                    .filter_map(|element| element.attr("id"))
                    .collect(),
            )
        })
        .collect();
    let mut broken = Vec::new();
    let mut foreign = BTreeSet::new();
    for (path, page) in pages.iter() {
        for element in all(page, "[href], [src]") {
            let links = [element.attr("href"), element.attr("src")];
            for link in links.into_iter().flatten() {
                if link.contains("://") {
                    foreign.insert(link.to_string());
                } else if let Err(error) = follow(path, link, &files, &ids) {
                    broken.push(format!("{}: {link}: {error}", place(path, link)));
                }
            }
        }
        // A redirect is a page that moves on by itself.
        for element in all(page, "meta[http-equiv='refresh']") {
            let content = element.attr("content").unwrap_or_default();
            let target = content.split_once("URL=").map_or("", |(_, target)| target);
            if let Err(error) = follow(path, target.trim_matches(['\'', '"']), &files, &ids) {
                broken.push(format!("{}: moves to {target}: {error}", path.display()));
            }
        }
    }
    for link in foreign {
        say(&format!("a foreign link, not followed: {link}"));
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

/// The chapter that a page was made of, and the line where it has the link.
fn place(page: &Path, link: &str) -> String {
    let chapter = source(page);
    let text = fs::read_to_string(book::root().join(&chapter)).unwrap_or_default();
    let written = link.replace(".html", ".md");
    match text.lines().position(|line| line.contains(&written)) {
        Some(index) => format!("{chapter}:{}", index + 1),
        None => chapter,
    }
}

/// The chapter that a page was made of, to name the place to mend.
fn source(page: &Path) -> String {
    let chapter = Path::new("book").join(page).with_extension("md");
    match book::root().join(&chapter).is_file() {
        true => chapter.display().to_string(),
        false => page.display().to_string(),
    }
}

fn follow(
    from: &Path,
    link: &str,
    files: &BTreeSet<PathBuf>,
    ids: &BTreeMap<&PathBuf, BTreeSet<&str>>,
) -> Result<(), String> {
    if link.starts_with("mailto:") || link.starts_with("javascript:") || link.starts_with("data:") {
        return Err("it is no link inside the book".into());
    }
    let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
    let folder = from.parent().unwrap_or(Path::new(""));
    let target = match file {
        "" => from.to_path_buf(),
        // Only 404.html links from the top: it answers for any path.
        file if file.starts_with('/') => PathBuf::from(&file[1..]),
        file => folder.join(file),
    };
    let mut path = PathBuf::new();
    for component in target.components() {
        match component {
            Component::ParentDir if !path.pop() => return Err("it leads out of the book".into()),
            Component::ParentDir | Component::CurDir => {}
            other => path.push(other),
        }
    }
    if file.ends_with('/') || path.as_os_str().is_empty() {
        path.push("index.html");
    }
    if !files.contains(&path) {
        return Err("there is no such file".into());
    }
    let fragment = fragment.split(':').next().unwrap_or_default();
    let found = ids.get(&path).is_some_and(|ids| ids.contains(fragment));
    match fragment.is_empty() || found {
        true => Ok(()),
        false => Err(format!("there is no `{fragment}` on that page")),
    }
}

/// A link leads to the first of two that have one name, and a browser says nothing.
#[test]
fn no_page_gives_a_name_twice() {
    let mut twice = Vec::new();
    for (path, page) in pages().iter() {
        let mut seen = BTreeSet::new();
        for element in all(page, "[id]") {
            let id = element.attr("id").unwrap_or_default();
            if !seen.insert(id) {
                twice.push(format!("{}: {id}", source(path)));
            }
        }
    }
    assert!(twice.is_empty(), "names given twice:\n{}", twice.join("\n"));
}

/// No page, style or script of the book makes the browser ask another host.
#[test]
fn no_page_asks_a_foreign_host() {
    let mut asks = Vec::new();
    let foreign = |link: &str| {
        let link = link.trim_matches(['\'', '"', ' ']);
        !link.starts_with("data:") && (link.contains("://") || link.starts_with("//"))
    };
    for (path, page) in pages().iter() {
        let css = "script[src], img[src], iframe[src], source[src], audio[src], video[src], \
                   embed[src], object[data], link[href], image[href], use[href], form[action]";
        for element in all(page, css) {
            let links = ["src", "href", "data", "action"].map(|name| element.attr(name));
            for link in links.into_iter().flatten().filter(|link| foreign(link)) {
                asks.push(format!("{}: {link}", source(path)));
            }
        }
        for style in all(page, "style, [style]") {
            let text: String = style.text().chain(style.attr("style")).collect();
            if text.contains("url(") && foreign(&text) {
                asks.push(format!("{}: {text}", source(path)));
            }
        }
    }
    let css = |file: &&PathBuf| file.extension().is_some_and(|extension| extension == "css");
    for file in files(folder()).iter().filter(css) {
        let text = fs::read_to_string(folder().join(file)).unwrap();
        for url in text
            .split("url(")
            .skip(1)
            .chain(text.split("@import").skip(1))
        {
            let url = url.split([')', ';']).next().unwrap_or_default();
            if foreign(url) {
                asks.push(format!("{}: {url}", file.display()));
            }
        }
    }
    let script = fs::read_to_string(book::root().join("book/theme/course.js")).unwrap();
    assert!(
        !script.contains("://"),
        "book/theme/course.js names another host"
    );
    assert!(
        asks.is_empty(),
        "these ask another host:\n{}",
        asks.join("\n")
    );
}

/// Every figure says in words what it shows.
#[test]
fn figures_have_words() {
    let mut figures = 0;
    for (path, page) in pages().iter() {
        if path == Path::new("print.html") {
            continue;
        }
        for svg in all(page, "main figure svg") {
            figures += 1;
            let place = source(path);
            let label = svg.attr("aria-label").unwrap_or_default();
            assert_eq!(
                svg.attr("role"),
                Some("img"),
                "{place}: a figure is not marked as an image"
            );
            assert!(
                label.len() > 20,
                "{place}: a figure has no alternative text"
            );
        }
        for image in all(page, "main img") {
            let place = source(path);
            assert!(
                image.attr("alt").is_some_and(|alt| !alt.is_empty()),
                "{place}: an image has no alt text"
            );
        }
    }
    assert!(figures > 0, "the book has no figures");
}

/// A figure by itself, or as an image, has no page whose colours it could take: each
/// brings a ground and colours of its own, for a dark screen too.
#[test]
fn figures_bring_their_colours() {
    let folder = book::root().join("book/figures");
    let line = |name: &PathBuf| {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        text.lines().nth(1).unwrap_or_default().to_string()
    };
    let figures = files(&folder);
    assert!(figures.len() > 20, "{figures:?}");
    let colours = line(&PathBuf::from("map.svg"));
    for part in [
        "<style>svg:root{",
        "background:",
        "prefers-color-scheme:dark",
        "--links:",
    ] {
        assert!(colours.contains(part), "{colours}");
    }
    for figure in &figures {
        assert_eq!(line(figure), colours, "line 2 of {}", figure.display());
    }
}

/// A step, as a page shows it.
struct Step {
    before: String,
    after: String,
    /// Its places, from the top: each line with what becomes of it.
    places: Vec<Vec<(Becomes, String)>>,
    /// The whole program that is folded away under it, if there is one.
    listing: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Becomes {
    Kept,
    Typed,
    Struck,
}

impl Step {
    fn all(page: &Html) -> Vec<Step> {
        let sections = all(page, "section.step");
        sections.into_iter().map(Step::read).collect()
    }

    fn read(section: ElementRef<'_>) -> Step {
        let text = |element: ElementRef<'_>| element.text().collect::<String>();
        let attribute = |name: &str| section.attr(name).unwrap_or_default().to_string();
        let line = |element: ElementRef<'_>| {
            let becomes = match element.value().name() {
                "ins" => Becomes::Typed,
                "del" => Becomes::Struck,
                _ => Becomes::Kept,
            };
            (becomes, text(element).trim_end_matches('\n').to_string())
        };
        let place = |code: ElementRef<'_>| code.child_elements().map(line).collect();
        let listing = section.select(&selector("details pre code")).next();
        Step {
            before: attribute("data-before"),
            after: attribute("data-after"),
            places: section
                .select(&selector("pre.hunk > code"))
                .map(place)
                .collect(),
            listing: listing.map(text),
        }
    }

    /// Types it, as a reader does who looks for the lines that are there already.
    fn type_into(&self, program: &[String]) -> Result<Vec<String>, String> {
        let mut program = program.to_vec();
        for place in &self.places {
            let lines = |other: Becomes| {
                let lines = place.iter().filter(move |(becomes, _)| *becomes != other);
                lines.map(|(_, line)| line.clone()).collect::<Vec<String>>()
            };
            let (there, then) = (lines(Becomes::Typed), lines(Becomes::Struck));
            let found: Vec<usize> = match there.is_empty() {
                true => (0..1).filter(|_| program.is_empty()).collect(),
                false => {
                    let windows = program.windows(there.len()).enumerate();
                    let found = windows.filter(|(_, window)| *window == there);
                    found.map(|(at, _)| at).collect()
                }
            };
            let [at] = found[..] else {
                let times = found.len();
                return Err(format!(
                    "these lines are there {times} times, not once:\n{}",
                    there.join("\n")
                ));
            };
            program.splice(at..at + there.len(), then);
        }
        Ok(program)
    }
}

/// Who types what the steps of a page say, one after the other, has the stages, and their
/// last: from an empty file, or from a finished program, or from where an earlier page
/// ended, or from a stage that the page has its reader copy.
#[test]
fn steps_lead_to_their_stages() {
    let course = course();
    let texts = pages();
    let steps = |page| (page, Step::all(&texts[page]));
    let pages = texts.keys().filter(|page| *page != Path::new("print.html"));
    let steps: Vec<(&PathBuf, Vec<Step>)> = pages.map(steps).collect();
    let elsewhere: BTreeSet<&str> = steps
        .iter()
        .flat_map(|(_, steps)| steps.iter().map(|step| step.after.as_str()))
        .collect();
    for (page, steps) in &steps {
        let place = source(page);
        let mut typed: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for step in steps {
            let Step { before, after, .. } = step;
            let ours = |program: &Program| -> Vec<String> {
                program.typed().lines().map(str::to_string).collect()
            };
            let start = match (typed.get(before.as_str()), course.program(before)) {
                _ if before.is_empty() => Vec::new(),
                (Some(typed), _) => typed.clone(),
                (None, Some(program)) if !program.is_stage() => ours(program),
                (None, Some(program)) if elsewhere.contains(before.as_str()) => ours(program),
                (None, Some(program)) if is_copied(&texts[*page], program) => ours(program),
                _ => {
                    panic!("{place}: nothing leads to {before}, from where a step leads to {after}")
                }
            };
            let result = step.type_into(&start);
            let result = result.unwrap_or_else(|error| panic!("{place}: to {after}: {error}"));
            let wanted = course
                .program(after)
                .expect("the page was made from the table");
            assert!(
                result == ours(wanted),
                "{place}: who types the step from {before} to {after} has:\n{}",
                result.join("\n")
            );
            if let Some(listing) = &step.listing {
                assert_eq!(
                    listing.trim_end(),
                    wanted.typed().trim_end(),
                    "{place}: {after}"
                );
            }
            typed.insert(after, result);
        }
    }
}

/// Whether a page has its reader copy this program.
fn is_copied(page: &Html, program: &Program) -> bool {
    let text: String = page.root_element().text().collect();
    text.contains(&format!("cp {} ", program.file.display()))
}

/// What the test above would say of a page that misleads.
#[test]
fn a_step_that_misleads_is_seen() {
    let (before, after) = ("webserver1", "webserver3a");
    let course = course();
    let chapter = book::course::Chapter {
        file: PathBuf::from("book/part3/page.md"),
        text: format!("{{{{#step {before} {after}}}}}\n"),
    };
    let (made, _) = book::preprocessor::render(course, &chapter).unwrap();
    let lines = |name: &str| -> Vec<String> {
        let typed = course.program(name).unwrap().typed();
        typed.lines().map(str::to_string).collect()
    };
    let leads = |html: &str| {
        let steps = Step::all(&Html::parse_document(html));
        steps[0]
            .type_into(&lines(before))
            .map(|result| result == lines(after))
    };
    assert_eq!(leads(&made), Ok(true), "{made}");

    // A place is left out.
    let (start, end) = (made.find("<pre").unwrap(), made.find("</pre>").unwrap());
    let without = format!("{}{}", &made[..start], &made[end..]);
    assert_eq!(leads(&without), Ok(false));
    // A sign of HTML stands in the code as it is.
    assert!(made.contains("&lt;"), "{made}");
    assert_ne!(leads(&made.replace("&lt;", "<")), Ok(true));
    // The lines around a place are those of another as well.
    let around = regex::Regex::new("<span>[^<]*\n</span>").unwrap();
    let bare = around
        .replace_all(&made, "")
        .replace("</code></pre>", "<span>}\n</span></code></pre>");
    let error = leads(&bare).unwrap_err();
    assert!(error.contains("times, not once"), "{error}");
}

/// What a page starts by `cargo run --example` is there, and each example of a part is
/// started by some page.
#[test]
fn examples_are_those_that_the_pages_start() {
    let run = regex::Regex::new(r"cargo run .*?-p (\w+) .*?--example (\w+)").unwrap();
    let course = course();
    let mut started = BTreeSet::new();
    for chapter in course.chapters().unwrap() {
        for (line, number) in chapter.text.lines().zip(1..) {
            for found in run.captures_iter(line) {
                let (package, name) = (&found[1], &found[2]);
                let file = format!("code/{package}/examples/{name}.rs");
                let place = format!("{}:{number}", chapter.file.display());
                let there = course.root.join(&file).is_file();
                assert!(there, "{place}: there is no {file}");
                started.insert(PathBuf::from(file));
            }
        }
    }
    for example in &course.examples {
        let file = &example.file;
        let known = started.contains(file);
        let (package, name) = (&example.package, &example.name);
        let command = format!("cargo run -p {package} --example {name}");
        assert!(known, "{}: no chapter has `{command}`", file.display());
    }
}

/// The listing and the dependency lines of a program, from its page.
pub fn listing(pages: &Pages, program: &Program) -> (String, String) {
    let css = format!("section.program[data-program='{}']", program.name);
    let found = pages
        .iter()
        .filter(|(path, _)| *path != Path::new("print.html"))
        .find_map(|(_, page)| all(page, &css).into_iter().next());
    let section =
        found.unwrap_or_else(|| panic!("no chapter has {{{{#program {}}}}}", program.name));
    let code = |css: &str| {
        let code = section.select(&selector(css)).next();
        code.map(|code| code.text().collect::<String>().trim_end().to_string())
    };
    let listing = code("details pre code").expect("the facts box has a listing");
    (listing, code("pre code.language-toml").unwrap_or_default())
}

/// Markdown ends a block of HTML where it finds an empty line, if it may.
#[test]
fn transcripts_are_set_as_they_are_written() {
    let pages = pages();
    for chapter in course().chapters().unwrap() {
        let path = chapter.file.strip_prefix("book").unwrap();
        let page = &pages[&path.with_extension("html")];
        let set = all(page, "main pre.transcript:not(.prove) > code");
        let blocks = book::transcript::blocks(&chapter).unwrap();
        assert_eq!(set.len(), blocks.len(), "{}", chapter.file.display());
        for (set, block) in set.iter().zip(&blocks) {
            let place = format!("{}:{}", chapter.file.display(), block.line);
            let set: String = set.text().collect();
            let words = set.split_whitespace();
            let lines: Vec<String> = block.lines.iter().map(plain).collect();
            let lines = lines.join(" ");
            assert!(
                words.eq(lines.split_whitespace()),
                "{place}: the page has:\n{set}"
            );
        }
    }
}

/// A line of a transcript, as the reader sees it.
fn plain(line: &Line) -> String {
    match line {
        Line::Command(text) | Line::Typed(text) => text.clone(),
        other => other.source().replace("[..]", "…"),
    }
}

/// No directive of ours is left on a page.
#[test]
fn directives_leave_nothing_behind() {
    for (path, page) in pages().iter() {
        let main: String = all(page, "main")
            .iter()
            .flat_map(|main| main.text())
            .collect();
        let left = directives(&main);
        let ours = left
            .iter()
            .find(|directive| book::includes::OURS.contains(&directive.name));
        assert!(ours.is_none(), "{}: shows {ours:?}", source(path));
    }
}
