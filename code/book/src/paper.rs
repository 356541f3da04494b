//! The book for paper and for readers of electronic books, made from its pages.
//!
//! What a page folds away cannot be opened there. It stands at the end instead, with a link
//! to it and one back, and so do the solutions. What a style sheet draws on a page, such as
//! the prompt of a command and the sign beside a line that comes or goes, is written out: it
//! has to be legible without colours, and where style sheets are ignored.

pub mod epub;
pub mod pdf;

use anyhow::{bail, Context};
use ego_tree::{NodeId, NodeMut};
use mdbook_driver::book::BookItem;
use mdbook_driver::MDBook;
use regex::Regex;
use scraper::node::Text;
#[cfg(test)]
use scraper::ElementRef;
use scraper::{Html, Node, Selector};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use xml5ever::{ns, LocalName, QualName};

/// The looks of both, and what only one of them understands.
const STYLE: &str = include_str!("paper/paper.css");

/// Where a part of the book begins.
const PART_OF_SOLUTIONS: &str = "Solutions";
const PART_OF_FOLDED: &str = "Hints and whole programs";

/// The book, in the order in which it is read.
pub struct Paper {
    /// What the book is called.
    pub title: String,
    /// What it says of itself, in a sentence.
    pub description: String,
    /// Who wrote it.
    pub authors: Vec<String>,
    /// Its language, such as `en`.
    pub language: String,
    /// Its pages.
    pub sheets: Vec<Sheet>,
}

/// A page of the book.
pub struct Sheet {
    /// Where it stands, without an ending: `part1/one-page`.
    pub path: String,
    /// Its title.
    pub title: String,
    /// The part that it belongs to, if it belongs to one.
    pub part: Option<String>,
    /// Its text. Links to other pages begin with [`INTERNAL`].
    html: Html,
}

/// What stands before the path of a page, without its ending, in a link to it.
const INTERNAL: &str = "book:";

/// Reads the pages that [`crate::site::build`] has made of the repository at `root`.
///
/// # Errors
///
/// A page that is missing; a link to a page or a place that is not there.
pub fn read(root: &Path, pages: &Path) -> anyhow::Result<Paper> {
    let book = MDBook::load(root).context("read the chapters")?;
    let mut chapters = Vec::new();
    let mut part = None;
    for item in &book.book.items {
        gather(item, &mut part, &mut chapters);
    }
    let mut text = Vec::new();
    let mut solutions = Vec::new();
    let mut folded = Vec::new();
    for (path, title, part) in chapters {
        let file = pages.join(&path).with_extension("html");
        let page = fs::read_to_string(&file)
            .with_context(|| format!("read the page {}", file.display()))?;
        let (_, main) = page.split_once("<main>").context("find <main>")?;
        let (main, _) = main.split_once("</main>").context("find </main>")?;
        let mut sheet = Sheet {
            html: document(main),
            path,
            title,
            part,
        };
        sheet.resolve_links();
        sheet.write_out();
        folded.extend(sheet.unfold());
        match sheet.path.contains("/solutions/") {
            true => {
                sheet.part = Some(PART_OF_SOLUTIONS.to_string());
                solutions.push(sheet);
            }
            false => text.push(sheet),
        }
    }
    let sheets: Vec<Sheet> = text.into_iter().chain(solutions).chain(folded).collect();
    check_links(&sheets)?;
    let config = &book.config.book;
    Ok(Paper {
        title: config.title.clone().unwrap_or_default(),
        description: config.description.clone().unwrap_or_default(),
        authors: config.authors.clone(),
        language: config.language.clone().unwrap_or("en".to_string()),
        sheets,
    })
}

/// The chapters under an item of the book: path, title, part.
fn gather(
    item: &BookItem,
    part: &mut Option<String>,
    chapters: &mut Vec<(String, String, Option<String>)>,
) {
    match item {
        BookItem::PartTitle(title) => *part = Some(title.clone()),
        BookItem::Separator => *part = None,
        BookItem::Chapter(chapter) => {
            if let Some(path) = &chapter.path {
                let path = path.with_extension("").to_string_lossy().replace('\\', "/");
                chapters.push((path, chapter.name.clone(), part.clone()));
            }
            for item in &chapter.sub_items {
                gather(item, part, chapters);
            }
        }
    }
}

/// A document with this in it, as a browser reads it.
fn document(body: &str) -> Html {
    Html::parse_document(&format!("<!DOCTYPE html><body>{body}</body>"))
}

fn selector(selector: &str) -> Selector {
    Selector::parse(selector).expect("a constant, used by every page")
}

/// A colour of the page's theme, with what to take where there are no themes.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"var\(--[\w-]+,\s*([^()]+)\)").expect("a constant, used by every figure")
});

impl Sheet {
    #[cfg(test)]
    fn body(&self) -> Option<ElementRef<'_>> {
        self.html.select(&selector("body")).next()
    }

    fn ids(&self, of: &str) -> Vec<NodeId> {
        let of = selector(of);
        self.html.select(&of).map(|element| element.id()).collect()
    }

    fn remove(&mut self, what: &str) {
        for id in self.ids(what) {
            if let Some(mut node) = self.html.tree.get_mut(id) {
                node.detach();
            }
        }
    }

    fn write_before(&mut self, what: &str, text: &str) {
        for id in self.ids(what) {
            if let Some(mut node) = self.html.tree.get_mut(id) {
                node.prepend(Node::Text(Text { text: text.into() }));
            }
        }
    }

    /// Makes links to pages independent of where they stand.
    fn resolve_links(&mut self) {
        let path = self.path.clone();
        self.change_attribute("a", "href", |href| match href {
            href if href.contains(':') => href.to_string(),
            href => format!("{INTERNAL}{}", resolve(&path, href)),
        });
    }

    /// Takes out what only a browser needs, and writes out what the style sheet draws.
    fn write_out(&mut self) {
        self.remove("script, button, .buttons, span.boring, svg > style, .for-ears");
        for id in self.ids("a.header") {
            unwrap(&mut self.html, id);
        }
        self.write_before(".transcript .command", "$ ");
        self.write_before(".hunk:not(.whole) > code > ins", "+ ");
        self.write_before(".hunk:not(.whole) > code > del", "\u{2212} ");
        self.write_before(".hunk:not(.whole) > code > span", "  ");
        self.change_attribute("svg, svg *", "style", |style| {
            VARIABLE.replace_all(style, "$1").into_owned()
        });
        // Shown by the style sheet of the screen; the link stays.
        for id in self.ids("a.term") {
            set(self.html.tree.get_mut(id), "aria-description", None);
        }
        for id in self.ids("svg") {
            // What writes XML adds it again.
            set(self.html.tree.get_mut(id), "xmlns", None);
        }
    }

    fn change_attribute(&mut self, of: &str, name: &str, change: impl Fn(&str) -> String) {
        for id in self.ids(of) {
            let node = self.html.tree.get(id);
            let element = node.as_ref().and_then(|node| node.value().as_element());
            let Some(value) = element.and_then(|element| element.attr(name)) else {
                continue;
            };
            let value = change(value);
            set(self.html.tree.get_mut(id), name, Some(&value));
        }
    }

    /// Takes out what is folded away, and gives the page at the end where it stands now.
    fn unfold(&mut self) -> Option<Sheet> {
        let mut folded = String::new();
        let path = format!("folded/{}", self.path);
        let mut number = 0;
        while let Some(details) = self.html.select(&selector("details")).next() {
            number += 1;
            let id = details.id();
            let summary = details.select(&selector("summary")).next();
            let summary = summary.map_or(String::new(), |summary| summary.inner_html());
            let here = format!("folded-{number}");
            let link = format!(
                "<p class=\"folded\" id=\"{here}\"><a href=\"{INTERNAL}{path}#{here}\">{summary}</a></p>"
            );
            let link = Html::parse_fragment(&link);
            let mut moved = details.inner_html();
            if let Some(end) = moved.find("</summary>") {
                moved.replace_range(..end + "</summary>".len(), "");
            }
            folded.push_str(&format!(
                "<h2 id=\"{here}\">{summary}</h2>\n{moved}\n<p class=\"folded\">\
                 <a href=\"{INTERNAL}{}#{here}\">Back to the text</a></p>\n",
                self.path
            ));
            let root = self.html.tree.extend_tree(link.tree).id();
            // The fragment is a root, with an `html` in it, with the paragraph in that.
            let paragraph = self.html.tree.get(root);
            let paragraph = paragraph
                .and_then(|root| root.first_child()?.first_child())
                .map(|paragraph| paragraph.id());
            if let (Some(mut node), Some(paragraph)) = (self.html.tree.get_mut(id), paragraph) {
                node.insert_id_before(paragraph);
                node.detach();
            }
        }
        (number > 0).then(|| Sheet {
            html: document(&format!("<h1>{}</h1>\n{folded}", escape(&self.title))),
            title: self.title.clone(),
            part: Some(PART_OF_FOLDED.to_string()),
            path,
        })
    }
}

/// The parts in order, each with its pages.
fn parts(paper: &Paper) -> Vec<(Option<&str>, Vec<&Sheet>)> {
    let mut parts: Vec<(Option<&str>, Vec<&Sheet>)> = Vec::new();
    for sheet in &paper.sheets {
        let part = sheet.part.as_deref();
        match parts.last_mut() {
            Some((last, sheets)) if *last == part => sheets.push(sheet),
            _ => parts.push((part, vec![sheet])),
        }
    }
    parts
}

/// The page before all others.
fn title(paper: &Paper) -> String {
    let authors = escape(&paper.authors.join(", "));
    format!(
        "<body>\n<section class=\"title-page\">\n<h1>{}</h1>\n<p>{}</p>\n<p>{authors}</p>\n\
         <p>The text and the figures: CC BY 4.0. The programs: MIT or Apache 2.0.</p>\n\
         </section>\n</body>",
        escape(&paper.title),
        escape(&paper.description)
    )
}

fn escape(text: &str) -> String {
    crate::escape(text)
}

/// Sets an attribute, or takes it away. scraper wants them in order.
fn set(node: Option<NodeMut<'_, Node>>, name: &str, value: Option<&str>) {
    let Some(mut node) = node else { return };
    let Node::Element(element) = node.value() else {
        return;
    };
    element.attrs.retain(|(other, _)| &*other.local != name);
    if let Some(value) = value {
        let name = QualName::new(None, ns!(), LocalName::from(name));
        element.attrs.push((name, value.into()));
        element.attrs.sort_by(|one, other| one.0.cmp(&other.0));
    }
}

/// Puts the children of an element where it stands.
fn unwrap(html: &mut Html, id: NodeId) {
    let children: Vec<NodeId> = match html.tree.get(id) {
        Some(node) => node.children().map(|child| child.id()).collect(),
        None => return,
    };
    if let Some(mut node) = html.tree.get_mut(id) {
        for child in children {
            node.insert_id_before(child);
        }
        node.detach();
    }
}

/// Where a link leads that stands on the page `from`: `part1/map#top`.
fn resolve(from: &str, href: &str) -> String {
    let (file, place) = match href.split_once('#') {
        Some((file, place)) => (file, Some(place)),
        None => (href, None),
    };
    let mut to: Vec<&str> = from.split('/').collect();
    if !file.is_empty() {
        to.pop();
        for step in file.trim_end_matches(".html").split('/') {
            match step {
                "." => {}
                ".." => drop(to.pop()),
                step => to.push(step),
            }
        }
    }
    let to = to.join("/");
    place.map_or(to.clone(), |place| format!("{to}#{place}"))
}

/// Each link within the book leads somewhere.
fn check_links(sheets: &[Sheet]) -> anyhow::Result<()> {
    let mut places = BTreeSet::new();
    for sheet in sheets {
        places.insert(sheet.path.clone());
        for element in sheet.html.select(&selector("[id]")) {
            let id = element.attr("id").unwrap_or_default();
            places.insert(format!("{}#{id}", sheet.path));
        }
    }
    for sheet in sheets {
        for link in sheet.html.select(&selector("a[href]")) {
            let href = link.attr("href").unwrap_or_default();
            if let Some(to) = href.strip_prefix(INTERNAL) {
                if !places.contains(to) {
                    bail!("the page {} links to {to}, which is not there", sheet.path);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(path: &str, main: &str) -> Sheet {
        let mut sheet = Sheet {
            html: document(main),
            path: path.to_string(),
            title: "A & B".to_string(),
            part: None,
        };
        sheet.resolve_links();
        sheet.write_out();
        sheet
    }

    fn html(sheet: &Sheet) -> String {
        sheet.body().unwrap().inner_html()
    }

    #[test]
    fn a_link_is_resolved_where_it_stands() {
        for (href, expected) in [
            ("#top", "part1/one-page#top"),
            ("http-by-hand.html", "part1/http-by-hand"),
            ("../debts.html#x", "debts#x"),
            ("./solutions/a.html", "part1/solutions/a"),
        ] {
            assert_eq!(resolve("part1/one-page", href), expected);
        }
    }

    #[test]
    fn what_is_drawn_is_written_out_and_what_is_hidden_is_gone() {
        let sheet = sheet(
            "a",
            "<h1 id=\"x\"><a class=\"header\" href=\"#x\">X</a></h1>\
             <pre class=\"transcript\"><code><span class=\"command\">ls</span></code></pre>\
             <pre class=\"hunk\"><code><span>a\n</span><del>b\n</del><ins>c\n</ins></code></pre>\
             <pre><code><span class=\"boring\">fn main() {}\n</span>x();</code></pre>\
             <svg style=\"fill:var(--fg, black)\"><style>x</style></svg>",
        );
        assert_eq!(
            html(&sheet),
            "<h1 id=\"x\">X</h1>\
             <pre class=\"transcript\"><code><span class=\"command\">$ ls</span></code></pre>\
             <pre class=\"hunk\"><code><span>  a\n</span><del>\u{2212} b\n</del><ins>+ c\n</ins></code></pre>\
             <pre><code>x();</code></pre>\
             <svg style=\"fill:black\"></svg>"
        );
    }

    #[test]
    fn what_is_folded_away_stands_at_the_end_with_links_both_ways() {
        let mut page = sheet(
            "part1/a",
            "<p>1</p><details><summary>A <b>hint</b></summary><p>2</p></details><p>3</p>",
        );
        let folded = page.unfold().unwrap();
        assert_eq!(
            html(&page),
            "<p>1</p><p class=\"folded\" id=\"folded-1\"><a href=\"book:folded/part1/a#folded-1\">\
             A <b>hint</b></a></p><p>3</p>"
        );
        assert_eq!(
            html(&folded),
            "<h1>A &amp; B</h1>\n<h2 id=\"folded-1\">A <b>hint</b></h2>\n<p>2</p>\n\
             <p class=\"folded\"><a href=\"book:part1/a#folded-1\">Back to the text</a></p>\n"
        );
        assert!(check_links(&[page, folded]).is_ok());
    }

    #[test]
    fn a_link_that_leads_nowhere_is_an_error() {
        let page = sheet("part1/a", "<a href=\"b.html\">b</a>");
        let error = check_links(&[page]).unwrap_err().to_string();
        assert_eq!(
            error,
            "the page part1/a links to part1/b, which is not there"
        );
    }
}
