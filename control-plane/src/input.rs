//! Request bodies: read whole under the body cap, then taken apart field by field with messages
//! that name the first fault. Unknown fields are ignored, as clients expect.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value};

use crate::error::AppError;

pub mod form;

/// Bytes of a request body at most.
pub const MAX_BODY: usize = 1024 * 1024;

/// A JSON object.
pub struct Input(Map<String, Value>);

/// A JSON object, or nothing at all.
pub struct OptionalInput(pub Option<Input>);

/// The fault of a body that a route needs and did not get.
const NO_BODY: &str = "Body cannot be empty when content-type is set to 'application/json'";

// === impl Input ===

impl Input {
    /// An object within a body.
    pub fn of(object: Map<String, Value>) -> Self {
        Self(object)
    }

    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Of every field that is there.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether the field is there, be it `null`.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
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

    pub fn optional_flag(&self, name: &str) -> Result<Option<bool>, AppError> {
        let must = || AppError::bad_request(format!("body/{name} must be boolean"));
        let flag = |value: &Value| value.as_bool().ok_or_else(must);
        self.0.get(name).map(flag).transpose()
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
                .hint(format!("Accepted: {}.", allowed.join(", ")))
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
        let json = essence(&request).as_deref() == Some(JSON);
        let OptionalInput(input) = OptionalInput::from_request(request, state).await?;
        let missing = if json { NO_BODY } else { "body must be object" };
        input.ok_or_else(|| AppError::bad_request(missing))
    }
}

impl<S: Sync> FromRequest<S> for OptionalInput {
    type Rejection = AppError;

    async fn from_request(request: Request, _: &S) -> Result<Self, AppError> {
        let essence = essence(&request);
        let bytes = read(request.into_body()).await?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        match essence.as_deref() {
            Some(JSON) => {}
            None | Some("text/plain") => return Err(AppError::bad_request("body must be object")),
            Some(kind) => {
                return Err(AppError::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    format!("Unsupported Media Type: {kind}"),
                ));
            }
        }
        parse(&bytes).map(|input| Self(Some(input)))
    }
}

const JSON: &str = "application/json";

/// The media type without its parameters.
fn essence(request: &Request) -> Option<String> {
    let value = request.headers().get(header::CONTENT_TYPE)?;
    let value = value.to_str().unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default();
    Some(essence.trim().to_ascii_lowercase())
}

async fn read(body: Body) -> Result<Bytes, AppError> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(AppError::bad_request("The request body could not be read")),
    }
}

pub fn too_large() -> AppError {
    AppError::new(StatusCode::PAYLOAD_TOO_LARGE, "Request body is too large")
}

fn parse(bytes: &[u8]) -> Result<Input, AppError> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) if !map.contains_key("__proto__") => {
            // Postgres' text and jsonb cannot hold it.
            if map.values().any(holds_nul) || map.keys().any(|key| key.contains('\0')) {
                return Err(AppError::bad_request(
                    "body must not contain NUL characters",
                ));
            }
            Ok(Input(map))
        }
        Ok(Value::Object(_)) | Err(_) => Err(AppError::bad_request(
            "Body is not valid JSON but content-type is set to 'application/json'",
        )),
        Ok(_) => Err(AppError::bad_request("body must be object")),
    }
}

// The parser bounds the depth.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().any(holds_nul),
        Value::Object(map) => map.iter().any(|(k, v)| k.contains('\0') || holds_nul(v)),
        Value::String(text) => text.contains('\0'),
        _ => false,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content_type: Option<&str>, body: &str) -> Request {
        let mut request = Request::new(Body::from(body.to_owned()));
        if let Some(value) = content_type {
            let value = value.parse().unwrap();
            request.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        request
    }

    async fn take(content_type: Option<&str>, body: &str) -> Result<Input, (u16, String)> {
        Input::from_request(request(content_type, body), &())
            .await
            .map_err(|error| (error.status().as_u16(), error.text().to_owned()))
    }

    fn fault<T>(result: Result<T, AppError>) -> String {
        result
            .err()
            .map(|error| error.text().to_owned())
            .unwrap_or_default()
    }

    #[tokio::test]
    async fn bodies_that_are_no_json_object_are_refused_by_name() {
        let json = Some("application/json; charset=utf-8");
        let malformed = "Body is not valid JSON but content-type is set to 'application/json'";
        let cases = [
            (json, "", 400, NO_BODY),
            (json, "{", 400, malformed),
            (json, "{\"__proto__\":1}", 400, malformed),
            (json, "[]", 400, "body must be object"),
            (
                json,
                "{\"a\":[\"\\u0000\"]}",
                400,
                "body must not contain NUL characters",
            ),
            (None, "", 400, "body must be object"),
            (Some("text/plain"), "{}", 400, "body must be object"),
            (
                Some("application/xml"),
                "<a/>",
                415,
                "Unsupported Media Type: application/xml",
            ),
        ];
        for (content_type, body, status, text) in cases {
            let got = take(content_type, body).await.err();
            assert_eq!(got, Some((status, text.to_owned())), "{body}");
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BODY));
        assert_eq!(
            take(json, &long).await.err(),
            Some((413, "Request body is too large".to_owned()))
        );
        let none = OptionalInput::from_request(request(json, ""), &()).await;
        assert!(none.is_ok_and(|input| input.0.is_none()));
    }

    #[tokio::test]
    async fn faults_name_the_field() {
        let body = r#"{"n":5,"o":{},"e":"x","id":"urn:uuid:1","z":null}"#;
        let input = take(Some("application/json"), body).await.unwrap();
        assert_eq!(input.text("n").unwrap(), "5");
        assert_eq!(
            fault(input.text("a")),
            "body must have required property 'a'"
        );
        assert_eq!(fault(input.text("o")), "body/o must be string");
        assert_eq!(
            fault(input.one_of("e", &["y"])),
            "body/e must be equal to one of the allowed values"
        );
        assert_eq!(
            fault(input.id::<ah5_contracts::id::AgentId>("id")),
            "body/id must match format \"uuid\""
        );
        assert!(input.optional_text("z").unwrap().is_none() && input.has("z"));
    }
}
