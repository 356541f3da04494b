//! `cargo run`: builds the book and serves it.

use anyhow::Context;
use axum::Router;
use clap::Parser;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use tokio::net::TcpListener;
use tower_http::services::{ServeDir, ServeFile};

/// Builds the book and serves it until Ctrl-C.
#[derive(Parser)]
#[command(bin_name = "cargo run --")]
struct Options {
    /// Where to serve the book.
    #[arg(long, default_value = "127.0.0.1:3000")]
    address: SocketAddr,
    /// Opens the book in the browser.
    #[arg(long)]
    open: bool,
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(options: Options) -> anyhow::Result<()> {
    // The port first: to learn that it is taken after the build is annoying.
    let listener = listen(options.address).await?;
    let address = listener.local_addr().context("ask for our own address")?;

    let root = book::root();
    let pages = root.join("target/book");
    eprintln!("Building the book ...");
    book::site::build(&root, &pages).context("build the book")?;

    let url = format!("http://{address}/");
    let mut terminal = std::io::stdout();
    writeln!(terminal, "Serving the book on {url} (Ctrl-C ends it)")?;
    if options.open {
        open::that_detached(&url).with_context(|| format!("open {url} in a browser"))?;
    }

    // A browser keeps connections open: to wait for them would keep Ctrl-C
    // waiting, so the server is dropped where it stands.
    tokio::select! {
        served = axum::serve(listener, router(&pages)) => served.context("serve the book"),
        stopped = tokio::signal::ctrl_c() => stopped.context("wait for Ctrl-C"),
    }
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
    Router::new().fallback_service(ServeDir::new(pages).not_found_service(missing))
}
