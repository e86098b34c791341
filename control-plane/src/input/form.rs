//! The bodies of OAuth: a form, as the standard has it, or JSON, as our own clients send it.

use axum::extract::{FromRequest, Request};
use serde_json::{Map, Value};

use super::{Input, essence, read};
use crate::error::AppError;

pub struct FormOrInput {
    pub input: Input,
    pub is_form: bool,
}

impl<S: Sync> FromRequest<S> for FormOrInput {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &S) -> Result<Self, AppError> {
        let is_form = essence(&request).as_deref() == Some(FORM);
        let input = if is_form {
            parse(&read(request.into_body()).await?)?
        } else {
            Input::from_request(request, state).await?
        };
        Ok(Self { input, is_form })
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// RFC 6749 §3.2: an empty parameter is none, and none comes twice.
fn parse(bytes: &[u8]) -> Result<Input, AppError> {
    let mut fields = Map::new();
    for (name, value) in url::form_urlencoded::parse(bytes) {
        if name.contains('\0') || value.contains('\0') {
            let text = "body must not contain NUL characters";
            return Err(AppError::bad_request(text));
        }
        if value.is_empty() {
            continue;
        }
        let value = Value::String(value.into_owned());
        if fields.insert(name.into_owned(), value).is_some() {
            return Err(AppError::bad_request("invalid_request")
                .hint("The body has a parameter more than once"));
        }
    }
    Ok(Input::of(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_names_each_parameter_once() {
        let input = parse(b"a=1+2%26&b=&c=x").unwrap();
        assert_eq!(input.text("a").unwrap(), "1 2&");
        assert!(!input.has("b") && input.has("c"));
        for bad in ["a=1&a=1", "a=%00", "%00=a"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
