//! The one way a handler fails: a status, the error body, and for our own faults a log line that
//! the client never sees.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use ah5_contracts::error::ErrorBody;
use ah5_contracts::id::NotAnId;
use ah5_store::StoreError;

#[derive(Debug)]
pub struct AppError {
    status: StatusCode,
    body: ErrorBody,
}

pub type AppResult<T = Response> = Result<T, AppError>;

// === impl AppError ===

impl AppError {
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            body: ErrorBody::new(error),
        }
    }

    pub fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub fn unauthorized(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error)
    }

    pub fn forbidden(error: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, error)
    }

    pub fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }

    pub fn conflict(error: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, error)
    }

    pub fn too_many(seconds: u32) -> Self {
        let minutes = seconds.div_ceil(60);
        let unit = if minutes == 1 { "minute" } else { "minutes" };
        let mut error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            format!("Rate limit exceeded, retry in {minutes} {unit}"),
        );
        error.body.retry_after = Some(seconds);
        error
    }

    /// Ours to mend: logged here, once, and told to nobody.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        tracing::error!(%why, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }

    pub fn reason(mut self, reason: &str) -> Self {
        self.body.reason = Some(reason.to_owned());
        self
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => {
                tracing::warn!(%why, "the database is not available");
                let mut error = Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The service is temporarily unavailable",
                );
                error.body.retry_after = Some(2);
                error
            }
            error => Self::internal(error),
        }
    }
}

impl From<NotAnId> for AppError {
    fn from(error: NotAnId) -> Self {
        Self::bad_request(format!("params/id {error}"))
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let retry_after = self.body.retry_after;
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(seconds) = retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
