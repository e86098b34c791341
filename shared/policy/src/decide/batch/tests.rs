use serde_json::{Value, json};

use super::*;
use crate::compile::{HTTPS_ONLY, PolicySource};
use crate::endpoints::Tunnel;
use crate::{CompiledPolicy, Endpoints};

const BATCH: &str = "https://graph.microsoft.com/v1.0/$batch";

fn endpoints() -> Endpoints {
    let mut all = Endpoints::default();
    let batch = Class::Tunnel(Tunnel::JsonBatch);
    all.add(batch, &[], &["**/$batch"]).unwrap();
    all.add(Class::CallbackTarget, &[], &["**/subscriptions"])
        .unwrap();
    all
}

fn policy(rules: &Value, mode: &str) -> CompiledPolicy {
    CompiledPolicy::compile(&PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists: &json!([{
            "baseUrl": "https://graph.microsoft.com", "methods": ["GET", "POST", "DELETE"],
            "pathPatterns": ["/v1.0/$batch", "/v1.0/me/**", "/v1.0/subscriptions"],
        }]),
        default_mode: mode,
        plain_http: HTTPS_ONLY,
        provider_constraints: None,
        rate_limits: None,
        rules,
        step_up: "never",
        time_windows: &json!([]),
    })
    .unwrap()
}

fn judge(policy: &CompiledPolicy, body: &str) -> Decision {
    let url = CanonicalUrl::parse(BATCH).unwrap();
    let endpoints = endpoints();
    let body = Body::new(body.as_bytes(), Some("application/json")).fold_keys();
    let facts = Facts::new(Method::Post, &url, 0).with_body(body);
    decide_all([policy], &facts.at(&endpoints)).decision
}

fn batch(requests: Value) -> String {
    json!({"requests": requests}).to_string()
}

fn refusal(policy: &CompiledPolicy, body: &str) -> String {
    match judge(policy, body) {
        Decision::Deny { reason, .. } => reason,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn a_batch_is_allowed_when_each_of_its_requests_is() {
    let open = policy(&json!({}), "read_write");
    let good = batch(json!([
        {"id": "1", "method": "GET", "url": "/me/messages?$top=5&$select=subject,from"},
        {"id": "2", "method": "POST", "url": "me/sendMail", "dependsOn": ["1"],
         "headers": {"Content-Type": "application/json"}, "body": {"message": {"subject": "x"}}},
    ]));
    assert!(judge(&open, &good).is_allowed());
    let stranger = json!([
        {"id": "1", "method": "GET", "url": "/me/messages"},
        {"id": "b", "method": "GET", "url": "/users/other/messages"},
    ]);
    let reason = refusal(&open, &batch(stranger));
    assert!(reason.starts_with("Request b of the batch: "), "{reason}");
}

#[test]
fn what_a_batch_carries_is_a_write_and_the_batch_is_not() {
    let read_only = policy(&json!({}), "read_only");
    let read = json!([{"id": "1", "method": "GET", "url": "/me/messages"}]);
    assert!(judge(&read_only, &batch(read)).is_allowed());
    let write = json!([{"id": "1", "method": "DELETE", "url": "/me/messages/1"}]);
    assert!(refusal(&read_only, &batch(write)).contains("is a write"));
}

#[test]
fn rules_see_what_a_batch_carries() {
    let rules = json!({"request": [
        {"label": "no mail out", "action": "deny",
         "match": {"methods": ["POST"], "urlPattern": "/sendmail$", "body": [
             {"path": "message.subject", "op": "contains", "value": "secret"}]}},
        {"label": "ask", "action": "require_approval",
         "match": {"methods": ["POST"], "urlPattern": "/events$"}},
    ]});
    let ruled = policy(&rules, "read_write");
    let mail = |subject: &str, url: &str| {
        batch(json!([{"id": "1", "method": "POST", "url": url,
                      "body": {"message": {"subject": subject}}}]))
    };
    assert!(judge(&ruled, &mail("hello", "/me/sendMail")).is_allowed());
    assert!(!judge(&ruled, &mail("secret", "/me/SendMail")).is_allowed());
    let asks = json!([
        {"id": "1", "method": "POST", "url": "/me/events", "body": {}},
        {"id": "2", "method": "GET", "url": "/me/messages"},
    ]);
    assert!(matches!(
        judge(&ruled, &batch(asks)),
        Decision::NeedsApproval { .. }
    ));
    let hook = batch(json!([{"id": "1", "method": "POST", "url": "/subscriptions", "body": {}}]));
    assert!(matches!(
        judge(&ruled, &hook),
        Decision::NeedsApproval { .. }
    ));
}

#[test]
fn what_would_change_a_request_or_its_answer_denies_the_batch() {
    let read = batch(json!([{"id": "1", "method": "GET", "url": "/me/contacts"}]));
    let filter = json!({"response": [
        {"match": {"urlPattern": "/contacts"}, "filter": {"denyFields": ["personalNotes"]}},
    ]});
    let reason = refusal(&policy(&filter, "read_write"), &read);
    assert!(reason.contains("rules change request 1"), "{reason}");
    let redact = json!({"request": [{"action": "redact", "match": {"urlPattern": "/me/"},
        "redactConfig": {"fields": ["text"], "types": [{"type": "credit_card"}]}}]});
    let card = batch(json!([{"id": "1", "method": "POST", "url": "/me/notes",
                             "body": {"text": "4111 1111 1111 1111"}}]));
    let reason = refusal(&policy(&redact, "read_write"), &card);
    assert!(reason.contains("rules change request 1"), "{reason}");
}

#[test]
fn a_batch_that_cannot_be_read_in_one_way_is_denied() {
    let open = policy(&json!({}), "read_write");
    let get = json!({"id": "1", "method": "GET", "url": "/me"});
    let with = |member: &str, value: Value| {
        let mut request = get.clone();
        request[member] = value;
        batch(json!([request]))
    };
    let many: Vec<&Value> = std::iter::repeat_n(&get, 21).collect();
    for body in [
        String::new(),
        "[]".to_owned(),
        "{\"requests\":{}}".to_owned(),
        batch(json!([])),
        batch(json!(many)),
        json!({"requests": [get], "Requests": [get]}).to_string(),
        json!({"requests": [get], "more": 1}).to_string(),
        with("method", json!("get")),
        with("method", json!("TRACE")),
        with("url", json!("https://graph.microsoft.com/v1.0/me")),
        with("url", json!("//evil.example/me")),
        with("url", json!("/../beta/me")),
        with("url", json!("/me/./messages")),
        with("url", json!("/me/%6dessages")),
        with("url", json!("/$batch")),
        with("url", json!("/me/$BATCH/")),
        with("headers", json!({"Prefer": "x"})),
        with("headers", json!({"Content-Type": "text/plain"})),
        with("atomicityGroup", json!("g")),
        with("Url", json!("/users")),
        "{\"requests\":[{\"id\":\"1\",\"method\":\"GET\",\"url\":\"/me\",\"url\":\"/x\"}]}"
            .to_owned(),
    ] {
        assert!(!judge(&open, &body).is_allowed(), "{body}");
    }
    assert!(judge(&open, &batch(json!([get]))).is_allowed());
}
