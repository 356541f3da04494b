//! Every page before axe-core, which knows what keeps people from reading a page.
//!
//! It comes from the npm registry, for these checks alone:
//! `npm install --no-save --prefix target/axe axe-core`. With `AXE_PAGES=part1/` it looks at
//! the pages whose paths contain that, and with `AXE_TIMES=1` it tells where the time went.
//!
//! A page is opened twice, and everything that opens on it is opened:
//!
//! - 360 px wide, with its scripts: all rules. They are applied again at 1600 px, where the
//!   table of contents stands beside the page. Between these widths the text wraps and wide
//!   things scroll, and nothing else changes; the parent module looks at 768 px too.
//! - 360 px wide, without its scripts: all rules but two, to what the book itself says.
//!   mdBook's frame around it is put in order by the scripts, and so is what scrolls.
//!
//! The rule for colours is by far the slowest. What it says follows from the text's colour,
//! its size and weight, and all that is painted behind it, and the same few combinations of
//! these come back on all pages. So every text of every page is looked up in all five themes,
//! each chosen in place, on the screen and on paper, and axe judges a combination where it is
//! met first. Where it cannot, because the text is under something else for instance, it is
//! asked again on two more pages. The parent module computes the contrast of all texts in all
//! themes, and leaves out the colours of highlighted code.
//!
//! What a page shows only after a key or a click, the list of themes, the search and the
//! help, is the same everywhere, so it is looked at on one page, in every theme.
//!
//! What the keyboard does is tried by the parent module. Of axe's rules, some say that what
//! scrolls can be reached, and that nothing hidden takes the focus.

use super::{chromium, pages, serve, source, Browser, THEMES, WIDTHS};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use tests::{left_out, LIMIT};

/// Where it is installed.
const AXE: &str = "target/axe/node_modules/axe-core/axe.min.js";

#[test]
fn no_page_has_a_violation() {
    let Some(chromium) = chromium() else {
        return left_out("axe", "Chromium");
    };
    let Ok(axe) = fs::read_to_string(book::root().join(AXE)) else {
        return left_out(
            "axe",
            "axe-core (npm install --no-save --prefix target/axe axe-core)",
        );
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("axe-pages");
    book::site::build(&book::root(), &folder).unwrap_or_else(|error| panic!("{error:#}"));
    fs::write(folder.join("__axe.js"), axe).unwrap();
    let mut pages = pages(&folder);
    pages.push("404.html".to_string());
    let asked = std::env::var("AXE_PAGES").unwrap_or_default();
    pages.retain(|page| page.contains(&asked));
    assert!(!pages.is_empty(), "no page's path contains {asked}");
    plain(&folder, &pages);

    // A browser for each core, and for each browser its share of the pages.
    let browsers = thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 4));
    let reports: Vec<Value> = thread::scope(|scope| {
        let look = |share: usize| {
            let share_of_pages = pages.iter().skip(share).step_by(browsers);
            look(
                &chromium,
                &folder,
                &share_of_pages.collect::<Vec<_>>(),
                share,
            )
        };
        let threads: Vec<_> = (0..browsers)
            .map(|share| scope.spawn(move || look(share)))
            .collect();
        let reports = threads.into_iter().map(|thread| thread.join().unwrap());
        reports.flatten().collect()
    });
    let mut seen: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for report in &reports {
        let page = report["page"].as_str().unwrap();
        for violation in report["violations"].as_array().unwrap() {
            let what = (source(page), violation.as_str().unwrap().to_string());
            let place = report["look"].as_str().unwrap().to_string();
            seen.entry(what).or_default().push(place);
        }
    }
    if std::env::var("AXE_TIMES").is_ok_and(|value| value == "1") {
        tell_times(&reports);
    }
    let seen = seen.iter();
    let seen: Vec<String> = seen
        .map(|((page, what), places)| format!("{page}: {what} ({})", places.join(", ")))
        .collect();
    assert!(seen.is_empty(), "axe says:\n{}", seen.join("\n"));
}

/// How long each way of looking took over all pages, and to how many texts the rule for
/// colours was applied.
fn tell_times(reports: &[Value]) {
    let mut times: BTreeMap<&str, (f64, u64)> = BTreeMap::new();
    for report in reports {
        let (time, texts) = times.entry(report["look"].as_str().unwrap()).or_default();
        *time += report["milliseconds"].as_f64().unwrap() / 1000.0;
        *texts += report["texts"].as_u64().unwrap();
    }
    for (look, (time, texts)) in times {
        println!("{time:6.1} s  {texts:5} texts  {look}");
    }
}

/// Each page once more, under `__plain`, as it is where scripts do not run.
fn plain(folder: &Path, pages: &[String]) {
    for page in pages {
        let text = fs::read_to_string(folder.join(page)).unwrap();
        let mut plain = String::new();
        let mut rest = &text[..];
        while let Some((before, script)) = rest.split_once("<script") {
            plain.push_str(before);
            rest = script
                .split_once("</script>")
                .map_or("", |(_, after)| after);
        }
        plain.push_str(rest);
        let plain = plain.replace("<noscript>", "").replace("</noscript>", "");
        // Its links are those of the page that it was made from.
        let base = page.rsplit_once('/').map_or("", |(folder, _)| folder);
        let base = format!("<head><base href=\"/{base}/\">").replace("//", "/");
        let file = folder.join("__plain").join(page);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, plain.replacen("<head>", &base, 1)).unwrap();
    }
}

/// Opens these pages in a browser of their own.
fn look(chromium: &Path, folder: &Path, pages: &[&String], share: usize) -> Vec<Value> {
    let probe = PROBE
        .replace("PAGES", &json!(pages).to_string())
        .replace("THEMES", &json!(THEMES).to_string())
        .replace("WIDTHS", &json!(WIDTHS).to_string())
        .replace("FIRST", &json!(share == 0).to_string());
    let (address, reports) = serve(folder, probe);
    let url = format!("http://{address}/__probe.html");
    let name = format!("axe-{share}");
    let browser = Browser::start(chromium, &name, &["--window-size=1600,1200", &url]);
    let mut all = Vec::new();
    loop {
        let report = reports.recv_timeout(LIMIT);
        let report = report.unwrap_or_else(|_| panic!("no report; see {}", browser.log.display()));
        if report == "done" {
            return all;
        }
        all.push(report);
    }
}

const PROBE: &str = r#"<!DOCTYPE html>
<html>
<body style="margin: 0">
<script>
'use strict';

const [NARROW, MIDDLE, WIDE] = WIDTHS;

// The combinations of colours that axe has judged, and on how many pages it was asked.
const judged = new Set();
const asked = new Map();
const MOST_TRIES = 3;

async function lookAt(page) {
    let frame = await open(page, 'as it opens', `/${page}?theme=${THEMES[0]}`);
    await report(page, `${THEMES[0]} ${NARROW} px`, async () => run(frame, frame.doc, ALL));
    await colours(page, frame, THEMES[0], NARROW, 'colours');
    await resize(frame, WIDE);
    await report(page, `${THEMES[0]} ${WIDE} px`, async () => run(frame, frame.doc, ALL));
    for (const theme of THEMES) {
        await choose(page, frame, theme);
        await colours(page, frame, theme, WIDE, 'colours');
    }
    if (FIRST && page === PAGES[0]) {
        await lookAtTheRest(page, frame);
    }
    await resize(frame, MIDDLE);
    [...frame.doc.styleSheets].forEach(print);
    for (const theme of THEMES) {
        await choose(page, frame, theme);
        await colours(page, frame, theme, MIDDLE, 'paper');
    }
    frame = await open(page, 'plain, as it opens', `/__plain/${page}`);
    await report(page, `plain ${NARROW} px`, async () => run(frame, frame.doc, PLAIN));
    await colours(page, frame, 'plain', NARROW, 'colours');
}

// What opens by a click or a key.
async function lookAtTheRest(page, frame) {
    const { doc } = frame;
    const open = {
        'the list of themes': ['mdbook-theme-list', (list) => list.style.display = 'block'],
        'the search': ['mdbook-search-wrapper', (search) => search.classList.remove('hidden')],
        'the help': ['mdbook-help-container', (help) => help.style.display = 'flex'],
    };
    for (const [name, [id, show]] of Object.entries(open)) {
        const box = doc.getElementById(id);
        const before = [box.style.display, box.className];
        show(box);
        await report(page, name, async () => run(frame, box, { ...ALL, rules: { ...ALL.rules, region: { enabled: false } } }));
        for (const theme of THEMES) {
            await choose(page, frame, theme);
            show(box);
            await report(page, `${theme} ${name}`, async () => run(frame, box, COLOURS));
        }
        [box.style.display, box.className] = before;
    }
}

// Without what is said of colours, which are looked at by themselves.
const ALL = { preload: false, rules: { 'color-contrast': { enabled: false } } };
const PLAIN = { preload: false, rules: {
    ...ALL.rules,
    region: { enabled: false },
    // Without scripts this is left to the browser, which makes wide tables reachable.
    'scrollable-region-focusable': { enabled: false },
} };
const COLOURS = { preload: false, runOnly: ['color-contrast'] };
// Of mdBook's own frame around a page where scripts do not run: the button and the list
// that the scripts would put in order.
const OUTSIDE = ['#mdbook-sidebar-toggle', '.sidebar-iframe-outer'];

async function open(page, look, url) {
    const box = document.createElement('iframe');
    const frame = { box };
    await report(page, look, async () => {
        box.style = `display: block; border: 0; width: ${NARROW}px; height: 900px`;
        box.src = url;
        const loaded = new Promise((resolve) => box.onload = resolve);
        document.body.replaceChildren(box);
        await loaded;
        const doc = box.contentDocument;
        Object.assign(frame, { win: box.contentWindow, doc, plain: url.startsWith('/__plain/') });
        const style = doc.createElement('style');
        style.textContent = '*, *::before, *::after { transition: none !important; animation: none !important }';
        doc.head.append(style);
        doc.querySelectorAll('details').forEach((details) => details.open = true);
        const script = doc.createElement('script');
        script.src = '/__axe.js';
        const ready = new Promise((resolve, reject) => [script.onload, script.onerror] = [resolve, reject]);
        doc.head.append(script);
        await ready;
        return [];
    });
    return frame;
}

// A page follows a new width with its next picture: the table of contents comes or goes.
async function resize({ box, win, doc }, width) {
    box.style.width = `${width}px`;
    const list = doc.getElementById('mdbook-sidebar-toggle-anchor');
    if (list.checked !== (width === WIDE)) {
        list.click();
    }
    await new Promise((resolve) => win.requestAnimationFrame(() => setTimeout(resolve)));
}

async function choose(page, { doc }, theme) {
    if (!doc.documentElement.classList.contains(theme)) {
        doc.getElementById(`mdbook-theme-${theme}`).click();
    }
    if (!doc.documentElement.classList.contains(theme)) {
        await report(page, theme, async () => ['the theme cannot be chosen']);
    }
}

// Has axe judge the colours that it has not judged yet.
async function colours(page, frame, theme, width, how) {
    await report(page, `${theme} ${width} px ${how}`, async (told) => {
        const combinations = new Map();
        for (const [element, combination] of texts(frame)) {
            const all = combinations.get(combination) || [];
            const open = !judged.has(combination) && (asked.get(combination) || 0) < MOST_TRIES;
            // Some may be under something else, so three of them.
            if (open && all.length < 3) {
                combinations.set(combination, [...all, element]);
            }
        }
        for (const combination of combinations.keys()) {
            asked.set(combination, (asked.get(combination) || 0) + 1);
        }
        const elements = [...combinations.values()].flat();
        told.texts = elements.length;
        return elements.length ? await run(frame, elements, COLOURS, (element) => {
            judged.add(combinationOf(frame.win, element, new Map()));
        }) : [];
    });
}

// The texts that are seen, each with what its contrast depends on.
function texts({ doc, win }) {
    const found = [];
    const grounds = new Map();
    for (const element of doc.body.querySelectorAll('*:not(script, style, noscript, title, desc)')) {
        if (![...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())) {
            continue;
        }
        const { left, right, width } = element.getBoundingClientRect();
        const seen = width > 0 && right > 0 && left < win.innerWidth;
        if (seen && element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) {
            found.push([element, combinationOf(win, element, grounds)]);
        }
    }
    return found;
}

function combinationOf(win, element, grounds) {
    const style = win.getComputedStyle(element);
    const text = [style.color, style.fontSize, style.fontWeight, style.textShadow];
    return `${text.join(' ')} on ${groundOf(win, element, grounds)}`;
}

// What is painted behind an element, from its own background to that of the page.
function groundOf(win, element, grounds) {
    if (!element) {
        return '';
    }
    if (!grounds.has(element)) {
        const { backgroundColor, backgroundImage, opacity } = win.getComputedStyle(element);
        const own = `${backgroundColor} ${backgroundImage} ${opacity}`.replace('rgba(0, 0, 0, 0) none 1', '');
        const behind = groundOf(win, element.parentElement, grounds);
        grounds.set(element, [own, behind].filter((layer) => layer).join(' over '));
    }
    return grounds.get(element);
}

async function run({ win, plain }, include, options, onJudged = () => {}) {
    const { violations, passes } = await win.axe.run(
        { include: [include].flat(), exclude: plain ? OUTSIDE.map((selector) => [selector]) : [] },
        { ...options, resultTypes: ['violations', 'passes'], elementRef: true },
    );
    if (options === COLOURS) {
        for (const { nodes } of [...violations, ...passes]) {
            nodes.forEach(({ element }) => onJudged(element));
        }
    }
    // Each reason once, with the first place.
    const reasons = new Map();
    for (const { id, help, nodes } of violations) {
        for (const { target, any, all, none } of nodes) {
            const why = any.concat(all, none).map((check) => check.message).join('; ');
            const reason = `${id}: ${help}: ${why}`;
            reasons.set(reason, reasons.get(reason) || `${reason}; such as ${target.join(' ')}`);
        }
    }
    return [...reasons.values()];
}

// What is meant for paper holds, and what is meant for the screen does not.
function print(sheet) {
    const change = (media) => {
        if (/\bprint\b/.test(media.mediaText)) {
            media.mediaText = 'all';
        } else if (/^(only )?screen$/.test(media.mediaText)) {
            media.mediaText = 'not all';
        }
    };
    change(sheet.media);
    for (const rule of sheet.cssRules) {
        if (rule.media) {
            change(rule.media);
        }
    }
}

async function report(page, look, action) {
    const began = performance.now();
    const told = { page, look, texts: 0, violations: [] };
    try {
        told.violations = await action(told);
    } catch (error) {
        told.violations = [`the probe fails: ${error && error.stack || error}`];
    }
    told.milliseconds = performance.now() - began;
    await post(told);
}

async function post(report) {
    await fetch('/__report', { method: 'POST', body: JSON.stringify(report) });
}

async function main() {
    for (const page of PAGES) {
        try {
            await lookAt(page);
        } catch (error) {
            await report(page, 'all', async () => { throw error; });
        }
    }
    await post('done');
}

main();
</script>
</body>
</html>
"#;
