//! Request bodies: read strictly or not at all, and never more leniently for an allow than for a
//! deny.

use std::sync::LazyLock;

use ah5_contracts::policy::Method;
use ah5_policy::body::{Json, View};
use ah5_policy::compile::{HTTPS_ONLY, Rules};
use ah5_policy::rules::Action;
use ah5_policy::{
    Body, CanonicalUrl, CompiledPolicy, Facts, Patterns, PolicySource, Target, decide_all,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A content type, a line break, a body.
pub fn body(data: &[u8]) {
    let (kind, bytes) = crate::line_and_rest(data);
    let kind = str::from_utf8(kind).ok().filter(|kind| !kind.is_empty());
    for body in [Body::new(bytes, kind), Body::new(bytes, kind).fold_keys()] {
        if let View::Data(read) = body.read() {
            reads_as_others_do(bytes, kind, &read);
        }
        conditions(body);
        redaction(body, kind);
    }
}

/// A laxer reader takes what ours takes, and for the same value.
fn reads_as_others_do(bytes: &[u8], kind: Option<&str>, read: &Json<'_>) {
    let written = read.to_bytes();
    let is_json = serde_json::from_slice::<&RawValue>(&written).is_ok();
    assert!(is_json, "what is written is not JSON");
    // Numbers beyond their range are JSON by its grammar, and not a value to them.
    let Ok(written) = serde_json::from_slice::<Value>(&written) else {
        return;
    };
    // A form is shown as the object that it spells.
    if kind.is_some_and(|kind| kind.to_ascii_lowercase().contains("json")) {
        let other: Value = serde_json::from_slice(bytes).expect("a laxer reader takes it");
        assert_eq!(other, written);
    }
}

/// Where an allow of these words applies, a deny of the same words does.
fn conditions(body: Body<'_>) {
    let url = CanonicalUrl::parse("https://h.example/a").expect("a URL");
    let target = Target::new(Method::Post, &url);
    for (allow, deny) in RULES.iter() {
        let outcome = |rules: &Rules| {
            let outcome = rules.request.evaluate(&target, body, None);
            outcome.decided.map(|decided| decided.action)
        };
        if outcome(allow) == Some(Action::Allow) {
            assert_eq!(outcome(deny), Some(Action::Deny));
        }
    }
}

/// What goes out in place of the body has nothing left to redact.
fn redaction(body: Body<'_>, kind: Option<&str>) {
    let url = CanonicalUrl::parse("https://h.example/a").expect("a URL");
    let facts = Facts::new(Method::Post, &url, 0).with_body(body);
    let first = decide_all([&*REDACTS], &facts);
    if let Some(sent) = first.body.filter(|_| first.decision.is_allowed()) {
        let again = facts.with_body(Body::new(&sent, kind));
        let second = decide_all([&*REDACTS], &again);
        assert!(second.decision.is_allowed());
        assert_eq!(second.body, None, "{}", String::from_utf8_lossy(&sent));
    }
}

static RULES: LazyLock<Vec<(Rules, Rules)>> = LazyLock::new(|| {
    let with = |condition: &Value, action: &str| {
        let found = json!({"body": [condition]});
        let rules = json!({"request": [{"match": found, "action": action}]});
        Rules::compile(&rules, &mut Patterns::default(), false).expect("rules compile")
    };
    CONDITIONS
        .iter()
        .map(|text| serde_json::from_str(text).expect("conditions are JSON"))
        .map(|condition| (with(&condition, "allow"), with(&condition, "deny")))
        .collect()
});

static REDACTS: LazyLock<CompiledPolicy> = LazyLock::new(|| {
    let redact = json!({"match": {}, "action": "redact",
        "redactConfig": {"types": [{"type": "email"}], "fields": ["$body"]}});
    CompiledPolicy::compile(&PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists: &json!([{"baseUrl": "https://h.example", "methods": ["POST"],
                             "pathPatterns": ["/**"]}]),
        default_mode: "read_write",
        plain_http: HTTPS_ONLY,
        provider_constraints: None,
        rate_limits: None,
        rules: &json!({"request": [redact], "response": []}),
        step_up: "never",
        time_windows: &json!([]),
    })
    .expect("the policy compiles")
});

const CONDITIONS: [&str; 9] = [
    r#"{"path": "a", "op": "exists"}"#,
    r#"{"path": "a.b", "op": "eq", "value": "x"}"#,
    r#"{"path": "a.0", "op": "neq", "value": 1}"#,
    r#"{"path": "a", "op": "in", "value": ["x", "1"]}"#,
    r#"{"path": "a", "op": "not_in", "value": ["x", "1"]}"#,
    r#"{"path": "$body", "op": "contains", "value": "x"}"#,
    r#"{"path": "a", "op": "matches", "value": "^[xy]+$"}"#,
    r#"{"path": "$prompt_text", "op": "contains", "value": "x"}"#,
    r#"{"path": "a.length", "op": "eq", "value": 3}"#,
];
