//! axum on one thread, with `axum::serve`.

use anyhow::{Context, Result};
use axum::routing::get;
use axum::Router;
use tokio::net::TcpListener;

const BODY: &str = "Hello world from a simple WSGI application!\n";

fn main() -> Result<()> {
    let address = std::env::args().nth(1).context("usage: axum ADDRESS")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(&address).await?;
        let app = Router::new().route("/hello", get(|| async { BODY }));
        Ok(axum::serve(listener, app).await?)
    })
}
