//! A line of the file.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub level: String,
    pub policy: Value,
    /// As written, since members have an order.
    #[serde(rename = "request")]
    pub request_text: Box<RawValue>,
    pub expect: Value,
    #[serde(default)]
    pub better: bool,
    #[serde(rename = "expect_secure")]
    pub expect_secure: Option<Value>,
    pub response: Option<Box<RawValue>>,
    pub response_status: Option<u16>,
    pub response_content_type: Option<String>,
    pub connection: Option<Value>,
    pub prior: Option<Prior>,
    #[serde(default)]
    pub note: String,
}

/// What happens before the request of a redemption.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prior {
    /// Has to be answered with the offer of an approval.
    pub request: Box<RawValue>,
    /// `approve`, `deny`, `quick`, `approve_as_agent` or `none`.
    pub resolve: String,
    /// The approval is past its time when it is used.
    #[serde(default)]
    pub expire: Value,
    /// The policy's rules from then on.
    pub then_rules: Option<Value>,
    /// It has been used once already.
    #[serde(default)]
    pub redeem_first: Value,
}

// === impl Case ===

impl Case {
    #[must_use]
    pub fn request(&self) -> Value {
        serde_json::from_str(self.request_text.get()).unwrap_or_default()
    }

    /// The bytes of the request's body as they go out: a text is sent as it is.
    #[must_use]
    pub fn request_body(&self) -> Vec<u8> {
        let written: Written = serde_json::from_str(self.request_text.get()).unwrap_or_default();
        let body = written.body.as_ref().map(|body| body.get());
        match (written.raw_body, body) {
            (Some(raw), _) => raw.into_bytes(),
            (None, None | Some("null")) => Vec::new(),
            (None, Some(body)) => match serde_json::from_str::<String>(body) {
                Ok(text) => text.into_bytes(),
                Err(_) => body.as_bytes().to_vec(),
            },
        }
    }

    /// Where the reference is known to be weak, the secure answer is the right one.
    #[must_use]
    pub fn right_answer(&self) -> &Value {
        match &self.expect_secure {
            Some(secure) if self.better => secure,
            _ => &self.expect,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    body: Option<Box<RawValue>>,
    raw_body: Option<String>,
}
