//! The levels that are pure functions: the engine's own parts, called as the planes call them.

use std::sync::Arc;

use ah5_contracts::policy::Method;
use ah5_policy::allowlist::Allowlist;
use ah5_policy::compile::{HTTPS_ONLY, Rules};
use ah5_policy::response::ResponseFilter;
use ah5_policy::rules::Outcome;
use ah5_policy::stream::StreamFilter;
use ah5_policy::windows::Windows;
use ah5_policy::{
    Body, CanonicalUrl, CompileError, CompiledPolicy, Decision, Facts, Patterns, PolicySource,
    Target,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::case::Case;
use crate::compare::{Mismatch, same};

type Answer = Result<Map<String, Value>, Mismatch>;

pub(crate) fn run(case: &Case) -> Result<(), Mismatch> {
    let answer = match case.level.as_str() {
        "allowlist" => allowlist(case),
        "rules" => rules(case),
        "stepup" => step_up(case),
        "time" => time(case),
        "url" => url(case),
        "validate" => validate(case),
        "pii" => pii(case),
        "response" => response(case),
        "stream" => stream(case),
        level => Err(Mismatch::new(format!("unknown level {level}"))),
    }?;
    same(case.right_answer(), &answer)
}

fn allowlist(case: &Case) -> Answer {
    let request = case.request();
    let list = Allowlist::compile(&case.policy["allowlists"], HTTPS_ONLY).map_err(Mismatch::new)?;
    let method = method(&request)?;
    let text = text(&request, "url")?;
    let Ok(url) = CanonicalUrl::parse(text) else {
        let reason = format!("Invalid request URL: {text}");
        return Ok(answer(json!({"allowed": false, "reason": reason})));
    };
    let facts = Facts::new(method, &url, 0);
    if list.find(&facts).is_some() {
        return Ok(answer(json!({"allowed": true})));
    }
    let miss = list.explain(&facts);
    let mut refused = answer(json!({"allowed": false, "reason": miss.reason}));
    refused.extend(miss.hint.map(|hint| ("hint".to_owned(), hint.into())));
    Ok(refused)
}

fn url(case: &Case) -> Answer {
    let request = case.request();
    Ok(match CanonicalUrl::parse(text(&request, "url")?) {
        Ok(url) => answer(json!({"canonical": url.to_string()})),
        Err(error) => answer(json!({"error": error.to_string()})),
    })
}

fn time(case: &Case) -> Answer {
    let request = case.request();
    let windows = Windows::compile(&case.policy["timeWindows"]).map_err(Mismatch::new)?;
    let now: Timestamp = text(&request, "now")?.parse().map_err(Mismatch::new)?;
    Ok(match windows.check(now.as_second()) {
        Ok(()) => answer(json!({"allowed": true})),
        Err(reason) => answer(json!({"allowed": false, "reason": reason})),
    })
}

/// The mode alone decides: a policy without rules that covers the call.
fn step_up(case: &Case) -> Answer {
    let request = case.request();
    let url = CanonicalUrl::parse(text(&request, "url")?).map_err(Mismatch::new)?;
    let allowlists = json!([{"baseUrl": url.origin(), "methods": Method::NAMES,
                             "pathPatterns": ["/**"]}]);
    let policy = CompiledPolicy::compile(&PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists: &allowlists,
        default_mode: "read_write",
        plain_http: HTTPS_ONLY,
        provider_constraints: None,
        rate_limits: None,
        rules: &Value::Null,
        step_up: text(&case.policy, "stepUpApproval")?,
        time_windows: &Value::Null,
    });
    let policy = policy.map_err(Mismatch::new)?;
    let mut facts = Facts::new(method(&request)?, &url, 0);
    facts.service = text(&request, "service").unwrap_or_default();
    let asks = matches!(policy.decide(&facts), Decision::NeedsApproval { .. });
    Ok(answer(json!({"requiresApproval": asks})))
}

fn validate(case: &Case) -> Answer {
    Ok(match compile(case) {
        Ok(_) => answer(json!({"valid": true})),
        Err(error) => {
            let text = error.in_rules().unwrap_or_else(|| error.to_string());
            answer(json!({"valid": false, "error": text}))
        }
    })
}

fn rules(case: &Case) -> Answer {
    let request = case.request();
    let rules = match compile(case) {
        Ok(rules) => rules,
        Err(error) => return Ok(refused(case, &error)),
    };
    let path = text(&request, "path")?;
    let query = text(&request, "query").unwrap_or_default();
    let url = CanonicalUrl::parse(&format!("https://h.example{path}{query}"));
    let url = url.map_err(Mismatch::new)?;
    let target = Target::new(method(&request)?, &url);
    let bytes = case.request_body();
    let body = Body::new(&bytes, None);
    let mut trace = Vec::new();
    let outcome = rules.request.evaluate(&target, body, Some(&mut trace));
    let mut answer = outcome_json(&outcome);
    answer.insert("trace".to_owned(), trace.into());
    Ok(answer)
}

fn response(case: &Case) -> Answer {
    let filter = filter(case)?;
    let body = case.response.as_ref().map_or("null", |body| body.get());
    let kind = case.response_content_type.as_deref();
    let filtered = filter.body(Some(kind.unwrap_or("application/json")), body.as_bytes());
    let filtered = filtered.map_err(Mismatch::new)?;
    let body = filtered.unwrap_or_else(|| body.as_bytes().to_vec());
    let body: Value = serde_json::from_slice(&body).map_err(Mismatch::new)?;
    Ok(answer(json!({"body": body})))
}

fn stream(case: &Case) -> Answer {
    let request = case.request();
    let kind = request["contentType"].as_str();
    let mut stream = StreamFilter::new(Arc::new(filter(case)?), kind, MAX_HELD);
    let mut out = Vec::new();
    for chunk in request["chunks"].as_array().into_iter().flatten() {
        let chunk = chunk.as_str().unwrap_or_default();
        stream
            .push(chunk.as_bytes(), &mut out)
            .map_err(Mismatch::new)?;
    }
    stream.finish(&mut out).map_err(Mismatch::new)?;
    Ok(answer(json!({"output": String::from_utf8_lossy(&out)})))
}

/// The redactor of answers, on a text.
fn pii(case: &Case) -> Answer {
    let rules = json!({"request": [], "response": [
        {"match": {}, "filter": {"redact": case.policy["redact"]}},
    ]});
    let rules = Rules::compile(&rules, &mut Patterns::default(), false).map_err(Mismatch::new)?;
    let url = CanonicalUrl::parse("https://h.example/").map_err(Mismatch::new)?;
    let target = Target::new(Method::Get, &url);
    let filter = ResponseFilter::new(rules.response.select(&target));
    let request = case.request();
    let text = text(&request, "text")?;
    let redacted = filter.body(Some("text/plain"), text.as_bytes());
    let redacted = redacted.map_err(Mismatch::new)?;
    let redacted = redacted.map_or_else(|| text.into(), |t| String::from_utf8_lossy(&t).into());
    Ok(answer(json!({"redacted": Value::String(redacted)})))
}

/// The filters that the case's policy has for the answer to its request.
fn filter(case: &Case) -> Result<ResponseFilter, Mismatch> {
    let request = case.request();
    let rules = compile(case).map_err(|error| Mismatch::new(format!("refused: {error}")))?;
    let path = text(&request, "path")?;
    let query = text(&request, "query").unwrap_or_default();
    let url = CanonicalUrl::parse(&format!("https://h.example{path}{query}"));
    let url = url.map_err(Mismatch::new)?;
    let target = Target::new(method(&request)?, &url);
    Ok(ResponseFilter::new(rules.response.select(&target)))
}

/// A policy that does not compile is refused when it is written, and denies if it is ever found
/// stored. The rule at fault is the one that denies.
fn refused(case: &Case, error: &CompileError) -> Map<String, Value> {
    if case.right_answer()["invalidAtValidation"] == true {
        return answer(json!({"invalidAtValidation": true}));
    }
    let mut steps = error.path.split('/').skip(2);
    let rule = steps.next().and_then(|step| step.parse::<usize>().ok());
    let stored = rule.and_then(|rule| case.policy["rules"]["request"].get(rule));
    let label = stored.map_or(&Value::Null, |stored| &stored["label"]);
    answer(json!({
        "action": "deny", "label": label.as_str().unwrap_or_default(),
        "rulesChecked": rule.map(|rule| rule + 1),
    }))
}

fn outcome_json(outcome: &Outcome) -> Map<String, Value> {
    let Some(by) = outcome.decided.as_ref().or(outcome.redacted_by.as_ref()) else {
        return answer(json!({"match": null}));
    };
    let matches: Vec<Value> = by
        .matches
        .iter()
        .map(|m| json!({"patternType": m.kind, "field": m.field, "excerpt": m.excerpt}))
        .collect();
    let redactions: Vec<Value> = outcome
        .redactions
        .iter()
        .map(|r| json!({"type": r.kind, "count": r.count, "field": r.field}))
        .collect();
    let mut json = answer(json!({
        "action": by.action.to_string(), "label": by.label.as_deref().unwrap_or_default(),
        "rulesChecked": by.rule + 1,
    }));
    if !matches.is_empty() {
        json.insert("guardMatches".to_owned(), matches.into());
    }
    if let Some(body) = &outcome.body {
        let text = String::from_utf8_lossy(body).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        json.insert("redactedBody".to_owned(), body);
        json.insert("redactions".to_owned(), redactions.into());
    }
    json
}

fn compile(case: &Case) -> Result<Rules, CompileError> {
    Rules::compile(&case.policy["rules"], &mut Patterns::default(), false)
}

fn method(request: &Value) -> Result<Method, Mismatch> {
    let name = text(request, "method")?;
    Method::from_name(name).ok_or_else(|| Mismatch::new(format!("unknown method {name}")))
}

fn text<'v>(value: &'v Value, member: &str) -> Result<&'v str, Mismatch> {
    value[member]
        .as_str()
        .ok_or_else(|| Mismatch::new(format!("the case has no {member}")))
}

fn answer(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

const MAX_HELD: usize = 1 << 20;
