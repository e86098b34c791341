//! The one shape of every error on the wire: `{"error", "hint"?, "auditId"?, "retryAfter"?}`.

use serde::{Deserialize, Serialize};

use crate::id::AuditId;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    pub error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// A machine-readable cause where a client needs one, such as `clock_skew`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_id: Option<AuditId>,
    /// Seconds, as in `Retry-After` (RFC 9110 §10.2.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

impl ErrorBody {
    pub fn new(error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn audit_id(mut self, id: AuditId) -> Self {
        self.audit_id = Some(id);
        self
    }

    /// Compact JSON. Clients search error bodies for substrings, so no spaces.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // A struct of strings, an id and a number always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
