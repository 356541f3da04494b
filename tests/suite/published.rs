//! The pages as they are published, under a path: what leads where, and what their heads
//! say of them.

use book::publish::{publish, Address, LONGEST_DESCRIPTION, PICTURE};
use scraper::{Html, Selector};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const SITE: &str = "https://example.org/some/path/";
const REPOSITORY: &str = "https://example.org/authors/course";

/// The folder of the pages.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("published");
    let address = Address::new(SITE, Some(REPOSITORY)).unwrap();
    // As a path that begins where the command is typed, and not at the top of the repository.
    let here = std::env::current_dir().unwrap();
    let mut typed: PathBuf = here.components().skip(1).map(|_| "..").collect();
    typed.extend(folder.components().skip(1));
    publish(&book::root(), &typed, &address).unwrap_or_else(|error| panic!("{error:#}"));
    folder
});

/// The pages by their paths.
fn pages() -> BTreeMap<String, Html> {
    let mut pages = BTreeMap::new();
    let mut folders = vec![FOLDER.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                folders.push(file);
            } else if file.extension().is_some_and(|end| end == "html") {
                let html = Html::parse_document(&fs::read_to_string(&file).unwrap());
                let path = file.strip_prefix(&*FOLDER).unwrap();
                pages.insert(path.to_string_lossy().into_owned(), html);
            }
        }
    }
    pages
}

/// The values of an attribute of what is selected.
fn all(page: &Html, css: &str, attribute: &str) -> Vec<String> {
    let selector = Selector::parse(css).unwrap();
    let values = page
        .select(&selector)
        .filter_map(|found| found.attr(attribute));
    values.map(str::to_string).collect()
}

fn one(page: &Html, css: &str, attribute: &str) -> Option<String> {
    let mut values = all(page, css, attribute);
    assert!(values.len() <= 1, "{css}: {values:?}");
    values.pop()
}

/// The chapters: the pages that have an address of their own.
fn chapters(pages: &BTreeMap<String, Html>) -> BTreeMap<&str, &Html> {
    let chapter = |path: &&String| !["404.html", "print.html", "toc.html"].contains(&path.as_str());
    let is_redirect = |page: &Html| !all(page, "meta[http-equiv=refresh]", "content").is_empty();
    let paths = pages
        .keys()
        .filter(chapter)
        .map(|path| (path.as_str(), &pages[path]));
    paths.filter(|(_, page)| !is_redirect(page)).collect()
}

/// Where a link on a page leads, as a browser takes it; none if it leaves the host.
fn target(page: &str, base: Option<&str>, link: &str) -> Option<String> {
    let link = link.split(['#', '?']).next().unwrap_or_default();
    let link = link.strip_prefix("https://example.org").unwrap_or(link);
    if link.contains("://") || link.starts_with("mailto:") || link.starts_with("data:") {
        return None;
    }
    if link.starts_with('/') {
        return Some(link.to_string());
    }
    let here = match base {
        Some(base) => base.to_string(),
        None => format!("/some/path/{page}"),
    };
    let mut parts: Vec<&str> = here.split('/').collect();
    parts.pop();
    if link.is_empty() {
        return Some(here);
    }
    for part in link.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[test]
fn links_lead_somewhere_under_the_path() {
    let mut wrong = BTreeSet::new();
    let mut followed = 0;
    for (path, page) in pages() {
        let base = one(&page, "base", "href");
        let mut links = Vec::new();
        for (css, attribute) in [
            ("a[href], link[href]", "href"),
            ("img[src], script[src], iframe[src]", "src"),
            (
                "meta[property='og:image'], meta[property='og:url']",
                "content",
            ),
        ] {
            links.extend(all(&page, css, attribute));
        }
        for link in links {
            if link.starts_with(REPOSITORY) {
                continue;
            }
            let Some(target) = target(&path, base.as_deref(), &link) else {
                continue;
            };
            followed += 1;
            let file = target.strip_prefix("/some/path/").map(|path| match path {
                "" => FOLDER.join("index.html"),
                path => FOLDER.join(path),
            });
            if !file.is_some_and(|file| file.is_file()) {
                wrong.insert(format!("{path}: {link} leads to {target}"));
            }
        }
    }
    assert!(followed > 1000, "{followed} links");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_page_says_what_it_is_and_where() {
    let pages = pages();
    let chapters = chapters(&pages);
    let mut descriptions = BTreeMap::new();
    let mut addresses = BTreeSet::new();
    for (path, page) in &chapters {
        let here = match *path {
            "index.html" | "introduction.html" => SITE.to_string(),
            path => format!("{SITE}{path}"),
        };
        let canonical = one(page, "link[rel=canonical]", "href");
        assert_eq!(canonical.as_deref(), Some(here.as_str()), "{path}");
        let of = |property: &str| one(page, &format!("meta[property='{property}']"), "content");
        assert_eq!(of("og:url"), canonical, "{path}");
        assert_eq!(of("og:image").unwrap(), format!("{SITE}{}", PICTURE.0));
        let title = Selector::parse("title").unwrap();
        let title = page
            .select(&title)
            .next()
            .unwrap()
            .text()
            .collect::<String>();
        assert!(
            title.starts_with(&of("og:title").unwrap()),
            "{path}: {title}"
        );

        let description = one(page, "meta[name=description]", "content").unwrap();
        assert_eq!(of("og:description"), Some(description.clone()), "{path}");
        let length = description.chars().count();
        assert!(length <= LONGEST_DESCRIPTION, "{path}: {description}");
        let ends = description.ends_with(['.', '…', '?']);
        assert!(ends, "{path} is described by a piece: {description}");
        if addresses.insert(here) {
            let other = descriptions.insert(description, path);
            assert_eq!(other, None, "{path} is described by the same words");
        }
        // What differs on the web is mended there.
        let edit = all(page, "a[href*='/edit/main/']", "href").pop();
        let edit = edit.unwrap_or_else(|| panic!("{path} does not lead to its source"));
        let source = edit
            .strip_prefix(&format!("{REPOSITORY}/edit/main/"))
            .unwrap();
        assert!(book::root().join(source).is_file(), "{path}: {edit}");
    }
    let sitemap = fs::read_to_string(FOLDER.join("sitemap.xml")).unwrap();
    let listed = sitemap.split("<loc>").skip(1);
    let listed = listed.map(|rest| rest.split_once("</loc>").unwrap().0.to_string());
    assert_eq!(listed.collect::<BTreeSet<String>>(), addresses);
}

#[test]
fn the_picture_has_the_size_that_previews_are_told() {
    let (path, width, height) = PICTURE;
    let picture = fs::read(FOLDER.join(path)).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"), "it is no PNG");
    let number = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
    assert_eq!((number(16), number(20)), (width, height));
    assert!(picture.len() < 300_000, "{} bytes", picture.len());
}
