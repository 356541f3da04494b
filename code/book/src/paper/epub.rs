//! EPUB 3: XHTML in an archive, with a table of contents.

use super::{escape, selector, set, Paper, Sheet, INTERNAL, STYLE};
use anyhow::Context;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use xml5ever::serialize::{serialize, SerializeOpts};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// By this a reader knows a new edition of the same book.
const IDENTIFIER: &str = "urn:uuid:6f1b7a52-0c0e-4b8e-9d55-8a3f8f1c8888";

const CONTAINER: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<container version=\"1.0\" xmlns=\"urn:oasis:names:tc:opendocument:xmlns:container\">
<rootfiles><rootfile full-path=\"book/package.opf\" media-type=\"application/oebps-package+xml\"/></rootfiles>
</container>
";

/// Writes the book as an EPUB.
///
/// # Errors
///
/// A file that cannot be written.
pub fn write(paper: &Paper, file: &Path) -> anyhow::Result<()> {
    let written = || -> anyhow::Result<()> {
        let mut archive = ZipWriter::new(BufWriter::new(File::create(file)?));
        // A reader looks at the first bytes of the archive for this.
        let plain = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        archive.start_file("mimetype", plain)?;
        archive.write_all(b"application/epub+zip")?;
        let packed = plain.compression_method(CompressionMethod::Deflated);
        let mut add = |name: &str, text: &str| -> anyhow::Result<()> {
            archive.start_file(name, packed)?;
            Ok(archive.write_all(text.as_bytes())?)
        };
        add("META-INF/container.xml", CONTAINER)?;
        add("book/package.opf", &package(paper))?;
        add("book/contents.xhtml", &contents(paper))?;
        add("book/paper.css", STYLE)?;
        add("book/title-page.xhtml", &title_page(paper))?;
        for sheet in &paper.sheets {
            add(&format!("book/{}.xhtml", sheet.path), &xhtml(paper, sheet)?)?;
        }
        archive.finish()?.flush()?;
        Ok(())
    };
    written().with_context(|| format!("write {}", file.display()))
}

/// The archive's list of what is in it, and of the order in which it is read.
fn package(paper: &Paper) -> String {
    let mut manifest = String::new();
    let mut spine = String::new();
    for (number, sheet) in paper.sheets.iter().enumerate() {
        let svg = sheet.html.select(&selector("svg")).next();
        let properties = svg.map_or("", |_| " properties=\"svg\"");
        manifest.push_str(&format!(
            "<item id=\"page-{number}\" href=\"{}.xhtml\" media-type=\"application/xhtml+xml\"{properties}/>\n",
            sheet.path
        ));
        spine.push_str(&format!("<itemref idref=\"page-{number}\"/>\n"));
    }
    let authors = paper.authors.iter();
    let authors: String = authors
        .map(|author| format!("<dc:creator>{}</dc:creator>\n", escape(author)))
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<package xmlns=\"http://www.idpf.org/2007/opf\" version=\"3.0\" unique-identifier=\"identifier\" xml:lang=\"{language}\">
<metadata xmlns:dc=\"http://purl.org/dc/elements/1.1/\">
<dc:identifier id=\"identifier\">{IDENTIFIER}</dc:identifier>
<dc:title>{title}</dc:title>
<dc:language>{language}</dc:language>
<dc:description>{description}</dc:description>
{authors}<dc:rights>CC BY 4.0</dc:rights>
<meta property=\"dcterms:modified\">{now}</meta>
<meta property=\"schema:accessMode\">textual</meta>
<meta property=\"schema:accessMode\">visual</meta>
<meta property=\"schema:accessModeSufficient\">textual</meta>
<meta property=\"schema:accessibilityFeature\">alternativeText</meta>
<meta property=\"schema:accessibilityFeature\">longDescription</meta>
<meta property=\"schema:accessibilityFeature\">structuralNavigation</meta>
<meta property=\"schema:accessibilityHazard\">none</meta>
</metadata>
<manifest>
<item id=\"contents\" href=\"contents.xhtml\" media-type=\"application/xhtml+xml\" properties=\"nav\"/>
<item id=\"style\" href=\"paper.css\" media-type=\"text/css\"/>
<item id=\"title-page\" href=\"title-page.xhtml\" media-type=\"application/xhtml+xml\"/>
{manifest}</manifest>
<spine>
<itemref idref=\"title-page\"/>
<itemref idref=\"contents\"/>
{spine}</spine>
</package>
",
        title = escape(&paper.title),
        description = escape(&paper.description),
        language = escape(&paper.language),
        now = timestamp(seconds()),
    )
}

/// When the book was made: now, or at the time that whoever builds it asks for, to get the
/// same bytes again.
fn seconds() -> u64 {
    let asked = std::env::var("SOURCE_DATE_EPOCH").ok();
    let asked = asked.and_then(|seconds| seconds.parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH);
    asked.unwrap_or_else(|| now().map_or(0, |since| since.as_secs()))
}

/// A number of seconds since 1970 as EPUB writes it.
fn timestamp(seconds: u64) -> String {
    let leap = |year: u64| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    let (mut days, time) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (day, hour, minute, second) = (days + 1, time / 3600, time / 60 % 60, time % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The beginning of a page, and its end.
fn page(paper: &Paper, up: &str, title: &str, body: &str) -> String {
    let language = escape(&paper.language);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE html>\n\
         <html xmlns=\"http://www.w3.org/1999/xhtml\" xmlns:epub=\"http://www.idpf.org/2007/ops\" \
         lang=\"{language}\" xml:lang=\"{language}\">\n<head>\n<title>{}</title>\n\
         <link rel=\"stylesheet\" type=\"text/css\" href=\"{up}paper.css\"/>\n</head>\n{body}\n</html>\n",
        escape(title)
    )
}

fn title_page(paper: &Paper) -> String {
    page(paper, "", &paper.title, &super::title(paper))
}

/// The table of contents: the parts, and the pages in them.
fn contents(paper: &Paper) -> String {
    let mut items = String::new();
    for (part, sheets) in super::parts(paper) {
        let mut list = String::new();
        for sheet in sheets {
            let title = escape(&sheet.title);
            list.push_str(&format!(
                "<li><a href=\"{}.xhtml\">{title}</a></li>\n",
                sheet.path
            ));
        }
        items.push_str(&match part {
            Some(part) => format!(
                "<li><span>{}</span>\n<ol>\n{list}</ol>\n</li>\n",
                escape(part)
            ),
            None => list,
        });
    }
    let body = format!(
        "<body>\n<nav epub:type=\"toc\" id=\"toc\">\n<h1>Contents</h1>\n<ol>\n{items}</ol>\n</nav>\n</body>"
    );
    page(paper, "", "Contents", &body)
}

/// A page of the book as XHTML.
fn xhtml(paper: &Paper, sheet: &Sheet) -> anyhow::Result<String> {
    let up = "../".repeat(sheet.path.matches('/').count());
    let mut html = sheet.html.clone();
    let links: Vec<_> = html.select(&selector("a[href]")).map(|a| a.id()).collect();
    for id in links {
        let node = html.tree.get(id);
        let link = node.as_ref().and_then(|node| node.value().as_element());
        let href = link.and_then(|link| link.attr("href")).unwrap_or_default();
        if let Some(to) = href.strip_prefix(INTERNAL) {
            let (path, place) = to.split_once('#').unwrap_or((to, ""));
            let mark = if place.is_empty() { "" } else { "#" };
            let href = format!("{up}{path}.xhtml{mark}{place}");
            set(html.tree.get_mut(id), "href", Some(&href));
        }
    }
    let body = html.select(&selector("body")).next();
    let body = body.context("the parser makes a body")?;
    let mut written = Vec::new();
    let options = SerializeOpts {
        traversal_scope: xml5ever::serialize::TraversalScope::IncludeNode,
    };
    serialize(&mut written, &body, options)?;
    let body = String::from_utf8(written)?;
    // Empty elements as XML writes them, which is what browsers take for the same.
    let body = EMPTY
        .iter()
        .fold(body, |body, (long, short)| body.replace(long, short));
    Ok(page(paper, &up, &sheet.title, &body))
}

const EMPTY: [(&str, &str); 2] = [("<br></br>", "<br/>"), ("<hr></hr>", "<hr/>")];

#[cfg(test)]
mod tests {
    use super::*;

    fn paper() -> Paper {
        let sheet = |path: &str, main: &str, part: Option<&str>| Sheet {
            html: super::super::document(main),
            path: path.to_string(),
            title: "A & B".to_string(),
            part: part.map(str::to_string),
        };
        Paper {
            title: "Book".to_string(),
            description: String::new(),
            authors: vec!["One".to_string()],
            language: "en".to_string(),
            sheets: vec![
                sheet(
                    "a",
                    "<p>1<br>2 &amp; <a href=\"book:part1/b#x\">b</a></p>",
                    None,
                ),
                sheet("part1/b", "<svg viewBox=\"0 0 1 1\"></svg>", Some("Part 1")),
            ],
        }
    }

    #[test]
    fn a_page_is_xhtml_and_links_to_others() {
        let paper = paper();
        let page = xhtml(&paper, &paper.sheets[0]).unwrap();
        assert!(page.contains("<title>A &amp; B</title>"), "{page}");
        assert!(page.contains("href=\"paper.css\""), "{page}");
        let link = "<p>1<br/>2 &amp; <a href=\"part1/b.xhtml#x\">b</a></p>";
        assert!(page.contains(link), "{page}");
        let page = xhtml(&paper, &paper.sheets[1]).unwrap();
        assert!(page.contains("href=\"../paper.css\""), "{page}");
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1 1\"></svg>";
        assert!(page.contains(svg), "{page}");
    }

    #[test]
    fn the_lists_name_every_page() {
        let paper = paper();
        let package = package(&paper);
        assert_eq!(package.matches("<itemref ").count(), 4);
        assert_eq!(package.matches("properties=\"svg\"").count(), 1);
        let contents = contents(&paper);
        assert!(contents.contains("<li><span>Part 1</span>\n<ol>\n<li><a href=\"part1/b.xhtml\">"));
    }

    #[test]
    fn a_time_is_written_as_a_date() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
        ] {
            assert_eq!(timestamp(seconds), expected);
        }
    }
}
