//! `actixapp:app`: an application of actix-web, with the routes of the others.

use crate::adapters;
use actix_web::http::header::ContentType;
use actix_web::web::{get, head, post, Bytes, Form, Path, Payload};
use actix_web::{web, App, HttpResponse, Responder};
use futures_util::stream;
use gateway::{Application, Result};
use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::sleep;

// ANCHOR: app
const PAUSE: Duration = Duration::from_millis(50);

/// Its routes, and the adapter around them.
///
/// # Errors
///
/// None that this application could give cause for.
pub fn app() -> Result<impl Application> {
    let app = App::new()
        .route("/", get().to(index))
        .route("/", head().to(index)) // which actix does not take for a GET
        .route("/hello", get().to(index))
        .route("/hello", head().to(index))
        .route("/hello/{name}", get().to(hello))
        .route("/hello/{name}", head().to(hello))
        .route("/slow", get().to(slow))
        .route("/stream", get().to(stream))
        .route("/echo", post().to(echo))
        .route("/form", post().to(form))
        .default_service(web::to(nothing));
    adapters::actix::application(app)
}

async fn index() -> impl Responder {
    "Hello, World!\n"
}

async fn hello(name: Path<String>) -> impl Responder {
    format!("Hello, {name}!\n")
}

async fn slow() -> impl Responder {
    sleep(PAUSE).await;
    "That took a while.\n"
}

async fn nothing() -> impl Responder {
    HttpResponse::NotFound()
        .content_type(ContentType::plaintext())
        .body("There is nothing here.\n")
}

/// Counts to three, with a pause before each number but the first.
async fn stream() -> impl Responder {
    let numbers = stream::unfold(1, |number| async move {
        if number > 1 {
            sleep(PAUSE).await;
        }
        let chunk = Ok::<_, Infallible>(Bytes::from(format!("{number}\n")));
        (number <= 3).then_some((chunk, number + 1))
    });
    HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .streaming(Box::pin(numbers))
}

/// Sends the body back while it comes.
async fn echo(body: Payload) -> impl Responder {
    HttpResponse::Ok()
        .content_type(ContentType::octet_stream())
        .streaming(body)
}

async fn form(fields: Form<HashMap<String, String>>) -> impl Responder {
    let name = fields.get("name").map_or("World", String::as_str);
    format!("Hello, {name}!\n")
}
// ANCHOR_END: app
