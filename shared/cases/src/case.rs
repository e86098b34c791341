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
    pub request: Value,
    pub expect: Value,
    #[serde(default)]
    pub better: bool,
    #[serde(rename = "expect_secure")]
    pub expect_secure: Option<Value>,
    /// As written, since members have an order.
    pub response: Option<Box<RawValue>>,
    pub response_status: Option<u16>,
    pub response_content_type: Option<String>,
    pub connection: Option<Value>,
    pub prior: Option<Value>,
    #[serde(default)]
    pub note: String,
}

// === impl Case ===

impl Case {
    /// Where the reference is known to be weak, the secure answer is the right one.
    #[must_use]
    pub fn right_answer(&self) -> &Value {
        match &self.expect_secure {
            Some(secure) if self.better => secure,
            _ => &self.expect,
        }
    }
}
