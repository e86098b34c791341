//! Refusals under `/api/auth/*`, whose shape is their own: `{"code","message"}`.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use ah5_store::StoreError;

use crate::auth::origin::AuthOrigin;
use crate::error::AppError;
use crate::page::{escaped, page};

#[derive(Debug)]
pub enum Refusal {
    Code(StatusCode, &'static str),
    /// A field of the body that won't do.
    Field(String),
    /// No live session: an empty answer.
    NoSession,
    Other(AppError),
    /// Too many attempts; seconds until the next.
    Slow(i32),
}

pub type AuthResult<T = Response> = Result<T, Refusal>;

// === impl Refusal ===

impl Refusal {
    /// For the fault of one field.
    pub fn field(error: AppError) -> Self {
        Self::Field(error.text().to_owned())
    }

    /// For a field that would send the browser somewhere else.
    pub const fn bad_target(field: &str) -> Self {
        let code = match field.as_bytes() {
            b"callbackURL" => "INVALID_CALLBACKURL",
            b"errorCallbackURL" => "INVALID_ERRORCALLBACKURL",
            b"newUserCallbackURL" => "INVALID_NEWUSERCALLBACKURL",
            _ => "INVALID_REDIRECTURL",
        };
        Self::Code(StatusCode::FORBIDDEN, code)
    }

    /// For somebody who has sent a form.
    pub fn page(self) -> Response {
        let why = match &self {
            Self::Code(_, code) => message(code),
            Self::Field(why) => why.clone(),
            Self::NoSession => message("UNAUTHORIZED"),
            Self::Other(error) => error.text().to_owned(),
            Self::Slow(seconds) => format!("Too many attempts: try again in {seconds} seconds"),
        };
        let status = self.into_response().status();
        let back = "<p>Go back in your browser to try again.</p>";
        let body = format!("<p>{}.</p>{back}", escaped(&why));
        page(status, "You are not signed in", &body)
    }
}

impl From<AppError> for Refusal {
    fn from(error: AppError) -> Self {
        Self::Other(error)
    }
}

impl From<AuthOrigin> for Refusal {
    fn from(refusal: AuthOrigin) -> Self {
        Self::Code(StatusCode::FORBIDDEN, refusal.0)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let coded = |status, code: &str, message: String| {
            (status, Json(json!({"code": code, "message": message}))).into_response()
        };
        match self {
            Self::Code(status, code) => coded(status, code, message(code)),
            Self::Field(why) => coded(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", why),
            Self::NoSession => {
                let code = "UNAUTHORIZED";
                coded(StatusCode::UNAUTHORIZED, code, message(code))
            }
            Self::Other(error) => error.into_response(),
            Self::Slow(seconds) => {
                let code = "TOO_MANY_ATTEMPTS";
                let body = Json(json!({"code": code, "message": message(code)}));
                let seconds = HeaderValue::from(seconds);
                let headers = [
                    (header::RETRY_AFTER, seconds.clone()),
                    (HeaderName::from_static("x-retry-after"), seconds),
                ];
                (StatusCode::TOO_MANY_REQUESTS, headers, body).into_response()
            }
        }
    }
}

fn message(code: &str) -> String {
    if code == "SIGN_UP_CLOSED" {
        return "Sign-up is closed: this installation sends no mail to prove addresses with"
            .to_owned();
    }
    let words = code.to_lowercase().replace('_', " ");
    let mut letters = words.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
