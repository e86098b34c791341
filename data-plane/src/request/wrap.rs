//! The envelope of `vault/execute`: the provider's answer as one JSON object, whatever it was.

use ah5_contracts::id::AuditId;
use ah5_policy::Redaction;
use ah5_policy::response::ResponseFilter;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::collect::{collect, filtered};
use super::relay::Relay;
use super::reply::content_type;
use super::{Refusal, heavy};
use crate::answer::{self, AnswerBody};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wrapped<'a> {
    model: &'static str,
    status: u16,
    headers: serde_json::Map<String, serde_json::Value>,
    body: &'a RawValue,
    audit_id: AuditId,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pii_redacted: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    redactions: Vec<serde_json::Value>,
    /// Once more, where clients look for it if the status of the envelope itself is none of success.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// `status` is the provider's, `outer` the envelope's own.
///
/// # Errors
/// 502 or 504 when the answer breaks off, is too large, or holds the credential.
pub async fn wrap(
    mut relay: Relay,
    status: StatusCode,
    outer: StatusCode,
    headers: &HeaderMap,
    filter: Option<&ResponseFilter>,
) -> Result<Response<AnswerBody>, Refusal> {
    let audit_id = relay.audit_id();
    let redactions = relay.redactions().iter().map(redaction).collect::<Vec<_>>();
    let kind = content_type(headers).to_ascii_lowercase();
    let (body, headers) = if status.is_success() && is_binary(&kind) {
        (stub(&kind, headers, &relay), serde_json::Map::new())
    } else {
        let mut bytes = collect(&mut relay).await?;
        if let Some(filter) = filter {
            let kind = content_type(headers);
            let kind = (!kind.is_empty()).then_some(kind);
            bytes = heavy::run(bytes.len(), || filtered(filter, kind, bytes)).await?;
        }
        (embed(&bytes, &kind), listed(headers))
    };
    // A body that is not read to its end is no fault of anybody's.
    let mut permit = relay.done();
    let error = match outer.is_success() {
        true => None,
        false => error(&body),
    };
    let body = RawValue::from_string(body).map_err(Refusal::internal)?;
    let wrapped = Wrapped {
        model: "B",
        status: status.as_u16(),
        headers,
        body: &body,
        audit_id,
        pii_redacted: !redactions.is_empty(),
        redactions,
        error,
    };
    let text = serde_json::to_vec(&wrapped).map_err(Refusal::internal)?;
    if let Some(permit) = &mut permit {
        // Escapes can make it much longer than what it holds.
        permit.reserve(text.len())?;
    }
    Ok(answer::json(outer, text, Some(audit_id)).map(|body| body.keeping(permit)))
}

/// What the agent is told of its own request.
fn redaction(done: &Redaction) -> serde_json::Value {
    json!({"type": done.kind, "field": done.field, "count": done.count})
}

/// JSON as it is, anything else as a string of JSON.
fn embed(bytes: &[u8], kind: &str) -> String {
    let json = kind.contains("json") && serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
    match std::str::from_utf8(bytes) {
        Ok(text) if json => text.to_owned(),
        _ => serde_json::Value::from(String::from_utf8_lossy(bytes)).to_string(),
    }
}

/// The text that the body says is its error.
fn error(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Failed {
        error: String,
    }
    let failed = serde_json::from_str::<Failed>(body).ok()?;
    Some(failed.error)
}

/// Values of one name are joined (RFC 9110 §5.3).
fn listed(headers: &HeaderMap) -> serde_json::Map<String, serde_json::Value> {
    let mut listed = serde_json::Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let values: Vec<_> = values
            .map(|v| String::from_utf8_lossy(v.as_bytes()))
            .collect();
        listed.insert(name.as_str().to_owned(), values.join(", ").into());
    }
    listed
}

fn is_binary(kind: &str) -> bool {
    let json = kind.contains("json") || kind.contains("xml") && !kind.contains("openxml");
    let named = [
        "application/octet-stream",
        "application/pdf",
        "application/zip",
    ];
    !json
        && (named.iter().any(|name| kind.contains(name))
            || kind.contains("application/vnd.")
            || ["image/", "audio/", "video/"]
                .iter()
                .any(|start| kind.starts_with(start)))
}

fn stub(kind: &str, headers: &HeaderMap, relay: &Relay) -> String {
    let header = |name| {
        headers
            .get(name)
            .and_then(|v: &http::HeaderValue| v.to_str().ok())
    };
    let mut stub = json!({
        "_binaryContent": true, "contentType": kind,
        "hint": format!(
            "The answer is binary. Use vault_download (download: true) with url {} and {}.",
            relay.url(), relay.named(),
        ),
    });
    if let Some(size) = relay.size_hint().exact() {
        stub["sizeBytes"] = size.into();
    }
    if let Some(text) = header("content-disposition") {
        stub["contentDisposition"] = text.into();
    }
    stub.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_json_is_embedded_as_json() {
        assert_eq!(embed(b"{\"a\": 1.00}", "application/json"), "{\"a\": 1.00}");
        assert_eq!(embed(b"[1]", "application/vnd.x+json"), "[1]");
        assert_eq!(embed(b"{\"a\":", "application/json"), "\"{\\\"a\\\":\"");
        assert_eq!(embed(b"[1]", "text/plain"), "\"[1]\"");
        assert_eq!(embed(b"", "application/json"), "\"\"");
        assert_eq!(embed(b"a\xff", "text/plain"), "\"a\u{fffd}\"");
    }

    #[test]
    fn json_and_xml_are_text_whatever_their_vendor() {
        for kind in [
            "application/vnd.x+json",
            "application/atom+xml",
            "text/csv",
            "",
        ] {
            assert!(!is_binary(kind), "{kind}");
        }
        for kind in [
            "image/png",
            "application/pdf",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ] {
            assert!(is_binary(kind), "{kind}");
        }
    }
}
