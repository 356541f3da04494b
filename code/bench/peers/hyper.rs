//! hyper's own server on one thread, as its guide has it; several answers to pipelined
//! requests in one write (`pipeline_flush`), which it does not do unless it is told to.

use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderValue, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::net::TcpListener;

const BODY: &str = "Hello world from a simple WSGI application!\n";

async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(BODY.as_bytes())));
    let plain = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    Ok(response)
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1).context("usage: hyper ADDRESS")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(&address).await?;
        loop {
            let (connection, _) = listener.accept().await?;
            tokio::spawn(async move {
                let mut http = http1::Builder::new();
                let served = http.pipeline_flush(true);
                // A client that leaves is no failure of the server's.
                let _ = served
                    .serve_connection(TokioIo::new(connection), service_fn(hello))
                    .await;
            });
        }
    })
}
