//! The body of a 202: people are asked, and how the caller goes on once one of them has said yes.

use ah5_contracts::id::{ApprovalId, AuditId};
use jiff::Timestamp;
use serde::Serialize;

pub struct Offer<'a> {
    pub id: ApprovalId,
    pub reason: &'a str,
    pub expires_at: Timestamp,
    pub hint: &'a str,
    pub rule_label: Option<&'a str>,
    pub audit_id: Option<AuditId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    approval_required: bool,
    approval_request_id: ApprovalId,
    reason: &'a str,
    expires_at: String,
    hint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_id: Option<AuditId>,
}

// === impl Offer ===

impl Offer<'_> {
    /// Compact JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let members = Members {
            approval_required: true,
            approval_request_id: self.id,
            reason: self.reason,
            expires_at: self
                .expires_at
                .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
                .to_string(),
            hint: self.hint,
            rule_label: self.rule_label,
            audit_id: self.audit_id,
        };
        // A struct of texts and ids always serialises.
        serde_json::to_vec(&members).unwrap_or_default()
    }
}
