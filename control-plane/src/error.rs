//! The one way a handler fails: a status, the error body, and for our own faults a log line that
//! the client never sees.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use ah5_contracts::error::ErrorBody;
use ah5_contracts::id::NotAnId;
use ah5_edge::dpop::{self, Fault};
use ah5_store::StoreError;

use crate::auth::rate::Quota;

#[derive(Debug)]
pub struct AppError {
    status: StatusCode,
    body: Box<ErrorBody>,
    quota: Option<Quota>,
    /// What is wrong with how an agent proves possession of a key.
    proof: Option<Box<Fault>>,
}

pub type AppResult<T = Response> = Result<T, AppError>;

// === impl AppError ===

impl AppError {
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            body: Box::new(ErrorBody::new(error)),
            quota: None,
            proof: None,
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

    pub fn too_many(quota: Quota) -> Self {
        let minutes = quota.seconds.div_ceil(60);
        let unit = if minutes == 1 { "minute" } else { "minutes" };
        let text = format!("Rate limit exceeded, retry in {minutes} {unit}");
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, text);
        error.body.retry_after = Some(quota.seconds);
        error.quota = Some(quota);
        error
    }

    /// Nothing is wrong with the request; later it may work.
    pub fn unavailable() -> Self {
        let mut error = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The service is temporarily unavailable",
        );
        error.body.retry_after = Some(2);
        error
    }

    /// Ours to mend: logged here, once, and told to nobody.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        tracing::error!(%why, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
    }

    /// To an agent that asks for a token (RFC 9449 §5). Where it uses one, the fault itself is an
    /// error already.
    pub fn no_token(fault: Fault) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            ..Self::from(fault)
        }
    }

    /// Whether the caller has proved all but that he knows the current nonce.
    pub fn asks_for_nonce(&self) -> bool {
        matches!(self.proof.as_deref(), Some(Fault::Nonce(_)))
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }

    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.body.retry_after = Some(seconds);
        self
    }

    /// What the client is told.
    pub fn text(&self) -> &str {
        &self.body.error
    }

    pub const fn status(&self) -> StatusCode {
        self.status
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
                Self::unavailable()
            }
            // What a handler doesn't expect lost a race: what it looked at has changed since.
            StoreError::Conflict(_) => {
                Self::conflict("Conflicts with a change made at the same time")
            }
            error => Self::internal(error),
        }
    }
}

impl From<Fault> for AppError {
    fn from(fault: Fault) -> Self {
        let error = match &fault {
            Fault::Token(_) => Self::unauthorized("Invalid or expired API key"),
            Fault::Nonce(_) | Fault::Proof(_) => Self::unauthorized(fault.code()),
        };
        let mut error = error.hint(fault.to_string());
        error.proof = Some(Box::new(fault));
        error
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
        if let Some(quota) = self.quota {
            quota.write(response.headers_mut());
        }
        if let Some(fault) = self.proof {
            let headers = response.headers_mut();
            if self.status == StatusCode::UNAUTHORIZED {
                headers.insert(header::WWW_AUTHENTICATE, fault.challenge());
            }
            if let Some(nonce) = fault.nonce() {
                headers.insert(dpop::NONCE, nonce);
            }
        }
        if let Some(seconds) = retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
