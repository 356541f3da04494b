//! actix-web with one worker.

use actix_web::{rt::System, web, App, HttpServer};
use anyhow::{Context, Result};

const BODY: &str = "Hello world from a simple WSGI application!\n";

fn main() -> Result<()> {
    let address = std::env::args().nth(1).context("usage: actix ADDRESS")?;
    System::new().block_on(async {
        let hello = || web::get().to(|| async { BODY });
        let server = HttpServer::new(move || App::new().route("/hello", hello()));
        Ok(server.workers(1).bind(&address)?.run().await?)
    })
}
