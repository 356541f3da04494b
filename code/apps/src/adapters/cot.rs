//! The adapter for Cot.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::Router;
use cot::test::Client;
use cot::{Bootstrapper, Project};
use futures_util::StreamExt;
use gateway::{Application, Result};
use http::StatusCode;
use std::sync::Arc;
use tokio::sync::Mutex;

// ANCHOR: application
/// A project as an application.
///
/// Cot stands on axum, and this adapter on [that one](super::axum): both bodies
/// are streamed. Its way in is the client that Cot has for tests, because nobody
/// else can hand an error to the project's own error page. So the configuration
/// of the project is the one that it has under the name `test`, and in a server
/// with threads the requests take turns.
///
/// # Errors
///
/// What keeps the project from being booted.
pub fn application<P>(project: fn() -> P) -> Result<impl Application + Send + Sync>
where
    P: Project + Send + 'static,
{
    let client = super::boot(async {
        // Checked here: Cot's client would panic on the error.
        let checked = Bootstrapper::new(project()).with_config(project().config("test")?);
        checked.boot().await?;
        cot::Result::Ok(Client::new(project()).await)
    })?;
    let client = client.map_err(|error| error.to_string())?;
    let client = Arc::new(Mutex::new(client));
    let answer = move |request| answer(Arc::clone(&client), request);
    Ok(super::axum::application(Router::new().fallback(answer)))
}
// ANCHOR_END: application

// ANCHOR: answer
async fn answer(client: Arc<Mutex<Client>>, request: Request) -> Response {
    let request = request.map(|body| {
        let chunks = body.into_data_stream();
        cot::Body::streaming(chunks.map(|chunk| chunk.map_err(cot::Error::internal)))
    });
    match client.lock().await.request(request).await {
        Ok(response) => response.map(axum::body::Body::new),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(), // of the error page itself
    }
}
// ANCHOR_END: answer
