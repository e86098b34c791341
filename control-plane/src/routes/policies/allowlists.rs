//! Allowlists as they are given: the faults that clients know by their words.

use serde_json::{Value, json};

use ah5_contracts::id::WorkspaceId;
use ah5_contracts::policy::Method;

use crate::app::App;
use crate::error::AppError;

/// The common faults in the words that clients know; the compiler finds the rest.
pub(super) fn checked_allowlists(
    app: &App,
    workspace: WorkspaceId,
    value: &Value,
) -> Result<Value, AppError> {
    let bad = |text: String| Err(AppError::bad_request(text));
    let Some(entries) = value.as_array() else {
        return bad("body/allowlists must be array".into());
    };
    let mut checked = Vec::with_capacity(entries.len());
    for (i, entry) in entries.iter().enumerate() {
        let Some(base) = entry.get("baseUrl").and_then(Value::as_str) else {
            return bad(format!(
                "body/allowlists/{i} must have required property 'baseUrl'"
            ));
        };
        let Ok(url) = url::Url::parse(base) else {
            return bad(format!("Invalid base URL: {base}"));
        };
        let (host, port) = (
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or(0),
        );
        if url.scheme() != "https"
            && !(url.scheme() == "http" && app.config.allows_plain_http(workspace, host, port))
        {
            return bad(format!("Base URL must use HTTPS: {base}"));
        }
        let methods = entry
            .get("methods")
            .and_then(Value::as_array)
            .filter(|m| !m.is_empty());
        let Some(methods) = methods else {
            return bad("Each allowlist entry requires at least one HTTP method".into());
        };
        if let Some(j) = methods
            .iter()
            .position(|m| m.as_str().and_then(Method::from_name).is_none())
        {
            return bad(format!(
                "body/allowlists/{i}/methods/{j} must be equal to one of the allowed values"
            ));
        }
        let patterns = entry
            .get("pathPatterns")
            .and_then(Value::as_array)
            .filter(|p| !p.is_empty());
        let Some(patterns) = patterns else {
            return bad("Each allowlist entry requires at least one path pattern".into());
        };
        if patterns
            .iter()
            .any(|p| p.as_str().is_none_or(|p| p.trim().is_empty()))
        {
            return bad("Path patterns must be non-empty strings".into());
        }
        let mut kept = json!({"baseUrl": base, "methods": methods, "pathPatterns": patterns});
        // What else there is, the compiler knows or refuses.
        for (name, value) in entry.as_object().into_iter().flatten() {
            if kept.get(name).is_none() {
                kept[name] = value.clone();
            }
        }
        checked.push(kept);
    }
    Ok(Value::Array(checked))
}
