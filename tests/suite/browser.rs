//! The book in a browser: what only a browser can tell.
//!
//! `cargo test --test suite --features tests/browser browser::`
//!
//! Every page is laid out in all five themes, and in the two default ones at three
//! widths. Nothing may be pushed off the page; figures must be legible, also as images;
//! a page asks nobody but its own server, and runs without errors; what is copied can
//! be typed, with a clipboard and without; the keyboard reaches what the mouse does, the
//! bar at the top too; paper shows what is folded away. With `SCREENSHOTS=1` the test also leaves a
//! picture of every page in `target/screenshots`.
//!
//! The modules `lookup` and `axe` look at what can be looked up, and at what axe-core finds.
//!
//! A small file server serves the built book, and beside it a probe page. The
//! probe opens the pages in a frame, one after the other, looks at them, and
//! posts what it finds to the same server. It stands at the end of this file.

mod axe;
mod lookup;
#[cfg(target_os = "linux")]
mod pictures;

use nix::sys::signal::{killpg, Signal};
use nix::unistd::Pid;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::Arc;
use std::thread;
use std::time::Instant;
use tests::server::end_with_parent;
use tests::{has_tool, left_out, wait_for, LIMIT};

/// All themes: first the two that `book.toml` makes the default ones.
const THEMES: [&str; 5] = ["light", "navy", "rust", "coal", "ayu"];

/// A phone, a tablet, and a window with the table of contents beside the page.
const WIDTHS: [u32; 3] = [360, 768, 1600];

/// The widths at which a theme is looked at. Only colours differ, so one will do for
/// those that nobody has asked for.
fn widths(theme: &str) -> &'static [u32] {
    match theme {
        "light" | "navy" => &WIDTHS,
        _ => &WIDTHS[1..2],
    }
}

/// The widths of the pictures, after the width at which their height is taken.
const PICTURES: [(u64, u32); 2] = [(360, 360), (768, 1280)];

#[test]
fn every_page_is_sound_in_a_browser() {
    let Some(chromium) = chromium() else {
        return left_out("the browser checks", "Chromium");
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser-pages");
    book::site::build(&book::root(), &folder).unwrap_or_else(|error| panic!("{error:#}"));
    let pages = pages(&folder);
    assert!(!pages.is_empty(), "the book has no pages");
    assert!(!figures(&folder).is_empty(), "the book has no figures");

    // One browser for each theme: they share nothing, and run side by side.
    let views: Vec<View> = thread::scope(|scope| {
        let look = |theme| look(&chromium, &folder, &pages, theme);
        let threads = THEMES.map(|theme| scope.spawn(move || look(theme)));
        let views = threads.map(|thread| thread.join().unwrap());
        views.into_iter().flatten().collect()
    });
    if std::env::var("SCREENSHOTS").is_ok_and(|value| value == "1") {
        take_pictures(&chromium, &folder, &views);
    }
    let problems = problems(&views);
    assert!(
        problems.is_empty(),
        "in the browser:\n{}",
        problems.join("\n")
    );
}

/// A page, as it was seen in one theme and at one width.
struct View {
    page: String,
    theme: &'static str,
    width: u64,
    height: u64,
    problems: Vec<String>,
}

/// Where Chromium is, under any of its names.
fn chromium() -> Option<PathBuf> {
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    let apps = [
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ];
    let name = names.into_iter().find(|name| has_tool(name));
    let app = || apps.into_iter().find(|app| Path::new(app).is_file());
    name.or_else(app).map(PathBuf::from)
}

/// The pages of the book by their paths, without those that mdBook adds: the
/// whole book to print, its table of contents, redirects, the page for a path
/// that does not exist, and the first chapter once more.
fn pages(folder: &Path) -> Vec<String> {
    let mut pages = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(under) = folders.pop() {
        for entry in fs::read_dir(under).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "html")
            {
                let moves = fs::read_to_string(&path).unwrap();
                let moves = moves.contains("http-equiv=\"refresh\"");
                let name = path.strip_prefix(folder).unwrap().to_string_lossy();
                let added = ["print.html", "toc.html", "404.html", "index.html"];
                if !moves && !added.contains(&&*name) {
                    pages.push(name.into_owned());
                }
            }
        }
    }
    pages.sort();
    pages
}

/// The paths of the figures.
fn figures(folder: &Path) -> Vec<String> {
    let figures = fs::read_dir(folder.join("figures")).unwrap();
    let names = figures.map(|entry| entry.unwrap().file_name());
    let mut figures: Vec<String> = names
        .map(|name| format!("figures/{}", name.to_string_lossy()))
        .collect();
    figures.sort();
    figures
}

/// Opens every page at every width in one theme.
fn look(chromium: &Path, folder: &Path, pages: &[String], theme: &'static str) -> Vec<View> {
    let probe = PROBE
        .replace("PAGES", &json!(pages).to_string())
        .replace("FIGURES", &json!(figures(folder)).to_string())
        .replace("WIDTHS", &json!(widths(theme)).to_string())
        .replace("THEME", &json!(theme).to_string());
    let (address, reports) = serve(folder, probe);
    let url = format!("http://{address}/__probe.html");
    let browser = Browser::start(chromium, theme, &["--window-size=1600,1200", &url]);
    let mut views = Vec::new();
    for page in pages {
        for width in widths(theme) {
            let report = reports.recv_timeout(LIMIT).unwrap_or_else(|_| {
                let log = browser.log.display();
                panic!("{page}, {theme}, {width} px: no report within {LIMIT:?}; see {log}")
            });
            let problems = report["problems"].as_array().unwrap();
            views.push(View {
                page: report["page"].as_str().unwrap().to_string(),
                theme,
                width: report["width"].as_u64().unwrap(),
                height: report["height"].as_u64().unwrap(),
                problems: problems
                    .iter()
                    .map(|problem| problem.as_str().unwrap().to_string())
                    .collect(),
            });
        }
    }
    views
}

/// One line for each problem, with all the places where it was seen.
fn problems(views: &[View]) -> Vec<String> {
    let mut seen: BTreeMap<(&str, &str), Vec<&View>> = BTreeMap::new();
    for view in views {
        for problem in &view.problems {
            seen.entry((&view.page, problem)).or_default().push(view);
        }
    }
    seen.into_iter()
        .map(|((page, problem), views)| format!("{} ({}): {problem}", source(page), places(&views)))
        .collect()
}

/// Where a problem was seen, such as `light; navy at 360, 768 px`.
fn places(views: &[&View]) -> String {
    let in_theme = |theme: &str| {
        let of_theme = views.iter().filter(|view| view.theme == theme);
        let mut widths: Vec<String> = of_theme.map(|view| view.width.to_string()).collect();
        widths.dedup();
        match widths.len() {
            0 => None,
            all if all == self::widths(theme).len() => Some(theme.to_string()),
            _ => Some(format!("{theme} at {} px", widths.join(", "))),
        }
    };
    let places: Vec<String> = THEMES.into_iter().filter_map(in_theme).collect();
    places.join("; ")
}

/// The chapter that a page was made of, to name the place to mend.
fn source(page: &str) -> String {
    let chapter = Path::new("book").join(page).with_extension("md");
    match book::root().join(&chapter).is_file() {
        true => chapter.display().to_string(),
        false => page.to_string(),
    }
}

/// Leaves a picture of every page, from top to bottom, in `target/screenshots`.
fn take_pictures(chromium: &Path, folder: &Path, views: &[View]) {
    let pictures = book::root().join("target/screenshots");
    fs::create_dir_all(&pictures).unwrap();
    let (address, _reports) = serve(folder, String::new());
    let take = |view: &View, width: u32| {
        let View { page, theme, .. } = view;
        let name = page.trim_end_matches(".html").replace('/', "-");
        let file = pictures.join(format!("{name}-{width}-{theme}.png"));
        let _ = fs::remove_file(&file);
        // Chromium draws no more than this in one piece.
        let height = view.height.min(16_000);
        let arguments = [
            &*format!("--window-size={width},{height}"),
            &*format!("--screenshot={}", file.display()),
            &*format!("http://{address}/{page}?theme={theme}"),
        ];
        let mut browser = Browser::start(chromium, &format!("pictures-{theme}"), &arguments);
        wait_for("the screenshot", || browser.child.try_wait().unwrap());
        assert!(file.is_file(), "there is no {}", file.display());
    };
    thread::scope(|scope| {
        for theme in THEMES {
            scope.spawn(move || {
                for view in views.iter().filter(|view| view.theme == theme) {
                    for (seen, width) in PICTURES {
                        if view.width == seen {
                            take(view, width);
                        }
                    }
                }
            });
        }
    });
}

/// A running Chromium. Dropping it ends it, with all its processes, and removes
/// what it wrote.
struct Browser {
    child: Child,
    profile: PathBuf,
    log: PathBuf,
}

impl Browser {
    fn start(chromium: &Path, name: &str, arguments: &[&str]) -> Browser {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let name = format!("browser-{}-{name}", std::process::id());
        let profile = folder.join(&name);
        let log = folder.join(format!("{name}.log"));
        let mut command = Command::new(chromium);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-sync",
            "--disable-breakpad",
            "--disable-component-update",
            "--disable-background-networking",
            "--no-first-run",
            "--hide-scrollbars",
            // Whatever a page asks for, no other host is ever reached.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ]);
        command.arg(format!("--user-data-dir={}", profile.display()));
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&log).unwrap());
        end_with_parent(&mut command);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}", chromium.display()));
        Browser {
            child,
            profile,
            log,
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.child.id() as i32);
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
        // Its socket and a cookie stand in a folder elsewhere, to which the
        // profile has links.
        for name in ["SingletonSocket", "SingletonCookie"] {
            if let Ok(socket) = fs::read_link(self.profile.join("SingletonSocket")) {
                let _ = fs::remove_file(socket.with_file_name(name));
                let _ = socket.parent().map(fs::remove_dir);
            }
        }
        // Its other processes are ended too, but may not be gone yet.
        let start = Instant::now();
        while self.profile.exists() && start.elapsed() < LIMIT {
            let _ = fs::remove_dir_all(&self.profile);
        }
        if !thread::panicking() {
            let _ = fs::remove_file(&self.log);
        }
    }
}

/// Serves the files of `folder`, and the probe, and gives the reports that come
/// in. The threads end with the test.
fn serve(folder: &Path, probe: String) -> (SocketAddr, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, reports) = mpsc::channel();
    let site = Arc::new((folder.to_path_buf(), probe));
    thread::spawn(move || {
        // A thread for each connection: a browser opens some before it has
        // anything to ask.
        for stream in listener.incoming().flatten() {
            let (site, sender) = (Arc::clone(&site), sender.clone());
            thread::spawn(move || answer(&stream, &site.0, &site.1, &sender));
        }
    });
    (address, reports)
}

/// Answers one request and closes the connection.
fn answer(
    mut stream: &TcpStream,
    folder: &Path,
    probe: &str,
    reports: &Sender<Value>,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let target = head.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let body = match path {
        "/__report" => {
            let length = header(&head, "content-length");
            let mut report = vec![0; length.and_then(|text| text.parse().ok()).unwrap_or(0)];
            reader.read_exact(&mut report)?;
            // Nobody listens once the test has failed.
            let _ = reports.send(serde_json::from_slice(&report)?);
            Some(Vec::new())
        }
        "/__probe.html" => Some(probe.into()),
        "/__watch.js" => Some(WATCH.into()),
        path => fs::read(folder.join(path.trim_start_matches('/'))).ok(),
    };
    let status = match body.is_some() {
        true => "200 OK",
        false => "404 Not Found",
    };
    let mut body = body.unwrap_or_default();
    let (kind, keep) = match path.rsplit('.').next() {
        Some("html") => ("text/html; charset=utf-8", "no-store"),
        Some("css") => ("text/css", "max-age=600"),
        Some("js") => ("text/javascript", "max-age=600"),
        Some("svg") => ("image/svg+xml", "max-age=600"),
        Some("woff2") => ("font/woff2", "max-age=600"),
        _ => ("application/octet-stream", "no-store"),
    };
    if kind.starts_with("text/html") {
        // First of all scripts: it sets the theme and listens for errors.
        let page = String::from_utf8_lossy(&body);
        let watched = page.replacen("<head>", "<head><script src=\"/__watch.js\"></script>", 1);
        body = watched.into_bytes();
    }
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Cache-Control: {keep}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&body)
}

/// The value of a header field, by its name in lower case.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut found = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim())
}

/// Runs in every page before anything else.
const WATCH: &str = r#"
{
    const theme = new URLSearchParams(location.search).get('theme');
    if (theme) {
        localStorage.setItem('mdbook-theme', theme);
    }
    window.__errors = [];
    addEventListener('error', (event) => {
        const file = event.filename.replace(location.origin, '').split('?')[0];
        __errors.push(`${event.message} (${file}:${event.lineno})`);
    });
    addEventListener('unhandledrejection', (event) => __errors.push(String(event.reason)));
    console.error = (...words) => __errors.push(words.join(' '));
}
"#;

/// The probe page.
const PROBE: &str = r#"<!DOCTYPE html>
<html>
<head></head>
<body style="margin: 0">
<script>
'use strict';

// Contrast of text, as WCAG asks for at level AA.
const LEAST_CONTRAST = 4.5;
// CSS pixels.
const SMALLEST_TEXT = 9;
// Highlighted code has the colours of mdBook.
const COLOURS_OF_MDBOOK = '[class*="hljs-"], [class*="hljs-"] *';

async function main() {
    let figures = THEME === 'light' ? FIGURES : []; // they know nothing of themes
    for (const page of PAGES) {
        for (const width of WIDTHS) {
            const report = { page, width, height: 0, problems: [] };
            try {
                await look(page, width, report);
                for (const figure of figures) {
                    await checkImage(figure, (problem) => report.problems.push(problem));
                }
                if (figures.length > 0) {
                    await checkPrintPage((problem) => report.problems.push(problem));
                }
                figures = []; // with the first page
            } catch (error) {
                report.problems.push(`the probe fails: ${error.stack}`);
            }
            await fetch('/__report', { method: 'POST', body: JSON.stringify(report) });
        }
    }
}

async function look(page, width, report) {
    const frame = document.createElement('iframe');
    frame.style = `display: block; border: 0; width: ${width}px; height: 900px`;
    frame.src = `/${page}?theme=${THEME}`;
    const loaded = new Promise((resolve) => frame.onload = resolve);
    document.body.append(frame);
    await loaded;
    const win = frame.contentWindow;
    const doc = frame.contentDocument;
    await doc.fonts.ready;
    report.height = doc.documentElement.scrollHeight;

    const style = doc.createElement('style');
    style.textContent = '*, *::before, *::after { transition: none !important; animation: none !important }';
    doc.head.append(style);

    // Of the elements of a kind with the same problem only the first is told.
    const kinds = new Map();
    const say = (what, problem, kind = what) => {
        const all = kinds.get(`${kind} ${problem}`) || { what, problem, others: new Set() };
        all.others.add(what);
        kinds.set(`${kind} ${problem}`, all);
    };
    const place = { win, doc, main: doc.querySelector('main'), say };
    if (!doc.documentElement.classList.contains(THEME)) {
        say('the page', `has not the theme ${THEME}`);
    }
    checkPrint(place);
    doc.querySelectorAll('details').forEach((details) => details.open = true);
    checkWidth(place);
    checkFigures(place);
    checkTexts(place);
    await checkHunks(place);
    await checkTranscripts(place);
    checkNames(place);
    checkHeadings(place);
    checkKeyboard(place);
    await checkBar(place);
    checkHosts(place);
    // What has been thrown so far is told to the listeners by then.
    await new Promise((resolve) => setTimeout(resolve));
    win.__errors.forEach((error) => say('JavaScript', error));
    for (const { what, problem, others } of kinds.values()) {
        const more = others.size > 1 ? ` and ${others.size - 1} more` : '';
        report.problems.push(`${what}${more}: ${problem}`);
    }
    frame.remove();
}

// Nothing makes the page, or what the text stands in, scroll sideways.
function checkWidth({ win, main, say }) {
    for (let box = main; box; box = box.parentElement) {
        if (box.scrollWidth > box.clientWidth) {
            const culprit = [...box.querySelectorAll('*')].find((element) => {
                return sticksOut(win, element, box);
            });
            const what = culprit ? describe(culprit) : describe(box);
            say(what, `makes the page scroll sideways: ${box.scrollWidth} px in ${box.clientWidth} px`);
            return;
        }
    }
}

// Whether an element ends right of a box, and nothing between them cuts it off.
function sticksOut(win, element, box) {
    const right = box.getBoundingClientRect().left + box.clientLeft + box.clientWidth;
    if (element.getBoundingClientRect().right <= right + 0.5) {
        return false;
    }
    for (let above = element.parentElement; above !== box; above = above.parentElement) {
        if (win.getComputedStyle(above).overflowX !== 'visible') {
            return false;
        }
    }
    return true;
}

// The text of a figure can be read, and is all there.
function checkFigures({ win, main, say }) {
    for (const svg of main.querySelectorAll('figure svg')) {
        const whole = svg.getBoundingClientRect();
        if (whole.width === 0 || whole.height === 0) {
            say(describe(svg), 'is not visible');
        }
        for (const text of svg.querySelectorAll('*')) {
            const box = text.getBoundingClientRect();
            if (!hasText(text) || text.matches('title, desc, style') || box.width === 0) {
                continue;
            }
            const what = `"${shorten(text)}" in ${describe(svg)}`;
            const style = win.getComputedStyle(text);
            const matrix = text.getScreenCTM ? text.getScreenCTM() : svg.getScreenCTM();
            const scale = Math.sqrt(Math.abs(matrix.a * matrix.d - matrix.b * matrix.c));
            const size = parseFloat(style.fontSize) * scale;
            if (size < SMALLEST_TEXT) {
                say(what, `is ${size.toFixed(1)} px high; the least is ${SMALLEST_TEXT} px`);
            }
            if (box.left < whole.left - 1 || box.right > whole.right + 1
                || box.top < whole.top - 1 || box.bottom > whole.bottom + 1) {
                say(what, 'sticks out of the figure');
            }
            const isSvg = text instanceof win.SVGElement;
            const colour = rgba(isSvg ? style.fill : style.color);
            colour[3] *= (isSvg ? parseFloat(style.fillOpacity) : 1) * opacity(win, text);
            const under = shapesUnder(win, svg, text, backgroundOf(win, svg));
            checkContrast(say, what, what, colour, under);
        }
    }
}

// What the shapes of a figure that were drawn before a text put under its middle.
function shapesUnder(win, svg, text, background) {
    const box = text.getBoundingClientRect();
    const middle = new DOMPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
    for (const shape of svg.querySelectorAll('rect, circle, ellipse, path, polygon, polyline')) {
        const before = shape.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING;
        const style = win.getComputedStyle(shape);
        const matrix = shape.getScreenCTM();
        if (!before || !matrix || style.fill === 'none' || shape.closest('defs, marker')) {
            continue;
        }
        if (shape.isPointInFill(middle.matrixTransform(matrix.inverse()))) {
            const colour = rgba(style.fill);
            colour[3] *= parseFloat(style.fillOpacity) * opacity(win, shape);
            background = over(colour, background);
        }
    }
    return background;
}

// All other text stands out from what is behind it.
function checkTexts({ win, main, say }) {
    for (const element of main.querySelectorAll('*')) {
        if (!hasText(element) || element.closest('svg') || element.matches(COLOURS_OF_MDBOOK)) {
            continue;
        }
        if (element.getClientRects().length === 0 || win.getComputedStyle(element).visibility !== 'visible') {
            continue;
        }
        checkText(win, say, element, null);
        if (element.matches('.transcript .command')) {
            checkText(win, say, element, '::before');
        }
    }
}

function checkText(win, say, element, pseudo) {
    const style = win.getComputedStyle(element, pseudo);
    const colour = rgba(style.color);
    colour[3] *= opacity(win, element) * (pseudo ? parseFloat(style.opacity) : 1);
    const what = (pseudo ? 'the prompt of ' : '') + describe(element);
    const kind = (pseudo || '') + kindOf(element);
    checkContrast(say, what, kind, colour, backgroundOf(win, element));
}

// What is typed and what goes is told apart by more than colours; the marks are seen at
// every width, and neither selected nor copied.
async function checkHunks({ win, doc, main, say }) {
    for (const hunk of main.querySelectorAll('.hunk')) {
        const what = describe(hunk);
        const kind = kindOf(hunk);
        const code = hunk.querySelector('code');
        const added = [...code.querySelectorAll(':scope > ins')];
        const removed = [...code.querySelectorAll(':scope > del')];
        for (const line of hunk.matches('.whole') ? [] : [...added, ...removed]) {
            const mark = win.getComputedStyle(line, '::before').content.split(' ')[0];
            const bar = parseFloat(win.getComputedStyle(line).borderInlineStartWidth);
            if (mark !== (line.matches('ins') ? '"+"' : '"\u{2212}"') || bar < 3) {
                say(what, `a line that changes has the mark ${mark} and a bar of ${bar} px`, kind);
            }
        }
        for (const text of code.querySelectorAll(':scope > del > span')) {
            if (!win.getComputedStyle(text).textDecorationLine.includes('line-through')) {
                say(what, 'a line that goes is not struck', kind);
            }
        }
        if (code.scrollWidth > code.clientWidth || hunk.scrollWidth > hunk.clientWidth) {
            say(what, 'scrolls sideways, and its marks with it', kind);
        }
        const selection = win.getSelection();
        selection.selectAllChildren(code);
        const kept = [...code.querySelectorAll(':scope > :not(del)')].map((line) => line.textContent);
        if (selection.toString().trimEnd() !== kept.join('').trimEnd()) {
            say(what, `selecting it takes ${JSON.stringify(selection.toString())}`, kind);
        }
        selection.removeAllRanges();
        const lines = added.map((line) => line.textContent).join('').replace(/\n$/, '');
        await checkCopy(win, doc, hunk, lines, (problem) => say(what, problem, kind));
    }
}

// The button of a block copies this and nothing else. Where the page is not secure, as from
// another machine, there is no clipboard, and what is selected is copied.
async function checkCopy(win, doc, block, text, say) {
    const button = block.querySelector('.clip-button');
    if (!text || !button) {
        return;
    }
    for (const secure of [true, false]) {
        let copied = null;
        const writeText = (text) => { copied = text; return Promise.resolve(); };
        const value = secure ? { writeText } : undefined;
        Object.defineProperty(win.navigator, 'clipboard', { value, configurable: true });
        doc.execCommand = () => {
            const field = doc.activeElement;
            copied = field.value?.slice(field.selectionStart, field.selectionEnd);
            return true;
        };
        button.click();
        await null; // what was asked of a clipboard that is not there has failed
        await null;
        if (copied !== text) {
            const where = secure ? '' : ', where the page is not secure';
            say(`its button does not copy what is to be typed and nothing else${where}`);
        }
    }
}

// Prompts are seen, but neither selected nor copied.
async function checkTranscripts({ win, doc, main, say }) {
    for (const transcript of main.querySelectorAll('.transcript')) {
        const what = describe(transcript);
        const kind = kindOf(transcript);
        const code = transcript.querySelector('code');
        const selection = win.getSelection();
        selection.selectAllChildren(code);
        for (const text of [selection.toString(), code.innerText]) {
            if (text.split('\n').some((line) => line.startsWith('$ '))) {
                say(what, 'selecting it takes the prompt along', kind);
            }
        }
        selection.removeAllRanges();
        const commands = [...transcript.querySelectorAll('.command')];
        for (const command of commands) {
            if (win.getComputedStyle(command, '::before').content !== '"$ "') {
                say(what, 'a command has no prompt', kind);
            }
        }
        const text = commands.map((command) => command.textContent).join('\n');
        await checkCopy(win, doc, transcript, text, (problem) => say(what, problem, kind));
    }
}

// Whoever does not see the page is told what everything is.
function checkNames({ doc, main, say }) {
    for (const element of main.querySelectorAll('img, svg[role="img"], a, button, summary, input')) {
        const ids = (element.getAttribute('aria-labelledby') || '').split(' ');
        const title = element.querySelector(':scope > title');
        const words = [
            element.getAttribute('aria-label'),
            element.getAttribute('alt'),
            element.getAttribute('title'),
            ...ids.map((id) => doc.getElementById(id)?.textContent),
            ...[...element.labels || []].map((label) => label.textContent),
            title?.textContent,
            element.matches('svg') ? '' : element.textContent,
            ...[...element.querySelectorAll('img')].map((image) => image.alt),
        ];
        if (!words.some((word) => word && word.trim())) {
            say(describe(element), 'has no accessible name');
        }
    }
}

// Headings begin with the first level and do not skip one.
function checkHeadings({ main, say }) {
    let last = 0;
    for (const heading of main.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
        const level = Number(heading.tagName[1]);
        if (level > last + 1) {
            say(describe(heading), last ? `comes after a heading of level ${last}` : 'is the first heading');
        }
        last = level;
    }
}

// Whatever can be clicked can be reached with the keyboard.
function checkKeyboard({ doc, main, say }) {
    for (const element of main.querySelectorAll('a, button, summary, input:enabled')) {
        element.focus({ preventScroll: true });
        if (element.tabIndex < 0 || doc.activeElement !== element) {
            say(describe(element), 'cannot be reached with the keyboard');
        }
        element.blur();
    }
}

// The bar at the top: every button has a name, and is reached and pressed by keyboard,
// also where the page is scrolled down.
async function checkBar({ win, doc, say }) {
    const bar = doc.querySelector('#mdbook-menu-bar');
    const visible = (element) => element.getClientRects().length > 0;
    const buttons = [...bar.querySelectorAll('a, button, label')].filter(visible);
    if (buttons.length < 4) {
        say('the bar at the top', `has ${buttons.length} buttons`);
    }
    win.scrollTo(0, doc.documentElement.scrollHeight);
    await new Promise((resolve) => win.requestAnimationFrame(() => setTimeout(resolve)));
    for (const button of buttons) {
        const what = `the button "${button.title}" of the bar`;
        if (!button.getAttribute('aria-label')) {
            say(what, 'has no accessible name');
        }
        button.focus();
        const { top, bottom } = button.getBoundingClientRect();
        if (button.tabIndex < 0 || doc.activeElement !== button) {
            say(what, 'cannot be reached with the keyboard');
        } else if (top < 0 || bottom > win.innerHeight) {
            say(what, 'has the focus, and is out of sight');
        }
        const box = button.matches('label') && doc.getElementById(button.htmlFor);
        for (const key of box ? ['Enter', ' '] : []) {
            const before = box.checked;
            button.dispatchEvent(new win.KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
            if (box.checked === before) {
                say(what, `is not pressed by the key "${key}"`);
            }
        }
        button.blur();
    }
    // Its state is kept, and would be that of the next page.
    win.localStorage.removeItem('mdbook-sidebar');
    win.scrollTo(0, 0);
}

// On paper, what is folded away is there, and afterwards it is folded again.
function checkPrint({ win, doc, say }) {
    const folded = [...doc.querySelectorAll('details:not([open])')];
    win.dispatchEvent(new win.Event('beforeprint'));
    if (folded.some((details) => !details.open)) {
        say('details', 'are closed on paper');
    }
    win.dispatchEvent(new win.Event('afterprint'));
    if (folded.some((details) => details.open)) {
        say('details', 'stay open after the page was printed');
    }
}

// The page that holds the whole book shows what is folded away elsewhere, with scripts and
// without. It would ask for the printer, and may not.
async function checkPrintPage(problem) {
    for (const scripts of ['allow-scripts', '']) {
        const frame = document.createElement('iframe');
        frame.sandbox = `allow-same-origin ${scripts}`;
        frame.style = 'display: block; border: 0; width: 800px; height: 900px';
        frame.src = '/print.html';
        const loaded = new Promise((resolve) => frame.onload = resolve);
        document.body.append(frame);
        await loaded;
        const all = [...frame.contentDocument.querySelectorAll('main details')];
        const hidden = all.filter((details) => !details.lastElementChild.checkVisibility());
        if (all.length === 0 || hidden.length > 0) {
            const how = scripts || 'without scripts';
            problem(`print.html (${how}): ${hidden.length} of ${all.length} folded parts are closed`);
        }
        frame.remove();
    }
}

// A figure as an image, on a page of either kind, has a ground of its own, and its lines
// and words stand out from that.
async function checkImage(figure, problem) {
    for (const scheme of ['light', 'dark']) {
        const image = new Image();
        image.style = `color-scheme: ${scheme}; width: 360px`;
        image.src = `/${figure}`;
        document.body.append(image);
        await image.decode();
        const area = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
        [area.canvas.width, area.canvas.height] = [image.width, image.height];
        area.drawImage(image, 0, 0, area.canvas.width, area.canvas.height);
        const { data } = area.getImageData(0, 0, area.canvas.width, area.canvas.height);
        image.remove();
        const ground = [...data.slice(0, 4)];
        if (ground[3] < 255) {
            problem(`${figure}, as an image: has no ground of its own`);
            continue;
        }
        const colours = new Set();
        for (let at = 0; at < data.length; at += 4) {
            colours.add(data[at] << 16 | data[at + 1] << 8 | data[at + 2]);
        }
        const seen = luminance(ground);
        let most = 1;
        for (const colour of colours) {
            const other = luminance([colour >> 16, colour >> 8 & 255, colour & 255]);
            most = Math.max(most, (Math.max(seen, other) + 0.05) / (Math.min(seen, other) + 0.05));
        }
        if (most < LEAST_CONTRAST) {
            problem(`${figure}, as an image (${scheme}): has a contrast of ${most.toFixed(1)}`);
        }
    }
}

// The page asks its own server alone, and gets what it asks for.
function checkHosts({ win, say }) {
    for (const asked of win.performance.getEntriesByType('resource')) {
        const url = new URL(asked.name);
        if (url.origin !== location.origin) {
            say('the page', `asks another host for ${url}`);
        } else if (asked.responseStatus >= 400) {
            say('the page', `asks for ${url.pathname}, which is not there`);
        }
    }
}

function hasText(element) {
    return [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
}

function shorten(element) {
    const text = element.textContent.trim().replace(/\s+/g, ' ');
    return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

function describe(element) {
    const label = element.getAttribute('aria-label') || shorten(element);
    return kindOf(element) + (label ? ` "${label.slice(0, 60)}"` : '');
}

function kindOf(element) {
    return element.tagName.toLowerCase() + [...element.classList].map((name) => `.${name}`).join('');
}

function opacity(win, element) {
    let product = 1;
    for (let box = element; box; box = box.parentElement) {
        product *= parseFloat(win.getComputedStyle(box).opacity);
    }
    return product;
}

function backgroundOf(win, element) {
    const layers = [];
    for (let box = element; box; box = box.parentElement) {
        layers.unshift(rgba(win.getComputedStyle(box).backgroundColor));
    }
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
}

function checkContrast(say, what, kind, colour, background) {
    const [a, b] = [luminance(over(colour, background)), luminance(background)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < LEAST_CONTRAST) {
        say(what, `has a contrast of ${contrast.toFixed(1)}; the least is ${LEAST_CONTRAST}`, kind);
    }
}

function luminance(colour) {
    const [r, g, b] = colour.slice(0, 3).map((part) => {
        return part <= 10.31475 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// A colour drawn over an opaque one.
function over(colour, below) {
    const mix = (index) => colour[index] * colour[3] + below[index] * (1 - colour[3]);
    return [mix(0), mix(1), mix(2), 1];
}

// Any colour that CSS can name, as red, green, blue and opacity.
const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const colours = new Map();
function rgba(name) {
    if (!colours.has(name)) {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = 'transparent';
        canvas.fillStyle = name;
        canvas.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
        colours.set(name, [red, green, blue, alpha / 255]);
    }
    return [...colours.get(name)];
}

main();
</script>
</body>
</html>
"#;
