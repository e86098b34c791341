//! A provider that a workspace describes itself. People's browsers are sent there and the client's
//! secret with them, so it is somebody else's public place, or one that the operator exempts.

use ah5_contracts::id::WorkspaceId;
use ah5_net::guard::{AddressKind, classify, is_loopback_name};
use ah5_policy::CanonicalUrl;
use ah5_providers::custom;
use ah5_providers::oauth::OAuth;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{AppError, AppResult};
use crate::input::Input;

/// The member `endpoints`, in the form in which the catalogue's dialects are written.
pub fn read(app: &App, workspace: WorkspaceId, input: &Input) -> AppResult<Value> {
    input
        .has("endpoints")
        .then_some(())
        .ok_or_else(|| AppError::bad_request("body must have required property 'endpoints'"))?;
    let fault = |why: &str| AppError::bad_request(format!("body/endpoints {why}"));
    let given = input.value("endpoints").and_then(Value::as_object);
    let mut endpoints = given.ok_or_else(|| fault("must be object"))?.clone();
    endpoints.insert("provider".to_owned(), custom::PROVIDER.into());
    for (name, usual) in [("pkce", json!(true)), ("refresh", json!("rotates"))] {
        endpoints.entry(name).or_insert(usual);
    }
    // The provider's own are for the catalogue's services only.
    for name in ["tenant_claim", "reports_every_consent"] {
        if endpoints.contains_key(name) {
            return Err(fault(&format!("must not have {name}")));
        }
    }
    let endpoints = Value::Object(endpoints);
    let dialect = OAuth::deserialize(&endpoints).map_err(|why| {
        let text: String = why.to_string().chars().take(200).collect();
        fault(&text)
    })?;
    dialect
        .check_own(|url| may_call(app, workspace, url))
        .map_err(|why| fault(&why))?;
    Ok(endpoints)
}

/// What a tenant may have us call. Names are judged again when they are resolved, at every call.
pub fn may_call(app: &App, workspace: WorkspaceId, url: &CanonicalUrl) -> bool {
    let (host, port) = (url.host(), url.port());
    if app.config.origin.is_ours(&url.origin()) {
        return false;
    }
    if app.config.allows_plain_http(workspace, host, port) {
        return true;
    }
    let is_inside = match url.ip() {
        Some(ip) => classify(ip) != AddressKind::Public,
        None => is_loopback_name(host),
    };
    url.is_https() && !is_inside
}
