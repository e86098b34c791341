use serde_json::{Value, json};

use super::*;
use crate::compile::{HTTPS_ONLY, PolicySource};

fn policy(allowlists: &Value, mode: &str, step_up: &str) -> CompiledPolicy {
    CompiledPolicy::compile(&PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists,
        default_mode: mode,
        plain_http: HTTPS_ONLY,
        provider_constraints: None,
        rate_limits: None,
        rules: &json!({"request": [], "response": []}),
        step_up,
        time_windows: &json!([]),
    })
    .unwrap()
}

fn decide(policies: &[CompiledPolicy], method: Method, url: &str) -> Combined {
    let url = CanonicalUrl::parse(url).unwrap();
    let facts = Facts::new(method, &url, 0).with_body(Body::default());
    decide_all(policies, &facts)
}

fn entry(base: &str, methods: &[&str], patterns: &[&str]) -> Value {
    json!([{"baseUrl": base, "methods": methods, "pathPatterns": patterns}])
}

fn denied(policy: &CompiledPolicy, method: Method, url: &str) -> (String, Option<String>) {
    match decide(std::slice::from_ref(policy), method, url).decision {
        Decision::Deny { reason, hint, .. } => (reason, hint),
        other => panic!("{method:?} {url}: {other:?}"),
    }
}

#[test]
fn nothing_is_allowed_by_default() {
    let none = policy(&json!([]), "read_write", "never");
    let (reason, hint) = denied(&none, Method::Get, "https://api.example.com/");
    assert_eq!(reason, crate::allowlist::NO_ENTRIES);
    assert_eq!(hint, None);
    let (reason, _) = match decide(&[], Method::Get, "https://api.example.com/").decision {
        Decision::Deny { reason, hint, .. } => (reason, hint),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason, NO_POLICY);
}

#[test]
fn hints_name_the_closest_miss() {
    let list = entry("https://api.example.com", &["GET", "PUT"], &["/v1/a", "/b"]);
    let policy = policy(&list, "read_write", "never");
    let (reason, hint) = denied(&policy, Method::Post, "https://api.example.com/v1/a");
    assert_eq!(
        reason,
        "Request denied: POST https://api.example.com/v1/a does not match any allowlist rule"
    );
    assert_eq!(
        hint.unwrap(),
        "The path matched an allowlist rule, but method POST is not allowed. \
         Allowed methods for this path: GET, PUT."
    );
    assert_eq!(
        denied(&policy, Method::Get, "https://api.example.com/x")
            .1
            .unwrap(),
        "The host and method matched, but path /x is not in the allowed paths. \
         Allowed patterns: /v1/a, /b."
    );
    assert_eq!(
        denied(&policy, Method::Get, "https://evil.example/x")
            .1
            .unwrap(),
        "No allowlist rules for host evil.example. Allowed hosts: api.example.com."
    );
    assert_eq!(
        denied(&policy, Method::Post, "https://api.example.com/x").1,
        None
    );
}

#[test]
fn the_allowlist_binds_scheme_host_port_and_whole_base_segments() {
    let list = entry("https://*.example.com/v1", &["GET"], &["/**"]);
    let policy = policy(&list, "read_write", "never");
    for (url, allowed) in [
        ("https://a.example.com/v1", true),
        ("https://a.example.com/v1/x", true),
        ("https://a.example.com/v1x", false),
        ("https://a.example.com/v1/../v2", false),
        ("https://a.b.example.com/v1/x", false),
        ("https://example.com/v1/x", false),
        ("https://a.example.com.evil.test/v1/x", false),
        ("http://a.example.com/v1/x", false),
        ("https://a.example.com:8443/v1/x", false),
    ] {
        let got = decide(std::slice::from_ref(&policy), Method::Get, url).decision;
        assert_eq!(got.is_allowed(), allowed, "{url}: {got:?}");
    }
}

#[test]
fn step_up_and_default_mode_settle_what_no_rule_matched() {
    use Decision::{Allow, Deny, NeedsApproval};
    let list = entry("https://h.example", &["GET", "POST"], &["/**"]);
    for (mode, step_up, read, write) in [
        ("read_write", "never", "allow", "allow"),
        ("read_write", "risk_based", "allow", "ask"),
        ("read_write", "always", "ask", "ask"),
        ("read_only", "never", "allow", "deny"),
        ("read_only", "risk_based", "allow", "ask"),
        ("read_only", "always", "ask", "ask"),
        ("custom", "never", "deny", "deny"),
        ("custom", "always", "deny", "deny"),
    ] {
        let policy = [policy(&list, mode, step_up)];
        for (method, expected) in [(Method::Get, read), (Method::Post, write)] {
            let got = match decide(&policy, method, "https://h.example/x").decision {
                Allow { .. } => "allow",
                Deny { .. } => "deny",
                NeedsApproval { .. } => "ask",
            };
            assert_eq!(got, expected, "{mode} {step_up} {method:?}");
        }
    }
}

#[test]
fn several_policies_give_the_strictest_answer_of_those_that_cover_the_call() {
    let all = entry("https://h.example", &["GET", "POST"], &["/**"]);
    let some = entry("https://h.example", &["POST"], &["/a"]);
    let policies = [
        policy(&all, "read_write", "never"),
        policy(&some, "read_write", "always"),
    ];
    let here = decide(&policies, Method::Post, "https://h.example/a");
    assert!(matches!(here.decision, Decision::NeedsApproval { .. }));
    assert_eq!(here.policy, Some(1));
    let elsewhere = decide(&policies, Method::Post, "https://h.example/b");
    assert!(elsewhere.decision.is_allowed());
    assert_eq!(elsewhere.policy, Some(0));
    let missed = decide(&policies[1..], Method::Get, "https://h.example/a");
    assert_eq!(missed.policy, Some(0));
    assert!(!missed.decision.is_allowed());
}
