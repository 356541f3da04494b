//! tiny_http, as its page has it: it reads with threads of its own, and one answers.

use anyhow::{anyhow, Context, Result};
use tiny_http::{Response, Server};

const BODY: &str = "Hello world from a simple WSGI application!\n";

fn main() -> Result<()> {
    let address = std::env::args()
        .nth(1)
        .context("usage: tiny_http ADDRESS")?;
    let server = Server::http(&address).map_err(|error| anyhow!("bind {address}: {error}"))?;
    for request in server.incoming_requests() {
        // A client that leaves is no failure of the server's.
        let _ = request.respond(Response::from_string(BODY));
    }
    Ok(())
}
