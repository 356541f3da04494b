//! The pages as they are published: with what search engines, previews and readers who
//! mend something ask for, all of which needs the address that the pages have on the web.

use crate::escape;
use crate::preprocessor::Preprocessor;
use anyhow::{bail, Context};
use mdbook_driver::book::{BookItem, Chapter};
use mdbook_driver::config::Config;
use mdbook_driver::MDBook;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The picture that a preview of a page shows, and its size in pixels.
pub const PICTURE: (&str, u32, u32) = ("theme/preview.png", 1200, 630);
const PICTURE_WORDS: &str =
    "The four parts of the course in a row, and what strace writes of a server at work.";

/// The longest description of a page, in characters. Search engines show no more of it.
pub const LONGEST_DESCRIPTION: usize = 200;
const SHORTEST_DESCRIPTION: usize = 60;

/// The branch whose files the links for a correction lead to.
const BRANCH: &str = "main";

/// Where the pages and their sources are on the web.
#[derive(Clone, Debug)]
pub struct Address {
    site: String,
    repository: Option<String>,
}

impl Address {
    /// The address of the site, with or without a path, and that of the repository, if
    /// the pages should lead there.
    ///
    /// # Errors
    ///
    /// What is not a plain address with a scheme and a host.
    pub fn new(site: &str, repository: Option<&str>) -> anyhow::Result<Address> {
        for address in [Some(site), repository].into_iter().flatten() {
            let rest = ["https://", "http://"]
                .iter()
                .find_map(|scheme| address.strip_prefix(scheme));
            let plain = rest.is_some_and(|rest| {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:%".contains(c);
                !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(plain)
            });
            if !plain {
                bail!("{address:?} is no address such as https://example.org/path/");
            }
        }
        Ok(Address {
            site: format!("{}/", site.trim_end_matches('/')),
            repository: repository.map(|address| address.trim_end_matches('/').to_string()),
        })
    }

    /// What a path on the host begins with, where it leads to the site: `/path/`.
    fn path(&self) -> &str {
        let host = self.site.find("://").map_or(0, |at| at + 3);
        let path = self.site[host..].find('/').map_or(0, |at| host + at);
        &self.site[path..]
    }
}

/// Builds the book of the repository at `root` into `destination`, for this address.
///
/// # Errors
///
/// Those of [`crate::site::build`]; a chapter of which nothing can be said in a line.
pub fn publish(root: &Path, destination: &Path, address: &Address) -> anyhow::Result<()> {
    let mut config = Config::from_disk(root.join("book.toml")).context("read book.toml")?;
    config.build.build_dir = destination.to_path_buf();
    config.set("output.html.site-url", address.path())?;
    if let Some(repository) = &address.repository {
        config.set("output.html.git-repository-url", repository)?;
        let edit = format!("{repository}/edit/{BRANCH}/{{path}}");
        config.set("output.html.edit-url-template", edit)?;
    }
    let source = config.book.src.clone();
    let mut book = MDBook::load_with_config(root, config).context("read the chapters")?;
    book.with_preprocessor(Preprocessor);
    book.build()?;

    let picture = destination.join(PICTURE.0);
    if !picture.exists() {
        bail!("there is no {}", source.join(PICTURE.0).display());
    }
    let chapters = book.book.iter().filter_map(|item| match item {
        BookItem::Chapter(chapter) => Some(chapter),
        _ => None,
    });
    let mut sitemap = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    for (chapter, number) in chapters.zip(0..) {
        let Some(path) = &chapter.path else {
            continue; // announced in the summary, and not written yet
        };
        let page = path.with_extension("html");
        // The first chapter is the front page too, and that is where it belongs.
        let (place, copies) = match number {
            0 => (String::new(), vec!["index.html".into(), page]),
            _ => (page.to_string_lossy().replace('\\', "/"), vec![page]),
        };
        let here = format!("{}{place}", address.site);
        for copy in copies {
            let file = destination.join(copy);
            let html = fs::read_to_string(&file)
                .with_context(|| format!("read the page {}", file.display()))?;
            let html = dressed(&html, chapter, &here, address)
                .with_context(|| format!("publish {}", file.display()))?;
            fs::write(&file, html).with_context(|| format!("write {}", file.display()))?;
        }
        writeln!(sitemap, "<url><loc>{}</loc></url>", escape(&here))?;
    }
    sitemap.push_str("</urlset>\n");
    fs::write(destination.join("sitemap.xml"), sitemap).context("write the sitemap")
}

/// A page with its description, its address and what a preview shows in its head.
fn dressed(html: &str, chapter: &Chapter, here: &str, address: &Address) -> anyhow::Result<String> {
    const DESCRIPTION: &str = "<meta name=\"description\" content=\"";
    let (before, rest) = html
        .split_once(DESCRIPTION)
        .context("mdBook gave it no description")?;
    let (_, after) = rest
        .split_once("\">")
        .context("the description has no end")?;
    let description = description(&chapter.content)
        .with_context(|| format!("no paragraph of \"{}\" says what it is", chapter.name))?;
    let (picture, width, height) = PICTURE;
    let (site, title) = (&address.site, escape(&chapter.name));
    let description = escape(&description);
    let mut head = format!("{before}{DESCRIPTION}{description}\">\n");
    head.push_str(&format!(
        "        <link rel=\"canonical\" href=\"{here}\">\n"
    ));
    for (property, content) in [
        ("og:type", "article"),
        ("og:title", &title),
        ("og:description", &description),
        ("og:url", here),
        ("og:image", &format!("{site}{picture}")),
        ("og:image:width", &width.to_string()),
        ("og:image:height", &height.to_string()),
        ("og:image:alt", PICTURE_WORDS),
    ] {
        let tag = format!("        <meta property=\"{property}\" content=\"{content}\">\n");
        head.push_str(&tag);
    }
    head.push_str("        <meta name=\"twitter:card\" content=\"summary_large_image\">");
    Ok(head + after)
}

/// What a chapter says of itself first, without its Markdown: whole sentences, as long as
/// there is room. None, if it never speaks plainly.
pub fn description(chapter: &str) -> Option<String> {
    let mut description = String::new();
    'taken: for paragraph in paragraphs(chapter) {
        let text = plain(&paragraph);
        for sentence in sentences(&text) {
            let length = description.chars().count() + 1 + sentence.chars().count();
            if description.chars().count() >= SHORTEST_DESCRIPTION && length > LONGEST_DESCRIPTION {
                break 'taken;
            }
            if !description.is_empty() {
                description.push(' ');
            }
            description.push_str(sentence);
        }
        // What is shown after it, is not shown here.
        if description.ends_with(':') {
            description.pop();
            description.push('.');
        }
        if description.chars().count() >= SHORTEST_DESCRIPTION {
            break;
        }
    }
    let enough = description.chars().count() >= SHORTEST_DESCRIPTION;
    enough.then(
        || match description.char_indices().nth(LONGEST_DESCRIPTION) {
            None => description,
            // A first sentence that is longer ends at a word.
            Some((end, _)) => {
                let words = description[..end - 2].rsplit_once(' ');
                let words = words.map_or(&description[..end - 2], |(words, _)| words);
                format!("{} …", words.trim_end_matches([',', ':', ';']))
            }
        },
    )
}

/// The paragraphs of prose, each in one line.
fn paragraphs(chapter: &str) -> Vec<String> {
    let mut paragraphs = Vec::new();
    let mut lines = chapter.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            lines.by_ref().find(|line| line.starts_with("```"));
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        let mut paragraph = line.to_string();
        while let Some(line) = lines.next_if(|line| !line.trim().is_empty()) {
            paragraph.push(' ');
            paragraph.push_str(line.trim());
        }
        let is_prose = !paragraph.starts_with(['#', '<', '{', '|', '>', '!', ' ', '-', '1']);
        // The first sentence of each solution.
        if is_prose && !paragraph.starts_with("The exercise is in [") {
            paragraphs.push(paragraph);
        }
    }
    paragraphs
}

/// The text without the marks of links, code and emphasis.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['[', ']', '*', '`']) {
        plain.push_str(&rest[..at]);
        let mark = &rest[at..];
        rest = &mark[1..];
        match mark.as_bytes()[0] {
            // Code keeps what it has of the other marks.
            b'`' => {
                let (code, after) = rest.split_once('`').unwrap_or((rest, ""));
                plain.push_str(code);
                rest = after;
            }
            b']' if rest.starts_with('(') => {
                rest = rest.split_once(')').map_or("", |(_, after)| after);
            }
            _ => {}
        }
    }
    plain + rest
}

/// Each sentence with its mark at its end.
fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut rest = text.trim();
    while let Some(end) = rest.find(". ").or(rest.find("? ")).map(|at| at + 1) {
        sentences.push(rest[..end].trim());
        rest = rest[end..].trim();
    }
    if !rest.is_empty() {
        sentences.push(rest);
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_the_first_that_a_chapter_says() {
        let chapter =
            "# Title\n\n{{#program x}}\n\n## Promise\n\nA *server* on [one\npage](x.md), \
                       with `a*b`, which is as long as a description has to be:\n\n```console\n\
                       $ x\n```\n\nMore.\n";
        let expected =
            "A server on one page, with a*b, which is as long as a description has to be.";
        assert_eq!(description(chapter).as_deref(), Some(expected));
        let short = "Short:\n\n```rust\nprose is not code\n\nand goes on\n```\n\n- a list\n\nWhat \
                     follows is taken too, until there is enough of it to say something.";
        let expected =
            "Short. What follows is taken too, until there is enough of it to say something.";
        assert_eq!(description(short).as_deref(), Some(expected));
        let long = format!("{}. The second.", "word, ".repeat(50));
        let long = description(&long).unwrap();
        assert!(long.ends_with("word …"), "{long}");
        assert!(long.chars().count() <= LONGEST_DESCRIPTION, "{long}");
        let two = format!("{}. {}.", "word ".repeat(20), "word ".repeat(30));
        assert!(description(&two).unwrap().len() < 110);
        assert_eq!(description("# Title\n\nShort.\n"), None);
    }

    #[test]
    fn every_chapter_says_what_it_is() {
        let chapters = crate::course::Course::load(&crate::root()).unwrap();
        let mut said = std::collections::BTreeMap::new();
        for chapter in chapters.chapters().unwrap() {
            let file = chapter.file.display().to_string();
            let description = description(&chapter.text);
            let description = description.unwrap_or_else(|| panic!("{file} says nothing"));
            let marks = ["](", "{{", "`", "**", "  ", "<"];
            let left = marks.iter().any(|mark| description.contains(mark));
            assert!(!left, "{file}: {description}");
            if let Some(other) = said.insert(description, file.clone()) {
                panic!("{file} and {other} say the same");
            }
        }
    }

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        let path = |site| Address::new(site, None).unwrap().path().to_string();
        assert_eq!(path("https://example.org"), "/");
        assert_eq!(path("https://example.org/some/path"), "/some/path/");
        assert_eq!(path("http://127.0.0.1:8000/path//"), "/path/");
        for wrong in [
            "",
            "/path/",
            "example.org",
            "https:///path",
            "https://a/\"><b>",
        ] {
            let error = Address::new(wrong, None).unwrap_err().to_string();
            assert!(error.ends_with("is no address such as https://example.org/path/"));
        }
        assert!(Address::new("https://example.org/", Some("ftp://x/")).is_err());
    }
}
