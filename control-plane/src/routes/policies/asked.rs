//! A request that is only asked about, and what a policy makes of it and of its answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use ah5_contracts::approval::{self, Request};
use ah5_contracts::policy::Method;
use ah5_policy::proposal::{self, Proposal, Unsayable};
use ah5_policy::response::ResponseFilter;
use ah5_policy::{Body, CanonicalUrl, Combined, CompiledPolicy, Decision, Facts, decide_all};
use ah5_providers::catalogue;

use crate::error::AppError;

/// The request to judge.
pub(super) struct Asked {
    method: Method,
    url: CanonicalUrl,
    body: Vec<u8>,
    content_type: Option<String>,
    now: i64,
    service: String,
    tenant: Option<String>,
    bypass_pii_redaction: bool,
    request_full_fields: bool,
}

// === impl Asked ===

impl Asked {
    /// `service` is the connection's, unless the request names one.
    pub(super) fn read(
        request: &Map<String, Value>,
        service: &str,
        now: i64,
    ) -> Result<Self, AppError> {
        let text = |name: &str| request.get(name).and_then(Value::as_str);
        let method = text("method").and_then(Method::from_name).ok_or_else(|| {
            let text = "body/request/method must be equal to one of the allowed values";
            AppError::bad_request(text)
        })?;
        let (body, implied) = bytes(request.get("body"));
        let stated = request.get("headers").and_then(Value::as_object);
        let stated = stated.and_then(|headers| {
            let mut headers = headers.iter();
            headers.find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        });
        let stated = stated.and_then(|(_, value)| value.as_str());
        let now = match text("now") {
            None => now,
            Some(at) => at
                .parse::<Timestamp>()
                .map_err(|_| {
                    AppError::bad_request("body/request/now must match format \"date-time\"")
                })?
                .as_second(),
        };
        Ok(Self {
            method,
            url: url(request)?,
            body,
            content_type: stated.or(implied).map(str::to_owned),
            now,
            service: text("service").unwrap_or(service).to_owned(),
            tenant: text("tenantId").map(str::to_owned),
            bypass_pii_redaction: request.get("bypassPiiRedaction") == Some(&Value::Bool(true)),
            request_full_fields: request.get("requestFullFields") == Some(&Value::Bool(true)),
        })
    }

    /// A request that a person has been shown.
    pub(super) fn approved(request: &Request, service: &str, now: i64) -> Result<Self, AppError> {
        let invalid =
            |why: &dyn std::fmt::Display| AppError::conflict(format!("Invalid call: {why}"));
        let method = Method::from_name(&request.method).ok_or_else(|| invalid(&"its method"))?;
        let mut headers = request.headers.iter();
        let content_type = headers.find(|(name, _)| name == "content-type");
        let body = match &request.body {
            approval::Body::None => Vec::new(),
            approval::Body::Text(text) => text.clone().into_bytes(),
            approval::Body::Base64(text) => STANDARD.decode(text).map_err(|why| invalid(&why))?,
        };
        Ok(Self {
            method,
            url: CanonicalUrl::parse(&request.url).map_err(|why| invalid(&why))?,
            body,
            content_type: content_type.map(|(_, value)| value.clone()),
            now,
            service: service.to_owned(),
            tenant: None,
            bypass_pii_redaction: false,
            request_full_fields: false,
        })
    }

    pub(super) fn decide(&self, policy: &CompiledPolicy) -> Decision {
        decide_all([policy], &self.facts()).decision
    }

    pub(super) fn propose(&self, label: &str) -> Result<Proposal, Unsayable> {
        proposal::propose(
            label,
            self.method,
            &self.url,
            self.facts().body.unwrap_or_default(),
        )
    }

    /// The decision in full, and what would be left of the answer, if one is given.
    pub(super) fn judge(&self, policy: &CompiledPolicy, response: Option<&Value>) -> Value {
        let combined = decide_all([policy], &self.facts());
        let mut told = told(&combined);
        if let Some(response) = response {
            told["response"] = filtered(combined, response);
        }
        told
    }

    fn facts(&self) -> Facts<'_> {
        let mut body = Body::new(&self.body, self.content_type.as_deref());
        let service = catalogue::find(&self.service);
        if service.is_some_and(|service| service.case_insensitive_json) {
            body = body.fold_keys();
        }
        let facts = Facts {
            service: &self.service,
            tenant: self.tenant.as_deref(),
            bypass_pii_redaction: self.bypass_pii_redaction,
            request_full_fields: self.request_full_fields,
            explain: true,
            ..Facts::new(self.method, &self.url, self.now).with_body(body)
        };
        match service {
            Some(service) => facts.at(&service.endpoints),
            None => facts,
        }
    }
}

fn url(request: &Map<String, Value>) -> Result<CanonicalUrl, AppError> {
    let invalid = |why| AppError::bad_request(format!("Invalid URL: {why}"));
    let text = request.get("url").and_then(Value::as_str);
    let text = text.ok_or_else(|| AppError::bad_request("body/request/url must be string"))?;
    let mut url = CanonicalUrl::parse(text).map_err(invalid)?;
    if let Some(Value::Object(query)) = request.get("query") {
        let pairs = query.iter().map(|(name, value)| {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (name.as_str(), value)
        });
        let pairs: Vec<(&str, String)> = pairs.collect();
        let pairs = pairs.iter().map(|(name, value)| (*name, value.as_str()));
        url.merge(pairs).map_err(invalid)?;
    }
    Ok(url)
}

/// A text goes out as it is, anything else as JSON.
fn bytes(value: Option<&Value>) -> (Vec<u8>, Option<&'static str>) {
    match value {
        None | Some(Value::Null) => (Vec::new(), None),
        Some(Value::String(text)) => (text.clone().into_bytes(), None),
        Some(value) => (value.to_string().into_bytes(), Some("application/json")),
    }
}

fn told(combined: &Combined) -> Value {
    let (decision, reason, hint, rule) = match &combined.decision {
        Decision::Allow { rule } => ("allow", None, None, Some(rule)),
        Decision::Deny { reason, hint, rule } => {
            ("deny", Some(reason), hint.as_ref(), rule.as_ref())
        }
        Decision::NeedsApproval { reason, rule } => {
            ("require_approval", Some(reason), None, Some(rule))
        }
    };
    let redactions = combined.redactions.iter();
    let redactions =
        redactions.map(|r| json!({"type": r.kind, "field": r.field, "count": r.count}));
    let redacted = combined.body.as_deref().map(shown);
    json!({
        "decision": decision, "reason": reason, "hint": hint,
        "rule": rule.map(ToString::to_string), "ruleLabel": combined.label.as_deref(),
        "trace": combined.traces.first(), "redactedBody": redacted,
        "redactions": redactions.collect::<Vec<_>>(),
    })
}

fn filtered(combined: Combined, response: &Value) -> Value {
    let (body, implied) = bytes(response.get("body"));
    let content_type = response
        .get("contentType")
        .and_then(Value::as_str)
        .or(implied);
    let filter = ResponseFilter::new(combined.response);
    match filter.body(content_type, &body) {
        Ok(filtered) => json!({"body": shown(&filtered.unwrap_or(body))}),
        Err(why) => json!({"unfilterable": why.to_string()}),
    }
}

/// As JSON if it is, else as text.
fn shown(body: &[u8]) -> Value {
    serde_json::from_slice(body)
        .unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned().into())
}
