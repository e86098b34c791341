//! Request headers that policies name. A header that carries authority or arguments passes only with
//! a name and a value that an allowlist entry states; what would make another request of the one
//! that was judged can't be named at all.

use serde_json::Value;

use crate::compile::CompileError;
use crate::stored::Stored;

/// A header that an allowlist entry lets pass.
#[derive(Clone, Debug)]
pub(crate) struct NamedHeader {
    /// In lower case.
    name: Box<str>,
    values: Box<[Box<str>]>,
}

// === impl NamedHeader ===

impl NamedHeader {
    /// `[{"name", "value"}]` or `[{"name", "values": [..]}]`.
    pub(crate) fn compile_all(list: &Value, at: &str) -> Result<Box<[Self]>, CompileError> {
        let list = list
            .as_array()
            .ok_or_else(|| CompileError::new(at, "must be array"))?;
        if list.len() > MAX_HEADERS {
            let why = format!("must NOT have more than {MAX_HEADERS} items");
            return Err(CompileError::new(at, why));
        }
        let items = list.iter().enumerate();
        items
            .map(|(i, stored)| Self::compile(stored, &format!("{at}/{i}")))
            .collect()
    }

    fn compile(stored: &Value, at: &str) -> Result<Self, CompileError> {
        let stored = Stored::object(stored, at, &["name", "value", "values"])?;
        let name = stored.text("name")?;
        let name = name.ok_or_else(|| stored.error("name", "is required"))?;
        if !is_token(name) || name.len() > MAX_NAME {
            return Err(stored.error("name", "is not a header name"));
        }
        // Credentials belong into a connection, not into a policy.
        if is_never(name) || name.eq_ignore_ascii_case("authorization") {
            return Err(stored.error("name", "is a header that no call may carry"));
        }
        let values = match (stored.text("value")?, stored.get("values")) {
            (Some(_), Some(_)) => {
                return Err(stored.error("values", "and value are mutually exclusive"));
            }
            (Some(value), None) => vec![value],
            (None, Some(_)) => stored.texts("values", MAX_VALUES)?,
            (None, None) => return Err(stored.error("value", "is required")),
        };
        if values.is_empty() {
            return Err(stored.error("values", "must NOT have fewer than 1 items"));
        }
        if values.iter().any(|value| !is_value(value)) {
            let field = stored.get("value").map_or("values", |_| "value");
            return Err(stored.error(field, "is not a header value"));
        }
        Ok(Self {
            name: name.to_ascii_lowercase().into(),
            values: values.into_iter().map(Into::into).collect(),
        })
    }

    /// `name` in lower case.
    pub(crate) fn is(&self, name: &str) -> bool {
        *self.name == *name
    }

    pub(crate) fn lets_pass(&self, (name, value): &(String, String)) -> bool {
        self.is(name) && self.values.iter().any(|known| **known == **value)
    }
}

/// Whether no policy and no connection may name the header: it steers the request rather than says
/// something in it, or it is ours.
#[must_use]
pub fn is_never(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NEVER.contains(&name.as_str()) || NEVER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// RFC 9110 §5.6.2.
#[must_use]
pub fn is_token(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(legal)
}

/// RFC 9110 §5.5, of ASCII only and without blanks at the ends.
fn is_value(value: &str) -> bool {
    (1..=MAX_VALUE).contains(&value.len())
        && value.bytes().all(|b| (0x20..0x7f).contains(&b))
        && value.trim() == value
}

const NEVER: [&str; 30] = [
    "accept-encoding",
    "cdn-loop",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "cookie2",
    "dpop",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];
const NEVER_PREFIXES: [&str; 4] = ["proxy-", "sec-", "x-ah5-", "x-forwarded-"];
const MAX_HEADERS: usize = 20;
const MAX_NAME: usize = 128;
const MAX_VALUE: usize = 4096;
const MAX_VALUES: usize = 50;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(list: &Value) -> Option<String> {
        NamedHeader::compile_all(list, "headers")
            .err()
            .map(|error| error.path)
    }

    #[test]
    fn a_header_passes_with_a_value_that_is_written_down() {
        let list = json!([{"name": "Stripe-Account", "values": ["acct_1", "acct_2"]}]);
        let named = NamedHeader::compile_all(&list, "headers").unwrap();
        let passes = |name: &str, value: &str| named[0].lets_pass(&(name.into(), value.into()));
        assert!(passes("stripe-account", "acct_2"));
        assert!(!passes("stripe-account", "acct_3"));
        assert!(!passes("stripe-account", "ACCT_1"));
        assert!(!passes("stripe-context", "acct_1"));
    }

    #[test]
    fn what_is_malformed_or_steers_a_request_is_refused_by_field() {
        for (list, at) in [
            (json!({}), "headers"),
            (json!([{"value": "a"}]), "headers/0/name"),
            (json!([{"name": "a b", "value": "a"}]), "headers/0/name"),
            (
                json!([{"name": "X-HTTP-Method", "value": "GET"}]),
                "headers/0/name",
            ),
            (
                json!([{"name": "X-Forwarded-Host", "value": "h"}]),
                "headers/0/name",
            ),
            (
                json!([{"name": "authorization", "value": "a"}]),
                "headers/0/name",
            ),
            (json!([{"name": "prefer"}]), "headers/0/value"),
            (
                json!([{"name": "prefer", "value": "a\r\nb"}]),
                "headers/0/value",
            ),
            (
                json!([{"name": "prefer", "values": []}]),
                "headers/0/values",
            ),
            (
                json!([{"name": "prefer", "values": ["a", 1]}]),
                "headers/0/values/1",
            ),
            (
                json!([{"name": "prefer", "value": "a", "values": ["b"]}]),
                "headers/0/values",
            ),
            (
                json!([{"name": "prefer", "value": "a", "regex": true}]),
                "headers/0/regex",
            ),
        ] {
            assert_eq!(fault(&list).as_deref(), Some(at), "{list}");
        }
    }
}
