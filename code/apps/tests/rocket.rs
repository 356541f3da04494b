//! What the adapter for Rocket does besides: see `frameworks.rs` for the rest.

mod asking;

use apps::adapters::rocket::{application, MAX_BODY};
use asking::{ask, Output};
use rocket::http::uri::Host;
use rocket::http::CookieJar;
use rocket::{get, routes, Build, Rocket};
use std::io::{BufReader, Read};
use std::net::SocketAddr;

fn quiet() -> Rocket<Build> {
    rocket::custom(rocket::Config::figment().merge(("log_level", "off")))
}

#[get("/seen")]
fn seen(host: &Host<'_>, remote: SocketAddr, cookies: &CookieJar<'_>) -> String {
    let cookie = |name| cookies.get(name).map(|cookie| cookie.value().to_string());
    format!("{host} {remote} {:?} {:?}", cookie("a"), cookie("b"))
}

#[test]
fn a_handler_sees_the_request() {
    let app = application(quiet().mount("/", routes![seen])).unwrap();
    let answer = ask(
        &app,
        "GET /seen HTTP/1.1\r\nHost: there:1\r\nCookie: a=1\r\nCookie: b=%20\r\n\r\n",
    );
    assert_eq!(
        answer.text(),
        "there:1 192.0.2.7:40000 Some(\"1\") Some(\" \")"
    );
}

#[test]
fn a_rocket_that_cannot_be_launched_is_an_error() {
    let colliding = quiet().mount("/", routes![seen]).mount("/", routes![seen]);
    let error = application(colliding).err().unwrap().to_string();
    assert!(error.contains("collision"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn an_unknown_method_is_refused() {
    let app = application(quiet().mount("/", routes![seen])).unwrap();
    let answer = ask(&app, "PURGE /seen HTTP/1.0\r\n\r\n");
    assert_eq!(answer.status, "501 Not Implemented");
}

/// The adapter holds no more than it says, whoever the server is.
#[test]
fn a_body_without_end_is_refused() {
    let app = application(quiet().mount("/", routes![seen])).unwrap();
    for (size, status) in [
        (MAX_BODY, "404 Not Found"),
        (MAX_BODY + 1, "413 Content Too Large"),
    ] {
        let body = BufReader::new(std::io::repeat(b'x').take(size));
        let answer = asking::request(&app, "POST /", Box::new(body), Output::default());
        assert_eq!(answer.status, status);
    }
}
