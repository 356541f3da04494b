//! PDF, by a Chromium that prints the book as one document.

use super::{escape, selector, set, Paper, INTERNAL, STYLE};
use anyhow::{bail, Context};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The names that Chromium has.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Where it stands on macOS.
const APPS: [&str; 2] = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/// What stands on each sheet of paper besides the text: the number of the page.
const PAGE: &str = "
@page { size: A4; margin: 20mm 18mm 22mm; @bottom-center { content: counter(page); font: 9pt sans-serif; } }
@page :first { @bottom-center { content: none; } }
html { font: 10.5pt/1.4 \"Open Sans\", sans-serif; }
body { margin: 0; }
.sheet, .part, .contents { break-before: page; }
.part { padding-top: 30%; text-align: center; }
.contents ol { list-style: none; padding-left: 1.5em; }
pre { break-inside: auto; orphans: 3; widows: 3; }
p { orphans: 2; widows: 2; }
a { color: inherit; }
";

/// Where Chromium is, under any of its names.
///
/// # Errors
///
/// It is nowhere.
pub fn chromium() -> anyhow::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let named = env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    let mut places = named.chain(APPS.map(PathBuf::from));
    places.find(|place| place.is_file()).with_context(|| {
        format!(
            "a PDF is printed by Chromium, and none is installed under any of the names {}",
            NAMES.join(", ")
        )
    })
}

/// Prints the book. `pages` is where the built book stands: its fonts are taken.
///
/// # Errors
///
/// A file that cannot be written; a Chromium that fails.
pub fn write(paper: &Paper, pages: &Path, chromium: &Path, file: &Path) -> anyhow::Result<()> {
    let folder = pages.with_file_name("paper");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let document = folder.join("book.html");
    fs::write(&document, html(paper, pages))
        .with_context(|| format!("write {}", document.display()))?;
    // Chromium names its own place in the file system when it is told a relative one.
    let file = std::path::absolute(file).with_context(|| format!("find {}", file.display()))?;
    let printed = folder.join("book.pdf");
    let _ = fs::remove_file(&printed); // or an old one would be taken for the new
    let output = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox", // which needs rights that a container lacks; the document is ours
            "--disable-gpu",
            "--no-first-run",
            "--no-pdf-header-footer",
            "--generate-pdf-document-outline",
            "--host-resolver-rules=MAP * ~NOTFOUND",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("--print-to-pdf={}", printed.display()))
        .arg(format!("file://{}", document.display()))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {}", chromium.display()))?;
    let _ = fs::remove_dir_all(folder.join("profile"));
    if !printed.is_file() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().last().unwrap_or("nothing");
        bail!(
            "{} has printed no PDF; the last that it said: {said}",
            chromium.display()
        );
    }
    let mut pdf = fs::read(&printed).with_context(|| format!("read {}", printed.display()))?;
    let _ = fs::remove_file(&printed);
    mend_bookmarks(&mut pdf);
    fs::write(&file, pdf).with_context(|| format!("write {}", file.display()))
}

/// Chromium doubles the bookmark of a heading that it has moved to the next page: "TopTop".
/// Its second half goes, and blanks keep the place of everything that follows.
fn mend_bookmarks(pdf: &mut [u8]) {
    const TITLE: &[u8] = b"/Title ";
    let mut at = 0;
    while let Some(found) = pdf[at..]
        .windows(TITLE.len())
        .position(|bytes| bytes == TITLE)
    {
        let start = at + found + TITLE.len();
        let line = pdf[start..].iter().position(|byte| *byte == b'\n');
        let end = start + line.unwrap_or(pdf.len() - start);
        // A string in brackets, or hexadecimal after the mark of UTF-16.
        let (open, close) = match pdf[start..end].first() {
            Some(b'(') => (start + 1, b')'),
            _ => (start + b"<FEFF".len(), b'>'),
        };
        if open < end && pdf[end - 1] == close {
            let text = &pdf[open..end - 1];
            let (one, two) = text.split_at(text.len() / 2);
            if !one.is_empty() && one == two {
                let middle = open + one.len();
                pdf[middle] = close;
                pdf[middle + 1..end].fill(b' ');
            }
        }
        at = end;
    }
}

/// The book as one document.
fn html(paper: &Paper, pages: &Path) -> String {
    let mut contents = String::new();
    let mut text = String::new();
    for (part, sheets) in super::parts(paper) {
        let mut list = String::new();
        // A level deeper than the part.
        let levels = usize::from(part.is_some());
        if let Some(part) = part {
            text.push_str(&format!("<h1 class=\"part\">{}</h1>\n", escape(part)));
        }
        for sheet in sheets {
            let place = place(&sheet.path, "");
            let title = escape(&sheet.title);
            list.push_str(&format!("<li><a href=\"#{place}\">{title}</a></li>\n"));
            text.push_str(&format!(
                "<section class=\"sheet\" id=\"{place}\">{}</section>\n",
                body(sheet, levels)
            ));
        }
        contents.push_str(&match part {
            Some(part) => format!("<li>{}\n<ol>\n{list}</ol>\n</li>\n", escape(part)),
            None => list,
        });
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n<title>{}</title>\n{}\
         <style>\n{STYLE}{PAGE}</style>\n</head>\n{}\n<nav class=\"contents\"><h1>Contents</h1>\n\
         <ol>\n{contents}</ol>\n</nav>\n{text}</body>\n</html>\n",
        escape(&paper.language),
        escape(&paper.title),
        fonts(pages),
        super::title(paper).trim_end_matches("</body>"),
    )
}

/// The style sheet of the book's fonts, if it has any.
fn fonts(pages: &Path) -> String {
    let entries = fs::read_dir(pages.join("fonts"))
        .into_iter()
        .flatten()
        .flatten();
    let mut sheets = entries.map(|entry| entry.path());
    let sheet = sheets.find(|path| path.extension().is_some_and(|ending| ending == "css"));
    sheet.map_or(String::new(), |path| {
        format!(
            "<link rel=\"stylesheet\" href=\"file://{}\">\n",
            path.display()
        )
    })
}

/// The name of a place of a page in the one document.
fn place(path: &str, id: &str) -> String {
    let path = path.replace('/', "-");
    match id {
        "" => path,
        id => format!("{path}--{id}"),
    }
}

/// The text of a page, with its links and its places within the one document, and its
/// headings so many levels deeper.
fn body(sheet: &super::Sheet, levels: usize) -> String {
    let mut html = sheet.html.clone();
    let ids: Vec<_> = html
        .select(&selector("a[href], body [id]"))
        .map(|found| found.id())
        .collect();
    for id in ids {
        let node = html.tree.get(id);
        let Some(element) = node.as_ref().and_then(|node| node.value().as_element()) else {
            continue;
        };
        let href = element
            .attr("href")
            .and_then(|href| href.strip_prefix(INTERNAL));
        let href = href.map(|to| {
            let (path, id) = to.split_once('#').unwrap_or((to, ""));
            format!("#{}", place(path, id))
        });
        // Within a figure they are named by its lines.
        let of_page = element.name.ns == xml5ever::ns!(html);
        let own = element
            .attr("id")
            .filter(|_| of_page)
            .map(|id| place(&sheet.path, id));
        if let Some(href) = href {
            set(html.tree.get_mut(id), "href", Some(&href));
        }
        if let Some(own) = own {
            set(html.tree.get_mut(id), "id", Some(&own));
        }
    }
    let body = html.select(&selector("body")).next();
    let mut text = body.map_or(String::new(), |body| body.inner_html());
    for level in (1..=3).rev().filter(|_| levels > 0) {
        let deeper = level + levels;
        text = text.replace(&format!("<h{level}"), &format!("<h{deeper}"));
        text = text.replace(&format!("</h{level}>"), &format!("</h{deeper}>"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_bookmark_is_mended_in_its_place() {
        let mut pdf = b"<</Title (TopTop)\n/Title (Top)\n/Title <FEFF00410041>\n>>".to_vec();
        mend_bookmarks(&mut pdf);
        let mended = b"<</Title (Top)   \n/Title (Top)\n/Title <FEFF0041>    \n>>";
        assert_eq!(
            String::from_utf8_lossy(&pdf),
            String::from_utf8_lossy(mended)
        );
    }

    #[test]
    fn places_of_two_pages_differ_and_headings_are_deeper_in_a_part() {
        let mut sheet = super::super::Sheet {
            html: super::super::document("<h1 id=\"x\">A</h1><a href=\"#x\">up</a>"),
            path: "part1/a".to_string(),
            title: String::new(),
            part: None,
        };
        sheet.resolve_links();
        let expected = "<h2 id=\"part1-a--x\">A</h2><a href=\"#part1-a--x\">up</a>";
        assert_eq!(body(&sheet, 1), expected);
    }
}
