//! What is looked up: words of code by the search, terms by pointing at them, and the
//! chapters that have been read.

use super::{chromium, serve, Browser};
use serde_json::Value;
use std::path::Path;
use tests::{left_out, LIMIT};

#[test]
fn what_is_looked_up_is_found() {
    let Some(chromium) = chromium() else {
        return left_out("the search", "Chromium");
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lookup-pages");
    book::site::build(&book::root(), &folder).unwrap_or_else(|error| panic!("{error:#}"));
    let (address, reports) = serve(&folder, PROBE.to_string());
    let url = format!("http://{address}/__probe.html");
    let browser = Browser::start(&chromium, "lookup", &["--window-size=1600,1200", &url]);
    let report = reports
        .recv_timeout(LIMIT)
        .unwrap_or_else(|_| panic!("no report; see {}", browser.log.display()));
    assert_eq!(report["error"], Value::Null);

    // The first that each search finds, of many pages that have the word somewhere.
    for (word, expected) in [
        ("fork", "part3/processes.html"),
        ("EMFILE", "part3/leaked-descriptors.html"),
        ("emfile", "part3/leaked-descriptors.html"),
        ("SA_RESTART", "part3/interrupted-calls.html"),
    ] {
        let found = report["found"][word].as_array().unwrap();
        let first: Vec<&str> = found.iter().take(5).filter_map(Value::as_str).collect();
        let has = first.iter().any(|url| url.contains(expected));
        assert!(has, "the search for {word} finds {first:?}");
    }
    // Each of the first ones loops.
    let loops: Vec<Value> = report["loops"].as_array().unwrap().clone();
    assert!(loops.len() >= 5, "the search for `for` finds {loops:?}");
    for teaser in loops.iter().take(5).filter_map(Value::as_str) {
        assert!(teaser.contains("for"), "`for` stands not in {teaser}");
    }

    let said = report["said"].as_str().unwrap();
    let means = report["means"].as_str().unwrap();
    assert!(
        said.contains(means),
        "a term says {said} when it has the focus"
    );
    assert_eq!(report["silenced"], "none", "Escape leaves the term's words");
    assert_eq!(
        report["unread"], 0,
        "chapters are marked before anything was read"
    );
    let read = report["read"].as_array().unwrap();
    assert_eq!(read, &["part1/map.html"], "after its end was seen");
}

const PROBE: &str = r#"<!DOCTYPE html>
<html>
<body style="margin: 0">
<script>
'use strict';

const until = async (what, condition) => {
    for (let i = 0; i < 10_000; i++) {
        const value = condition();
        if (value) {
            return value;
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`waited for ${what}`);
};

async function open(page) {
    const frame = document.createElement('iframe');
    frame.style = 'border: 0; width: 1500px; height: 900px';
    frame.src = `/${page}`;
    const loaded = new Promise((resolve) => frame.onload = resolve);
    document.body.replaceChildren(frame);
    await loaded;
    return { win: frame.contentWindow, doc: frame.contentDocument };
}

async function look(report) {
    localStorage.clear();
    const { win, doc } = await open('part1/one-page.html');
    doc.querySelector('#mdbook-search-toggle').click();
    const bar = doc.querySelector('#mdbook-searchbar');
    const outer = doc.querySelector('#mdbook-searchbar-outer');
    report.found = {};
    for (const word of ['fork', 'EMFILE', 'emfile', 'SA_RESTART', 'for']) {
        bar.value = word;
        // Until the index has been loaded, the search looks for nothing.
        const links = await until(`results for ${word}`, () => {
            bar.dispatchEvent(new win.KeyboardEvent('keyup', { key: 'x', bubbles: true }));
            const header = doc.querySelector('#mdbook-searchresults-header').innerText;
            const links = [...doc.querySelectorAll('#mdbook-searchresults li a')];
            return header.endsWith(`'${word}':`) && links.length > 0 && links;
        });
        report.found[word] = links.map((link) => link.href);
    }
    report.loops = [...doc.querySelectorAll('#mdbook-searchresults li')].map((item) => item.innerText);

    const term = doc.querySelector('main .term');
    const said = () => win.getComputedStyle(term, '::after').content;
    term.focus({ focusVisible: true });
    report.means = term.getAttribute('aria-description');
    report.said = said();
    term.dispatchEvent(new win.KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
    report.silenced = said();

    const read = (doc) => [...doc.querySelectorAll('#mdbook-sidebar .chapter a.read')];
    report.unread = read(doc).length;
    const other = await open('part1/map.html');
    other.win.scrollTo(0, other.doc.documentElement.scrollHeight);
    await until('the mark of a chapter that was read', () => read(other.doc).length > 0);
    const back = await open('part1/one-page.html');
    const origin = `${location.origin}/`;
    report.read = read(back.doc).map((link) => link.href.replace(origin, ''));
    if (win.__errors.length > 0) {
        throw new Error(win.__errors.join('; '));
    }
}

const report = { error: null };
look(report).catch((error) => report.error = String(error.stack)).then(() => {
    fetch('/__report', { method: 'POST', body: JSON.stringify(report) });
});
</script>
</body>
</html>
"#;
