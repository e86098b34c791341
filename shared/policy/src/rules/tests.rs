use ah5_contracts::policy::Method;
use serde_json::json;

use super::*;
use crate::url::CanonicalUrl;

fn evaluate(rules: &Value, method: Method, url: &str, body: &str) -> (Outcome, Trace) {
    let list = rules.as_array().unwrap();
    let rules = RequestRules::compile(list, "r", &mut Patterns::default(), false).unwrap();
    let url = CanonicalUrl::parse(url).unwrap();
    let mut trace = Trace::new();
    let body = Body::new(body.as_bytes(), Some("application/json"));
    let outcome = rules.evaluate(&Target::new(method, &url), body, Some(&mut trace));
    (outcome, trace)
}

fn redact(kind: &str, field: &str) -> Value {
    json!({"match": {}, "action": "redact", "label": kind,
           "redactConfig": {"types": [{"type": kind}], "fields": [field]}})
}

#[test]
fn a_trace_tells_why_each_rule_was_passed_over() {
    let rules = json!([
        {"match": {"methods": ["PUT"]}, "action": "deny"},
        {"label": "u", "match": {"urlPattern": "^/no"}, "action": "deny"},
        {"label": "q", "match": {"queryPattern": "zz"}, "action": "deny"},
        {"label": "c", "match": {"body": [{"path": "b", "op": "exists"}]}, "action": "deny"},
        {"label": "p", "match": {"pii": {"types": [{"type": "email"}], "fields": ["a"]}},
         "action": "deny"},
        redact("email", "a"),
        {"label": "ok", "match": {}, "action": "allow"},
    ]);
    let (outcome, trace) = evaluate(&rules, Method::Post, "https://h.example/x", "{\"a\":1}");
    assert_eq!(
        trace,
        [
            "rule[0]:skip(method)",
            "u:skip(url)",
            "q:skip(query)",
            "c:skip(body-cond)",
            "p:skip(pii)",
            "email:skip(redact)",
            "ok:MATCH(allow)",
        ]
    );
    assert_eq!(outcome.decided.unwrap().rule, 6);
    let (outcome, trace) = evaluate(&rules, Method::Post, "https://h.example/x", "{");
    assert_eq!(trace.last().unwrap(), "c:MATCH(deny, body unreadable)");
    assert_eq!(
        outcome.decided.unwrap().unreadable,
        Some(BodyError::Json(1))
    );
}

#[test]
fn redactions_add_up_and_what_follows_sees_their_result() {
    let rules = json!([
        redact("email", "a"),
        redact("us_ssn", "b"),
        {"match": {"body": [{"path": "a", "op": "contains", "value": "@"}]}, "action": "deny"},
    ]);
    let body = "{\"a\":\"x@y.io x@y.io\",\"b\":\"SSN 123-45-6789\",\"n\":1.0}";
    let (outcome, _) = evaluate(&rules, Method::Post, "https://h.example/x", body);
    let sent = String::from_utf8(outcome.body.unwrap()).unwrap();
    assert_eq!(
        sent,
        "{\"a\":\"[PII_REDACTED:email] [PII_REDACTED:email]\",\"b\":\"SSN [PII_REDACTED:us_ssn]\",\
         \"n\":1.0}"
    );
    assert_eq!(outcome.decided, None);
    assert_eq!(outcome.redacted_by.unwrap().rule, 0);
    let told: Vec<_> = outcome
        .redactions
        .iter()
        .map(|r| (&*r.kind, r.count, &*r.field))
        .collect();
    assert_eq!(told, [("email", 2, "a"), ("us_ssn", 1, "b")]);
}

#[test]
fn a_rule_without_facets_matches_every_call() {
    let rules = json!([{"match": {"methods": [], "urlPattern": "", "body": []}, "action": "deny"}]);
    for method in [Method::Get, Method::Delete] {
        let (outcome, _) = evaluate(&rules, method, "https://h.example/x?y=1", "");
        assert_eq!(outcome.decided.unwrap().action, Action::Deny);
    }
}
