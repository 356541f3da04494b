//! `cargo run`: builds the book and serves it.

use anyhow::Context;
use axum::extract::Request;
use axum::http::header::{ACCEPT_RANGES, RANGE};
use axum::http::{StatusCode, Uri};
use axum::middleware::{from_fn, Next};
use axum::response::{IntoResponse, Response};
use axum::Router;
use book::publish::{publish, Address};
use clap::Parser;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::net::TcpListener;
use tower_http::services::{ServeDir, ServeFile};

/// Builds the book, if anything has changed, and serves it until Ctrl-C. After an edit, start it again, or
/// use `mdbook serve`, which follows edits.
#[derive(Parser)]
#[command(name = "book", bin_name = "cargo run --", version)]
struct Options {
    /// Where to serve the book
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "HOST:PORT")]
    address: SocketAddr,
    /// Opens the book in the browser
    #[arg(long)]
    open: bool,
    /// Writes the book as an EPUB, and does not serve it (needs: --features epub)
    #[arg(long, value_name = "FILE")]
    epub: Option<PathBuf>,
    /// Writes the book as a PDF, and does not serve it (needs: --features epub)
    #[arg(long, value_name = "FILE")]
    pdf: Option<PathBuf>,
    /// Names the tools that the course uses, with their versions
    #[arg(long)]
    doctor: bool,
    /// Builds the book for its address on the web, and does not serve it
    #[arg(long, value_name = "FOLDER", requires = "site")]
    publish: Option<PathBuf>,
    /// With --publish: the address that the pages will have
    #[arg(long, value_name = "URL", requires = "publish")]
    site: Option<String>,
    /// With --publish: the address of the repository, for links that lead to it
    #[arg(long, value_name = "URL", requires = "publish")]
    repository: Option<String>,
}

/// The longest path that is looked for, in bytes: most file systems have no longer names.
const LONGEST_PATH: usize = 255;

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(options: Options) -> anyhow::Result<()> {
    if options.doctor {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
        let _ = std::io::stdout().write_all(book::doctor::report(&folders).as_bytes());
        return Ok(());
    }
    if options.epub.is_some() || options.pdf.is_some() {
        return write(&options);
    }
    if let (Some(folder), Some(site)) = (&options.publish, &options.site) {
        let address = Address::new(site, options.repository.as_deref())?;
        say("Building the book ...");
        publish(&book::root(), folder, &address).context("build the book")?;
        say(&format!("Wrote {}", folder.display()));
        return Ok(());
    }
    // The port first: to learn that it is taken after the build is annoying.
    let listener = listen(options.address).await?;
    let address = listener.local_addr().context("ask for our own address")?;

    let root = book::root();
    let pages = root.join("target/pages");
    say("Getting the pages ready ...");
    book::site::renew(&root, &pages).context("build the book")?;

    let url = format!("http://{address}/");
    let mut terminal = std::io::stdout();
    // Whoever reads the output may have gone; the book is served all the same.
    let _ = writeln!(terminal, "Serving the book on {url} (Ctrl-C ends it)");
    if options.open {
        if let Err(error) = open::that_detached(&url) {
            say(&format!(
                "no browser was opened ({error}); open {url} yourself"
            ));
        }
    }

    // A browser keeps connections open: to wait for them would keep Ctrl-C
    // waiting, so the server is dropped where it stands.
    tokio::select! {
        served = axum::serve(listener, router(&pages)) => served.context("serve the book"),
        stopped = tokio::signal::ctrl_c() => stopped.context("wait for Ctrl-C"),
    }
}

/// Writes the book into the files that were asked for.
#[cfg(feature = "epub")]
fn write(options: &Options) -> anyhow::Result<()> {
    use book::paper;
    // Chromium first: to learn that it is missing after the build is annoying.
    let chromium = options.pdf.as_ref().map(|_| paper::pdf::chromium());
    let chromium = chromium.transpose()?;
    let root = book::root();
    let pages = root.join("target/book");
    say("Building the book ...");
    book::site::build(&root, &pages).context("build the book")?;
    let paper = paper::read(&root, &pages).context("read the built book")?;
    if let Some(file) = &options.epub {
        paper::epub::write(&paper, file)?;
        say(&format!("Wrote {}", file.display()));
    }
    if let (Some(file), Some(chromium)) = (&options.pdf, &chromium) {
        paper::pdf::write(&paper, &pages, chromium, file)?;
        say(&format!("Wrote {}", file.display()));
    }
    Ok(())
}

#[cfg(not(feature = "epub"))]
fn write(options: &Options) -> anyhow::Result<()> {
    let option = if options.epub.is_some() {
        "epub"
    } else {
        "pdf"
    };
    anyhow::bail!(
        "--{option} needs a feature that is off: cargo run --features epub -- --{option} FILE"
    )
}

/// Prints a line on the standard error, if anybody reads it: `eprintln!` would panic.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| match address.port() {
            0 => format!("serve the book on {address}"),
            port => format!(
            "serve the book on port {port} of {} (choose another with: cargo run -- --address {})",
            address.ip(),
            SocketAddr::new(address.ip(), port.checked_add(1).unwrap_or(3000)),
        ),
        })
}

fn router(pages: &Path) -> Router {
    let missing = ServeFile::new(pages.join("404.html"));
    let files = ServeDir::new(pages).not_found_service(missing);
    Router::new()
        .fallback_service(files)
        .layer(from_fn(on_our_host))
}

/// `ServeDir` redirects from a folder to the same target with a slash at its end. If
/// the target begins with two slashes, or is a whole URL, a browser would take that for
/// the address of another host. So it gets the path alone, with one slash. Nor does it
/// get a `Range`: of the page that says "not found" it would send that part.
async fn on_our_host(mut request: Request, next: Next) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if path.len() > LONGEST_PATH {
        return StatusCode::URI_TOO_LONG.into_response();
    }
    let query = request.uri().query();
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    match Uri::try_from(format!("/{path}{query}")) {
        Ok(uri) => *request.uri_mut() = uri,
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    }
    request.headers_mut().remove(RANGE);
    let mut response = next.run(request).await;
    response.headers_mut().remove(ACCEPT_RANGES);
    response
}
