//! Any JSON for a policy: compiles or is refused, decides any call, and one more deny never allows
//! more.

use ah5_contracts::policy::Method;
use ah5_policy::compile::HTTPS_ONLY;
use ah5_policy::{Body, CanonicalUrl, CompiledPolicy, Decision, Facts, PolicySource, decide_all};
use serde_json::{Value, json};

/// A policy as JSON: an object of its fields, each of any form.
pub fn compile(data: &[u8]) {
    let Ok(stored) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let Some(policy) = compiled(&stored) else {
        return;
    };
    // A second reading finds the same, also in the other order of everything kept in maps.
    assert!(compiled(&stored).is_some());
    let narrower: Vec<_> = denials(&stored)
        .filter_map(|stored| compiled(&stored))
        .collect();
    for (method, url) in CALLS {
        let url = CanonicalUrl::parse(url).expect("a URL");
        for body in BODIES {
            let body = Body::new(body.as_bytes(), Some("application/json"));
            let facts = Facts::new(method, &url, 1_772_409_600).with_body(body);
            let explained = Facts {
                explain: true,
                ..facts
            };
            let before = policy.decide(&facts);
            assert_eq!(decide_all([&policy], &explained).decision, before);
            assert_eq!(decide_all([&policy, &policy], &facts).decision, before);
            for denying in &narrower {
                let after = denying.decide(&facts);
                assert!(
                    strictness(&after) >= strictness(&before),
                    "{before:?}, {after:?}"
                );
            }
        }
    }
}

fn compiled(stored: &Value) -> Option<CompiledPolicy> {
    let null = Value::Null;
    let field = |name| stored.get(name).unwrap_or(&null);
    let text = |name, default| stored.get(name).and_then(Value::as_str).unwrap_or(default);
    let source = PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists: field("allowlists"),
        default_mode: text("defaultMode", "read_write"),
        plain_http: HTTPS_ONLY,
        provider_constraints: stored.get("providerConstraints"),
        rate_limits: stored.get("rateLimits"),
        rules: field("rules"),
        step_up: text("stepUpApproval", "never"),
        time_windows: stored.get("timeWindows").unwrap_or(&EMPTY),
    };
    match CompiledPolicy::compile(&source) {
        Ok(policy) => Some(policy),
        Err(error) => {
            assert!(!error.path.is_empty() && !error.why.is_empty());
            let _ = error.in_rules();
            None
        }
    }
}

/// The policy with a deny put first that has the words of one of its own rules.
fn denials(stored: &Value) -> impl Iterator<Item = Value> {
    let rules = stored.pointer("/rules/request").and_then(Value::as_array);
    rules.into_iter().flatten().take(4).map(|rule| {
        let mut more = stored.clone();
        if let Some(list) = more
            .pointer_mut("/rules/request")
            .and_then(Value::as_array_mut)
        {
            let found = rule.get("match").cloned().unwrap_or(json!({}));
            list.insert(0, json!({"match": found, "action": "deny"}));
        }
        more
    })
}

fn strictness(decision: &Decision) -> u8 {
    match decision {
        Decision::Allow { .. } => 0,
        Decision::NeedsApproval { .. } => 1,
        Decision::Deny { .. } => 2,
    }
}

static EMPTY: Value = Value::Array(Vec::new());

const CALLS: [(Method, &str); 4] = [
    (Method::Get, "https://api.example.com/x?a=1"),
    (Method::Post, "https://api.example.com/v1/messages/send"),
    (
        Method::Delete,
        "https://gmail.googleapis.com/gmail/v1/users/me/messages/1",
    ),
    (Method::Post, "https://graph.microsoft.com/v1.0/me/sendMail"),
];

const BODIES: [&str; 3] = [
    "",
    r#"{"to": ["a@x.example"], "subject": "hi", "n": 1, "message": {"recipient": "x"}}"#,
    "not json",
];
