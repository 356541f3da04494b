//! The pages in Chromium: what only a browser can tell.
//!
//! A small server serves the built book, with the theme as the first part of
//! the path, and one page more, which visits all others in a frame and reports
//! what is wrong with them: see `tests/probe.js`. With `SCREENSHOTS=1` it also
//! leaves pictures of each page in `target/screenshots`.

use nix::sys::signal::{killpg, Signal};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{mpsc, Arc};
use std::thread;
use std::time::Duration;
use tests::server::end_with_parent;
use tests::{has_tool, left_out};

/// How long the browser may take for all pages.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn pages_stand_in_a_browser() {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
    let found = names.into_iter().find(|name| has_tool(name));
    let Some(browser) = found.or(Path::new(mac).is_file().then_some(mac)) else {
        return left_out("the pages in a browser", "Chromium");
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser-pages");
    book::site::build(&book::root(), &folder).unwrap_or_else(|error| panic!("{error:#}"));
    let pages = pages(&folder);
    let (address, reports) = serve(folder, &pages);

    let _running = Browser::start(browser, &[format!("http://{address}/probe.html")]);
    let report = reports
        .recv_timeout(PATIENCE)
        .expect("the browser reports in time");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let problems: Vec<&str> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|problem| problem.as_str())
        .collect();
    if std::env::var_os("SCREENSHOTS").is_some() {
        take_screenshots(browser, address, &pages);
    }
    assert!(
        problems.is_empty(),
        "in the browser:\n{}",
        problems.join("\n")
    );
    assert_eq!(report["looks"], pages.len() * 6, "pages, themes and widths");
}

/// The pages that a reader comes to, by their paths.
fn pages(folder: &Path) -> Vec<String> {
    let mut pages = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(under) = folders.pop() {
        for entry in fs::read_dir(folder.join(&under)).unwrap() {
            let path = under.join(entry.unwrap().file_name());
            let name = path.to_string_lossy().into_owned();
            if folder.join(&path).is_dir() {
                folders.push(path);
            } else if name.ends_with(".html")
                && !["print.html", "toc.html", "404.html"].contains(&name.as_str())
            {
                pages.push(name);
            }
        }
    }
    pages.sort();
    pages
}

/// Serves the book, and gives what is posted to `/report`.
fn serve(folder: PathBuf, pages: &[String]) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (reports, received) = mpsc::channel();
    let script = include_str!("probe.js");
    let list = serde_json::to_string(pages).unwrap();
    let probe = format!(
        "<!doctype html><title>probe</title><body><script>const PAGES = {list};\n{script}</script>"
    );
    let folder = Arc::new(folder);
    let probe = Arc::new(probe);
    thread::spawn(move || {
        // A thread for each: a browser opens connections that it does not use.
        for connection in listener.incoming().flatten() {
            let (folder, probe, reports) =
                (Arc::clone(&folder), Arc::clone(&probe), reports.clone());
            thread::spawn(move || {
                let _ = answer(connection, &folder, &probe, &reports);
            });
        }
    });
    (address, received)
}

fn answer(
    mut connection: TcpStream,
    folder: &Path,
    probe: &str,
    reports: &mpsc::Sender<String>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or("/");
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let (kind, body) = match path {
        "/probe.html" => ("text/html", probe.as_bytes().to_vec()),
        "/report" => {
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            let _ = reports.send(String::from_utf8_lossy(&body).into_owned());
            ("text/plain", Vec::new())
        }
        path => {
            let (theme, file) = path[1..].split_once('/').unwrap_or(("", ""));
            page(folder, theme, file)
        }
    };
    let status = if body.is_empty() {
        "404 Not Found"
    } else {
        "200 OK"
    };
    let length = body.len();
    write!(
        connection,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    connection.write_all(&body)
}

/// A file of the book; a page has the theme set, and keeps the errors of its
/// scripts, before any of them runs.
fn page(folder: &Path, theme: &str, file: &str) -> (&'static str, Vec<u8>) {
    let body = fs::read(folder.join(file)).unwrap_or_default();
    let kind = match Path::new(file)
        .extension()
        .and_then(|extension| extension.to_str())
    {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    };
    if !file.ends_with(".html") {
        return (kind, body);
    }
    let first = format!(
        "<head><script>localStorage.setItem('mdbook-theme', '{theme}'); window.probeErrors = []; \
         addEventListener('error', (event) => probeErrors.push(event.message));</script>"
    );
    let page = String::from_utf8_lossy(&body).replacen("<head>", &first, 1);
    (kind, page.into_bytes())
}

/// Pictures of each page, wide and narrow, light and dark.
fn take_screenshots(browser: &str, address: SocketAddr, pages: &[String]) {
    let folder = book::root().join("target/screenshots");
    fs::create_dir_all(&folder).unwrap();
    for page in pages {
        for (theme, width) in [
            ("light", 1280),
            ("navy", 1280),
            ("light", 500),
            ("navy", 500),
        ] {
            let name = page.trim_end_matches(".html").replace('/', "-");
            let file = folder.join(format!("{name}-{theme}-{width}.png"));
            let options = [
                format!("--screenshot={}", file.display()),
                format!("--window-size={width},3000"),
                format!("http://{address}/{theme}/{page}"),
            ];
            let mut running = Browser::start(browser, &options);
            running.child.wait().unwrap();
        }
    }
}

/// A running browser with a profile of its own. Dropping it ends both.
struct Browser {
    child: Child,
    profile: PathBuf,
}

impl Browser {
    fn start(browser: &str, options: &[String]) -> Browser {
        let name = format!("browser-profile-{}", std::process::id());
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut command = Command::new(browser);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ]);
        command.args([
            "--no-first-run",
            "--disable-background-networking",
            "--hide-scrollbars",
        ]);
        command.args([
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1700,1000",
        ]);
        command
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(options);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        end_with_parent(&mut command);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("start {browser}: {error}"));
        Browser { child, profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
        let _ = self.child.wait();
        // Its helpers may still be writing for a moment.
        for _ in 0..100 {
            if fs::remove_dir_all(&self.profile).is_ok() || !self.profile.exists() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
