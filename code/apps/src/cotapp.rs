//! `cotapp:app`: an application of Cot, with the routes of the others.

use crate::adapters;
use cot::config::ProjectConfig;
use cot::error::handler::{DynErrorPageHandler, RequestError};
use cot::form::{Form, FormResult};
use cot::project::{App, AppBuilder, RegisterAppsContext};
use cot::request::extractors::{Path, RequestForm};
use cot::request::Request;
use cot::response::IntoResponse;
use cot::router::method::{get, post};
use cot::router::{Route, Router};
use cot::{Body, Project, StatusCode};
use futures_util::stream;
use gateway::{Application, Result};
use percent_encoding::percent_decode_str;
use std::time::Duration;
use tokio::time::sleep;

// ANCHOR: app
const PAUSE: Duration = Duration::from_millis(50);

/// Its project, and the adapter around it.
///
/// # Errors
///
/// None that this application could give cause for.
pub fn app() -> Result<impl Application + Send + Sync> {
    adapters::cot::application(|| Greetings)
}

/// A project of Cot has apps, and an app has routes. This one is both.
struct Greetings;

impl Project for Greetings {
    fn config(&self, _name: &str) -> cot::Result<ProjectConfig> {
        Ok(ProjectConfig::default())
    }

    fn register_apps(&self, apps: &mut AppBuilder, _context: &RegisterAppsContext) {
        apps.register_with_views(Greetings, "");
    }

    fn error_handler(&self) -> DynErrorPageHandler {
        DynErrorPageHandler::new(error_page)
    }
}

impl App for Greetings {
    fn name(&self) -> &'static str {
        "greetings"
    }

    fn router(&self) -> Router {
        Router::with_urls([
            Route::with_handler("/", get(index)),
            Route::with_handler("/hello", get(index)),
            Route::with_handler("/hello/{name}", get(hello)),
            Route::with_handler("/slow", get(slow)),
            Route::with_handler("/stream", get(stream)),
            Route::with_handler("/echo", post(echo)),
            Route::with_handler("/form", post(form)),
        ])
    }
}

async fn index() -> &'static str {
    "Hello, World!\n"
}

async fn hello(Path(name): Path<String>) -> String {
    let name = percent_decode_str(&name).decode_utf8_lossy(); // Cot leaves it as it came
    format!("Hello, {name}!\n")
}

async fn slow() -> &'static str {
    sleep(PAUSE).await;
    "That took a while.\n"
}

async fn error_page(error: RequestError) -> impl IntoResponse {
    let text = match error.status_code() {
        StatusCode::NOT_FOUND => "There is nothing here.\n".to_string(),
        status => format!("{status}\n"),
    };
    text.with_status(error.status_code())
}

/// Counts to three, with a pause before each number but the first.
async fn stream() -> impl IntoResponse {
    let numbers = stream::unfold(1, |number| async move {
        if number > 1 {
            sleep(PAUSE).await;
        }
        let chunk = cot::Result::Ok(format!("{number}\n").into());
        (number <= 3).then_some((chunk, number + 1))
    });
    Body::streaming(numbers).with_content_type("text/plain")
}

/// Sends the body back while it comes.
async fn echo(request: Request) -> impl IntoResponse {
    request
        .into_body()
        .with_content_type("application/octet-stream")
}

#[derive(Form)]
struct Greeting {
    name: Option<String>,
}

async fn form(RequestForm(greeting): RequestForm<Greeting>) -> cot::Result<String> {
    let name = match greeting {
        FormResult::Ok(greeting) => greeting.name,
        FormResult::ValidationError(_) => None,
    };
    Ok(format!("Hello, {}!\n", name.unwrap_or("World".to_string())))
}
// ANCHOR_END: app
