//! Policies and calls to measure with.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use ah5_policy::compile::HTTPS_ONLY;
use ah5_policy::{CompiledPolicy, Patterns, PolicySource};
use serde_json::{Value, json};

/// `count` rules of which none matches but the last: a third of them patterns that need the
/// engine, half of those the same for every policy. With `body`, one reads the body.
pub fn rules(count: usize, policy: usize, body: bool) -> Value {
    let rule = |i: usize| {
        let found = match (i + 1 == count, i % 3) {
            (true, _) => json!({}),
            (_, 0) if i.is_multiple_of(2) => {
                json!({"methods": ["POST"], "urlPattern": format!("^/v1/(users|groups)/{i}(/|$)")})
            }
            (_, 0) => {
                json!({"methods": ["POST"], "urlPattern": format!("^/v1/p{policy}/[a-z]+/{i}$")})
            }
            (_, 1) => json!({"methods": ["POST", "PUT"], "urlPattern": format!("^/v1/things/{i}")}),
            _ => json!({"methods": ["DELETE"]}),
        };
        json!({"label": format!("rule {i}"), "match": found, "action": "deny"})
    };
    let mut rules: Vec<Value> = (0..count).map(rule).collect();
    rules[count - 1]["action"] = json!("allow");
    if body {
        rules[count / 2] = json!({"label": "body", "action": "deny", "match": {"methods": ["POST"],
            "body": [{"path": "message.recipient", "op": "in", "value": ["a@x.example", "b@x.example"]}]}});
    }
    json!({"request": rules, "response": []})
}

pub fn compile(rules: &Value, patterns: &mut Patterns) -> CompiledPolicy {
    let allowlists = json!([{"baseUrl": "https://api.example.com", "methods": ["GET", "POST"],
                             "pathPatterns": ["/v1/**"]}]);
    let source = PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists: &allowlists,
        default_mode: "custom",
        plain_http: HTTPS_ONLY,
        provider_constraints: None,
        rate_limits: None,
        rules,
        step_up: "never",
        time_windows: &json!([]),
    };
    CompiledPolicy::compile_with(&source, patterns).unwrap()
}

/// About a kibibyte.
pub fn message() -> String {
    let text = "some words of a message ".repeat(38);
    json!({"message": {"recipient": "c@y.example", "subject": "hello", "text": text}}).to_string()
}
