//! Our refusals in the form of a provider's errors, so that its clients raise the right exception and
//! show our text. Our own members stand beside, for clients of ours.

use ah5_contracts::id::AuditId;
use ah5_providers::service::Dialect;
use serde_json::{Value, json};

use crate::request::Refusal;

pub fn body(dialect: Dialect, refusal: &Refusal, audit_id: Option<AuditId>) -> Vec<u8> {
    let status = refusal.status.as_u16();
    let mut message = refusal.error.to_string();
    if let Some(hint) = &refusal.hint {
        message = format!("{message}. {hint}");
    }
    let mut body = match dialect {
        Dialect::Anthropic => {
            json!({"type": "error", "error": {"type": anthropic(status), "message": message}})
        }
        Dialect::Gemini => {
            json!({"error": {"code": status, "message": message, "status": google(status)}})
        }
        Dialect::Openai => json!({
            "error": {
                "message": message, "type": openai(status), "param": null,
                "code": refusal.kind.as_str(),
            },
        }),
    };
    if let Some(id) = audit_id {
        body["auditId"] = json!(id);
    }
    if let Some(seconds) = refusal.retry_after {
        body["retryAfter"] = Value::from(seconds);
    }
    body.to_string().into_bytes()
}

const fn anthropic(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    }
}

const fn openai(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    }
}

/// `google.rpc.Code`.
const fn google(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        400..500 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}
