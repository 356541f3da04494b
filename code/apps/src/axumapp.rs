//! `axumapp:app`: an application of axum, with the routes of the others.

use crate::adapters;
use axum::body::Body;
use axum::extract::{Form, Path};
use axum::http::header::CONTENT_TYPE;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post, Router};
use futures_util::stream;
use gateway::Application;
use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::sleep;

// ANCHOR: app
const PAUSE: Duration = Duration::from_millis(50);

/// Its routes, and the adapter around them.
pub fn app() -> impl Application + Send + Sync {
    let router = Router::new()
        .route("/", get(index))
        .route("/hello", get(index))
        .route("/hello/{name}", get(hello))
        .route("/slow", get(slow))
        .route("/stream", get(stream))
        .route("/echo", post(echo))
        .route("/form", post(form))
        .fallback(nothing);
    adapters::axum::application(router)
}
// ANCHOR_END: app

// ANCHOR: hello
async fn index() -> &'static str {
    "Hello, World!\n"
}

async fn hello(Path(name): Path<String>) -> String {
    format!("Hello, {name}!\n")
}

async fn slow() -> &'static str {
    sleep(PAUSE).await;
    "That took a while.\n"
}

async fn nothing() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "There is nothing here.\n")
}
// ANCHOR_END: hello

// ANCHOR: stream
/// Counts to three, with a pause before each number but the first.
async fn stream() -> impl IntoResponse {
    let numbers = stream::unfold(1, |number| async move {
        if number > 1 {
            sleep(PAUSE).await;
        }
        let chunk = Ok::<_, Infallible>(format!("{number}\n"));
        (number <= 3).then_some((chunk, number + 1))
    });
    ([(CONTENT_TYPE, "text/plain")], Body::from_stream(numbers))
}
// ANCHOR_END: stream

// ANCHOR: post
/// Sends the body back while it comes.
async fn echo(body: Body) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/octet-stream")], body)
}

async fn form(Form(fields): Form<HashMap<String, String>>) -> String {
    let name = fields.get("name").map_or("World", String::as_str);
    format!("Hello, {name}!\n")
}
// ANCHOR_END: post
