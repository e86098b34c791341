//! Links that decide by being opened: none works here. Whoever can read a message could follow one, an
//! agent among them, and so could whatever previews links. Old links end at the page that says so.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;

use crate::app::App;
use crate::error::{AppError, AppResult};

/// Nothing is looked up: the answer is the same for every token, whoever asks.
pub async fn approve_or_deny(State(app): State<App>, Path(token): Path<String>) -> AppResult {
    if token.chars().count() < SHORTEST {
        return Err(AppError::bad_request(
            "params/token must NOT have fewer than 32 characters",
        ));
    }
    let page = format!(
        "{}/quick-action/result?status=not_found",
        app.config.origin.text
    );
    Ok((StatusCode::FOUND, [(header::LOCATION, page)]).into_response())
}

const SHORTEST: usize = 32;
