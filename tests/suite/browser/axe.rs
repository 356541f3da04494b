//! Every page before axe-core, which knows what keeps people from reading a page.
//!
//! It comes from the npm registry, for these checks alone:
//! `npm install --no-save --prefix target/axe axe-core`. With `AXE_PAGES=part1/` it looks at
//! the pages whose paths contain that.

use super::{chromium, pages, serve, source, Browser, THEMES, WIDTHS};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use tests::{left_out, LIMIT};

/// Where it is installed.
const AXE: &str = "target/axe/node_modules/axe-core/axe.min.js";

/// How a page is looked at: in a theme, at a width, and perhaps as on paper, or as it is
/// without its scripts.
#[derive(Clone, Copy, Debug)]
struct Look {
    theme: &'static str,
    width: u32,
    how: &'static str,
}

/// What depends on a theme are colours alone. So one theme is looked at in all ways, and
/// the others for their colours.
fn looks(theme: &'static str) -> Vec<Look> {
    let look = |width, how| Look { theme, width, how };
    let mut looks = vec![look(WIDTHS[1], "colours"), look(WIDTHS[1], "paper")];
    if theme == THEMES[0] {
        looks = vec![
            look(WIDTHS[0], "all"),
            look(WIDTHS[2], "all but colours"),
            look(WIDTHS[1], "paper"),
            look(WIDTHS[0], "plain"),
        ];
    }
    looks
}

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
    plain(&folder);
    let pages = pages(&folder);
    let asked = std::env::var("AXE_PAGES").unwrap_or_default();
    let pages = pages.iter().filter(|page| page.contains(&asked));
    let pages: Vec<&String> = pages.filter(|page| !page.starts_with("__plain")).collect();

    let reports: Vec<Value> = thread::scope(|scope| {
        let look = |theme| look(&chromium, &folder, &pages, theme);
        let threads = THEMES.map(|theme| scope.spawn(move || look(theme)));
        let reports = threads.map(|thread| thread.join().unwrap());
        reports.into_iter().flatten().collect()
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
    let seen = seen.iter();
    let seen: Vec<String> = seen
        .map(|((page, what), places)| format!("{page}: {what} ({})", places.join(", ")))
        .collect();
    assert!(seen.is_empty(), "axe says:\n{}", seen.join("\n"));
}

/// Each page once more, under `__plain`, as it is where scripts do not run.
fn plain(folder: &Path) {
    for page in pages(folder) {
        let text = fs::read_to_string(folder.join(&page)).unwrap();
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
        let file = folder.join("__plain").join(&page);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, plain.replacen("<head>", &base, 1)).unwrap();
    }
}

fn look(chromium: &Path, folder: &Path, pages: &[&String], theme: &'static str) -> Vec<Value> {
    let looks = looks(theme);
    let described = looks
        .iter()
        .map(|look| json!({ "theme": look.theme, "width": look.width, "how": look.how }));
    let probe = PROBE
        .replace("PAGES", &json!(pages).to_string())
        .replace("LOOKS", &Value::from_iter(described).to_string());
    let (address, reports) = serve(folder, probe);
    let url = format!("http://{address}/__probe.html");
    let browser = Browser::start(
        chromium,
        &format!("axe-{theme}"),
        &["--window-size=1600,1200", &url],
    );
    let mut all = Vec::new();
    for _ in 0..pages.len() * looks.len() {
        let report = reports.recv_timeout(LIMIT);
        all.push(report.unwrap_or_else(|_| panic!("no report; see {}", browser.log.display())));
    }
    all
}

const PROBE: &str = r#"<!DOCTYPE html>
<html>
<body style="margin: 0">
<script>
'use strict';

async function look(page, { theme, width, how }) {
    const box = document.createElement('iframe');
    box.style = `display: block; border: 0; width: ${width}px; height: 900px`;
    box.src = how === 'plain' ? `/__plain/${page}` : `/${page}?theme=${theme}`;
    const loaded = new Promise((resolve) => box.onload = resolve);
    document.body.replaceChildren(box);
    await loaded;
    const win = box.contentWindow;
    const doc = box.contentDocument;
    const style = doc.createElement('style');
    style.textContent = '*, *::before, *::after { transition: none !important; animation: none !important }';
    doc.head.append(style);
    if (how === 'paper') {
        [...doc.styleSheets].forEach(print);
    }
    if (how !== 'plain' && !doc.documentElement.classList.contains(theme)) {
        return [`has not the theme ${theme}`];
    }
    doc.querySelectorAll('details').forEach((details) => details.open = true);
    const script = doc.createElement('script');
    script.src = '/__axe.js';
    const ready = new Promise((resolve, reject) => [script.onload, script.onerror] = [resolve, reject]);
    doc.head.append(script);
    await ready;
    const options = {
        colours: { runOnly: ['color-contrast'] },
        paper: { runOnly: ['color-contrast'] },
        all: {},
    }[how] || { rules: {
        'color-contrast': { enabled: false },
        region: { enabled: how !== 'plain' },
        // Without scripts this is left to the browser, which makes wide tables reachable.
        'scrollable-region-focusable': { enabled: how !== 'plain' },
    } };
    // Of mdBook's own frame around a page where scripts do not run: the button and the list
    // that the scripts would put in order.
    const frame = how === 'plain' ? [['#mdbook-sidebar-toggle'], ['.sidebar-iframe-outer']] : [];
    const { violations } = await win.axe.run(
        { include: [doc], exclude: frame },
        { ...options, resultTypes: ['violations'] },
    );
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

async function main() {
    for (const page of PAGES) {
        for (const asked of LOOKS) {
            const { theme, width, how } = asked;
            const report = { page, look: `${theme} ${width} px ${how}`, violations: [] };
            try {
                report.violations = await look(page, asked);
            } catch (error) {
                report.violations = [`the probe fails: ${error && error.stack || error}`];
            }
            await fetch('/__report', { method: 'POST', body: JSON.stringify(report) });
        }
    }
}

main();
</script>
</body>
</html>
"#;
