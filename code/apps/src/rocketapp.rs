//! `rocketapp:app`: an application of Rocket, with the routes of the others.

use crate::adapters;
use gateway::{Application, Result};
use rocket::data::{Data, ToByteUnit};
use rocket::form::{Form, FromForm};
use rocket::response::stream::TextStream;
use rocket::{catch, catchers, get, post, routes, Config};
use std::time::Duration;
use tokio::time::sleep;

// ANCHOR: app
const PAUSE: Duration = Duration::from_millis(50);

/// Its routes, and the adapter around them.
///
/// # Errors
///
/// None that this application could give cause for.
pub fn app() -> Result<impl Application + Send + Sync> {
    let config = Config::figment().merge(("log_level", "off")); // the server has the terminal
    let rocket = rocket::custom(config)
        .mount("/", routes![index, hello, slow, stream, echo, form])
        .mount("/hello", routes![index])
        .register("/", catchers![nothing]);
    adapters::rocket::application(rocket)
}

#[get("/")]
fn index() -> &'static str {
    "Hello, World!\n"
}

#[get("/hello/<name>")]
fn hello(name: &str) -> String {
    format!("Hello, {name}!\n")
}

#[get("/slow")]
async fn slow() -> &'static str {
    sleep(PAUSE).await;
    "That took a while.\n"
}

#[catch(404)]
fn nothing() -> &'static str {
    "There is nothing here.\n"
}

/// Counts to three, with a pause before each number but the first.
#[get("/stream")]
fn stream() -> TextStream![String] {
    TextStream! {
        for number in 1..=3 {
            if number > 1 {
                sleep(PAUSE).await;
            }
            yield format!("{number}\n");
        }
    }
}

/// Sends the body back.
#[post("/echo", data = "<body>")]
async fn echo(body: Data<'_>) -> std::io::Result<Vec<u8>> {
    Ok(body.open(16.mebibytes()).into_bytes().await?.into_inner())
}

#[derive(FromForm)]
struct Greeting<'r> {
    name: Option<&'r str>,
}

#[post("/form", data = "<greeting>")]
fn form(greeting: Form<Greeting<'_>>) -> String {
    format!("Hello, {}!\n", greeting.name.unwrap_or("World"))
}
// ANCHOR_END: app
