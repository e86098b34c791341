//! Request bodies: read whole under the body cap, then taken apart field by field with messages
//! that name the first fault. Unknown fields are ignored, as clients expect.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde_json::{Map, Value};

use crate::error::AppError;

/// Bytes of a request body at most.
pub const MAX_BODY: usize = 1024 * 1024;

/// A JSON object.
pub struct Input(Map<String, Value>);

/// A JSON object, or nothing at all.
pub struct OptionalInput(pub Option<Input>);

// === impl Input ===

impl Input {
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A required string; a number or boolean is taken as its text.
    pub fn text(&self, name: &str) -> Result<String, AppError> {
        let Some(value) = self.0.get(name) else {
            return Err(AppError::bad_request(format!(
                "body must have required property '{name}'"
            )));
        };
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(flag) => Ok(flag.to_string()),
            _ => Err(AppError::bad_request(format!("body/{name} must be string"))),
        }
    }

    pub fn optional_text(&self, name: &str) -> Result<Option<String>, AppError> {
        self.value(name).map(|_| self.text(name)).transpose()
    }

    /// One of a closed list of strings, if present.
    pub fn one_of<'a>(&self, name: &str, allowed: &[&'a str]) -> Result<Option<&'a str>, AppError> {
        let Some(text) = self.optional_text(name)? else {
            return Ok(None);
        };
        allowed
            .iter()
            .find(|value| **value == text)
            .copied()
            .map(Some)
            .ok_or_else(|| {
                AppError::bad_request(format!(
                    "body/{name} must be equal to one of the allowed values"
                ))
            })
    }

    pub fn id<T: std::str::FromStr>(&self, name: &str) -> Result<T, AppError> {
        let text = self.text(name)?;
        text.parse()
            .map_err(|_| AppError::bad_request(format!("body/{name} must match format \"uuid\"")))
    }
}

impl<S: Sync> FromRequest<S> for Input {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &S) -> Result<Self, AppError> {
        let OptionalInput(input) = OptionalInput::from_request(request, state).await?;
        input.ok_or_else(|| AppError::bad_request("body must be object"))
    }
}

impl<S: Sync> FromRequest<S> for OptionalInput {
    type Rejection = AppError;

    async fn from_request(request: Request, _: &S) -> Result<Self, AppError> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let content_type =
            content_type.map(|v| v.to_str().unwrap_or_default().to_ascii_lowercase());
        let essence = content_type
            .as_deref()
            .map(|v| v.split(';').next().unwrap_or_default().trim());
        let json = essence == Some("application/json");
        let unsupported = essence.filter(|v| *v != "application/json" && *v != "text/plain");
        let unsupported = unsupported.map(str::to_owned);
        let bytes = read(request.into_body()).await?;
        match unsupported {
            Some(kind) if !bytes.is_empty() => {
                return Err(AppError::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    format!("Unsupported Media Type: {kind}"),
                ));
            }
            _ => {}
        }
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        if !json {
            return Err(AppError::bad_request("body must be object"));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(map)) if !map.contains_key("__proto__") => Ok(Self(Some(Input(map)))),
            Ok(Value::Object(_)) | Err(_) => Err(AppError::bad_request(
                "Body is not valid JSON but content-type is set to 'application/json'",
            )),
            Ok(_) => Err(AppError::bad_request("body must be object")),
        }
    }
}

async fn read(body: Body) -> Result<axum::body::Bytes, AppError> {
    to_bytes(body, MAX_BODY)
        .await
        .map_err(|_| AppError::new(StatusCode::PAYLOAD_TOO_LARGE, "Request body is too large"))
}

/// Trimmed and not blank.
pub fn not_blank(text: &str, fault: &str) -> Result<String, AppError> {
    let text = text.trim();
    if text.is_empty() {
        Err(AppError::bad_request(fault))
    } else {
        Ok(text.to_owned())
    }
}
