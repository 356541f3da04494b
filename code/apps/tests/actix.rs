//! What the adapter for actix-web does besides: see `frameworks.rs` for the rest.

mod asking;

use actix_web::http::header::ContentType;
use actix_web::web::{get, Bytes};
use actix_web::{middleware, rt, web, App, HttpRequest, HttpResponse, Responder};
use apps::adapters::actix::application;
use asking::{ask, Output};
use futures_util::stream;
use std::cell::Cell;
use std::rc::Rc;

async fn seen(request: HttpRequest) -> String {
    let peer = request.peer_addr().map(|peer| peer.to_string());
    let info = request.connection_info();
    let (method, uri, version) = (request.method(), request.uri(), request.version());
    let cookie = request.headers().get("cookie");
    format!(
        "{method} {uri} {version:?} {} {peer:?} {cookie:?}",
        info.host()
    )
}

#[test]
fn a_handler_sees_the_request() {
    let app = application(App::new().default_service(web::to(seen))).unwrap();
    let answer = ask(
        &app,
        "PUT /a%20b?q HTTP/1.1\r\nHost: there\r\nCookie: a\r\nCookie: b\r\n\r\n",
    );
    assert_eq!(
        answer.text(),
        "PUT /a%20b?q HTTP/1.1 there Some(\"192.0.2.7:40000\") Some(\"a; b\")"
    );
}

/// A task that a handler spawns need not be `Send`, and goes on while the body
/// is asked for chunks.
#[test]
fn a_handler_may_spawn() {
    async fn spawns() -> impl Responder {
        let number = Rc::new(Cell::new(0));
        let counter = Rc::clone(&number);
        rt::spawn(async move {
            loop {
                counter.set(counter.get() + 1);
                tokio::task::yield_now().await;
            }
        });
        let chunks = stream::unfold(number, |number| async move {
            let before = number.get();
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            let goes_on = number.get() > before;
            let more = goes_on && before < 1000;
            more.then_some((Ok::<_, actix_web::Error>(Bytes::from("x")), number))
        });
        HttpResponse::Ok()
            .content_type(ContentType::plaintext())
            .streaming(Box::pin(chunks))
    }
    let app = application(App::new().route("/", get().to(spawns))).unwrap();
    for _ in 0..2 {
        let answer = ask(&app, "GET / HTTP/1.0\r\n\r\n");
        assert!(answer.text().starts_with('x'), "{}", answer.text());
        assert!(answer.outcome.error.is_none(), "{:?}", answer.outcome.error);
    }
}

#[test]
fn a_panic_is_one_answer() {
    async fn panics() -> String {
        tokio::task::yield_now().await;
        panic!("a bug of the application")
    }
    let app = App::new()
        .route("/panic", get().to(panics))
        .default_service(web::to(seen));
    let app = application(app).unwrap();
    for _ in 0..3 {
        let answer = ask(&app, "GET /panic HTTP/1.0\r\n\r\n");
        assert_eq!(answer.status, "500 Internal Server Error");
        let answer = ask(&app, "GET / HTTP/1.0\r\n\r\n");
        assert_eq!(answer.status, "200 OK");
    }
}

/// An error that nobody has made an answer of, as middleware may return one.
#[test]
fn an_error_is_an_answer() {
    let app = App::new()
        .wrap(middleware::from_fn(|_, _| async {
            let error = actix_web::error::ErrorImATeapot("short and stout");
            Err::<actix_web::dev::ServiceResponse, _>(error)
        }))
        .default_service(web::to(seen));
    let answer = ask(&application(app).unwrap(), "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(
        (answer.status.as_str(), answer.text().as_str()),
        ("418 I'm a teapot", "short and stout")
    );
}

#[test]
fn reasons_and_fields_are_kept() {
    async fn handler() -> impl Responder {
        HttpResponse::Ok()
            .reason("Fine")
            .insert_header(("Connection", "close"))
            .append_header(("X-Two", "1"))
            .append_header(("X-Two", "2"))
            .content_type(ContentType::plaintext())
            .body("text")
    }
    let app = application(App::new().route("/", get().to(handler))).unwrap();
    let answer = ask(&app, "GET / HTTP/1.0\r\nAccept: */*\r\n\r\n");
    assert_eq!(answer.status, "200 Fine");
    let two: Vec<_> = answer
        .fields
        .iter()
        .filter(|(name, _)| name == "x-two")
        .collect();
    assert_eq!(two.len(), 2);
}

#[test]
fn a_body_that_fails_breaks_off() {
    async fn fails() -> impl Responder {
        let chunks = stream::iter([Ok(Bytes::from("a")), Err(std::io::Error::other("no more"))]);
        HttpResponse::Ok()
            .content_type(ContentType::plaintext())
            .streaming(chunks)
    }
    let app = application(App::new().route("/", get().to(fails))).unwrap();
    let answer = asking::request(&app, "GET /", Box::new(std::io::empty()), Output::default());
    assert_eq!(answer.text(), "a");
    assert_eq!(answer.outcome.error.unwrap().to_string(), "no more");
}

/// A server with threads is told so, by the type of what was loaded.
#[test]
fn it_belongs_to_one_thread() {
    for name in [
        "actixapp:app",
        "validator:actixapp:app",
        "accesslog:actixapp:app",
    ] {
        assert!(
            matches!(apps::load(name), Ok(apps::Loaded::OneThread(_))),
            "{name}"
        );
        let refused = apps::load_shared(name).err().map(|error| error.to_string());
        let wanted = format!(
            "`{name}` belongs to the thread that loads it, because its type is neither Send nor \
             Sync, and this server calls from several threads; wsgiapp:app may be shared"
        );
        assert_eq!(refused, Some(wanted));
    }
    assert!(apps::load_shared("validator:wsgiapp:app").is_ok());
}
