//! What the adapter for Cot does besides: see `frameworks.rs` for the rest.

mod asking;

use apps::adapters::cot::application;
use asking::ask;
use cot::config::ProjectConfig;
use cot::project::{App, AppBuilder, RegisterAppsContext};
use cot::router::method::get;
use cot::router::{Route, Router};
use cot::Project;

struct Failing;

impl Project for Failing {
    fn config(&self, _name: &str) -> cot::Result<ProjectConfig> {
        Ok(ProjectConfig::default())
    }

    fn register_apps(&self, apps: &mut AppBuilder, _context: &RegisterAppsContext) {
        apps.register_with_views(Failing, "");
    }
}

impl App for Failing {
    fn name(&self) -> &'static str {
        "failing"
    }

    fn router(&self) -> Router {
        Router::with_urls([
            Route::with_handler("/", get(fails)),
            Route::with_handler("/panic", get(panics)),
        ])
    }
}

async fn fails() -> cot::Result<&'static str> {
    Err(cot::Error::internal("the database is on fire"))
}

async fn panics() -> &'static str {
    tokio::task::yield_now().await;
    panic!("a bug of the application")
}

/// The project's own error page answers, and a panic is one answer.
#[test]
fn errors_are_answers() {
    let app = application(|| Failing).unwrap();
    for _ in 0..2 {
        let answer = ask(&app, "GET / HTTP/1.0\r\n\r\n");
        assert_eq!(answer.status, "500 Internal Server Error");
        assert!(answer.text().contains("<html"), "{}", answer.text());
        let answer = ask(&app, "GET /panic HTTP/1.0\r\n\r\n");
        assert_eq!(answer.status, "500 Internal Server Error");
    }
}

struct Unconfigured;

impl Project for Unconfigured {}

/// Cot looks for a file that is not there.
#[test]
fn a_project_that_cannot_be_booted_is_an_error() {
    let error = application(|| Unconfigured).err().unwrap().to_string();
    assert!(error.contains("config"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}
