//! axum on one thread, with `axum::serve`. It sends each answer by itself, and unless Nagle's
//! algorithm is off the second answer to pipelined requests waits for the client's
//! acknowledgement, which may come 40 ms later.

use anyhow::{Context, Result};
use axum::routing::get;
use axum::serve::ListenerExt;
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
        let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        let app = Router::new().route("/hello", get(|| async { BODY }));
        Ok(axum::serve(listener, app).await?)
    })
}
