//! What the adapter for axum does besides: see `frameworks.rs` for the rest.

mod asking;

use apps::adapters::axum::application;
use asking::{ask, environ, Output};
use axum::body::{Body, Bytes};
use axum::extract::OriginalUri;
use axum::http::{HeaderMap, Method, Uri, Version};
use axum::routing::{any, get, Router};
use futures_util::stream::{self, StreamExt};
use gateway::http::{Head, Limits};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// The request as a handler sees it.
async fn seen(
    method: Method,
    uri: Uri,
    OriginalUri(whole): OriginalUri,
    version: Version,
    fields: HeaderMap,
) -> String {
    let mut seen = format!("{method} {uri} {whole} {version:?}\n");
    for (name, value) in &fields {
        seen.push_str(&format!(
            "{name}: {}\n",
            String::from_utf8_lossy(value.as_bytes())
        ));
    }
    seen
}

#[test]
fn a_handler_sees_the_request() {
    let app = application(Router::new().fallback(any(seen)));
    let answer = ask(
        &app,
        "PUT /a%20b/%C3%BC?q=%20&r=\u{e9} HTTP/1.0\r\nHost: localhost\r\nContent-Type: a/b\r\n\
         Content-Length: 0\r\nX-Two: 1\r\nx-two: 2\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n",
    );
    assert_eq!(
        answer.text(),
        "PUT /a%20b/%C3%BC?q=%20&r=%C3%A9 /a%20b/%C3%BC?q=%20&r=%C3%A9 HTTP/1.0\n\
         host: localhost\ncontent-type: a/b\ncontent-length: 0\nx-two: 1, 2\ncookie: a=1; b=2\n"
    );
}

/// The router sees what is behind the prefix that it is mounted under.
#[test]
fn an_application_is_mounted() {
    let app = application(Router::new().route("/page", get(seen)));
    let head = Head::parse(
        b"GET /page?x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &Limits::DEFAULT,
    )
    .unwrap();
    let mut environ = environ(&head, Box::new(std::io::empty()));
    environ.set("SCRIPT_NAME", "/the app");
    let answer = asking::ask_with(&app, environ, Output::default());
    assert_eq!(
        answer.text().lines().next(),
        Some("GET /page?x /the%20app/page?x HTTP/1.1")
    );
}

/// `OPTIONS *`, whose path is empty in an environ.
#[test]
fn an_empty_path_is_the_root() {
    let app = application(Router::new().route("/", any(seen)));
    let answer = ask(&app, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(
        answer.text().starts_with("OPTIONS / / HTTP/1.1\n"),
        "{}",
        answer.text()
    );
}

/// axum panics in the thread that asks: the next question finds it well.
#[test]
fn a_panic_is_one_answer() {
    async fn panics() -> String {
        tokio::task::yield_now().await;
        panic!("a bug of the application")
    }
    let router = Router::new()
        .route("/panic", get(panics))
        .route("/", get(seen));
    let app = application(router);
    let answer = ask(&app, "GET /panic HTTP/1.0\r\n\r\n");
    assert_eq!(answer.status, "500 Internal Server Error");
    let answer = ask(&app, "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(answer.status, "200 OK");
}

/// Under hyper these are right, so a handler may set them.
#[test]
fn hop_by_hop_fields_are_dropped() {
    let fields = [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("x-kept", "1"),
    ];
    let app = application(Router::new().route("/", get(move || async move { (fields, "text") })));
    let answer = ask(&app, "GET / HTTP/1.0\r\n\r\n");
    assert!(answer.outcome.error.is_none(), "{:?}", answer.outcome.error);
    assert_eq!(answer.field("transfer-encoding"), None);
    assert_eq!(answer.field("x-kept"), Some("1"));
    assert_eq!(answer.text(), "text");
}

/// Counts when it is dropped, and needs its runtime for that, as a connection
/// does that goes back to its pool.
struct Guest(Arc<AtomicUsize>);

impl Drop for Guest {
    fn drop(&mut self) {
        tokio::spawn(async {}); // panics outside of a runtime
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_body_is_dropped_once_on_its_runtime() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    let handler = move || async move {
        let guest = Guest(count);
        let chunks = stream::iter(["a", "b", "c"]).map(move |chunk| {
            let _held = &guest;
            Ok::<_, std::io::Error>(Bytes::from(chunk))
        });
        ([("content-type", "text/plain")], Body::from_stream(chunks))
    };
    let app = application(Router::new().route("/", get(handler)));
    for leaves_after in [None, Some(0), Some(1)] {
        dropped.store(0, Ordering::Relaxed);
        let output = Output {
            leaves_after,
            ..Output::default()
        };
        let input = Box::new(std::io::empty());
        let answer = asking::request(&app, "GET /", input, output);
        assert_eq!(answer.outcome.error.is_some(), leaves_after.is_some());
        assert_eq!(dropped.load(Ordering::Relaxed), 1, "{leaves_after:?}");
    }
}

/// An error of the body after its first byte ends the answer.
#[test]
fn a_body_that_fails_breaks_off() {
    let handler = || async {
        let chunks = stream::iter([Ok("a"), Err(std::io::Error::other("no more"))]);
        ([("content-type", "text/plain")], Body::from_stream(chunks))
    };
    let app = application(Router::new().route("/", get(handler)));
    let answer = ask(&app, "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(answer.text(), "a");
    assert_eq!(answer.outcome.error.unwrap().to_string(), "no more");
}
