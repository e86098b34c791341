use serde_json::json;

use super::*;
use crate::{CompiledPolicy, Decision, Facts, PolicySource, decide_all};

const URL: &str = "https://api.example.com/v1/send?as=me";

fn parse(url: &str) -> CanonicalUrl {
    CanonicalUrl::parse(url).unwrap()
}

fn proposed(method: Method, url: &str, body: &str) -> Result<Proposal, Unsayable> {
    let body = Body::new(body.as_bytes(), Some("application/json"));
    propose("Since then", method, &parse(url), body)
}

/// Whether a policy with nothing but this rule lets the call pass without asking.
fn passes(rule: &Value, method: Method, url: &str, body: &str) -> bool {
    let rules = json!({"request": [rule], "response": []});
    let allowlists = json!([{"baseUrl": "https://api.example.com", "methods": ["GET", "POST", "PUT", "DELETE"], "pathPatterns": ["/**"]}]);
    let source = PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists: &allowlists,
        default_mode: "read_write",
        plain_http: &|_, _| false,
        provider_constraints: None,
        rate_limits: None,
        rules: &rules,
        step_up: "always",
        time_windows: &json!([]),
    };
    let policy = CompiledPolicy::compile(&source).unwrap();
    let url = parse(url);
    let body = Body::new(body.as_bytes(), Some("application/json"));
    let facts = Facts::new(method, &url, 0).with_body(body);
    matches!(
        decide_all([&policy], &facts).decision,
        Decision::Allow { .. }
    )
}

#[test]
fn the_words_of_a_message_may_differ_and_nothing_else() {
    let body = r#"{"to":["ann@x.example"],"subject":"Hi","body":{"type":"text","content":"a (b) \"c\""},"n":1.50}"#;
    let proposal = proposed(Method::Post, URL, body).unwrap();
    assert_eq!(proposal.open, ["/subject", "/body/content"]);
    let rule = &proposal.rule;
    let same = |url, body: &str| passes(rule, Method::Post, url, body);
    assert!(same(URL, body));
    assert!(same(URL, &body.replace("Hi", "Something \\\" else")));
    assert!(same(URL, &body.replace(":", " : ").replace("1.50", "1.5")));
    for (was, is) in [
        ("ann@x.example", "eve@x.example"),
        ("ann@x.example", "annax.example"),
        (
            r#"["ann@x.example"]"#,
            r#"["ann@x.example","eve@x.example"]"#,
        ),
        ("\"n\"", r#""bcc":["eve@x.example"],"n""#),
        ("\"text\"", "\"html\""),
        ("\"Hi\"", r#""Hi","bcc":"eve@x.example""#),
        ("\"Hi\"", r#"["Hi"]"#),
        ("\"Hi\"", "null"),
        ("1.50", "2"),
        ("}", r#"},"to":["eve@x.example"]"#),
    ] {
        assert!(!same(URL, &body.replacen(was, is, 1)), "{was} -> {is}");
    }
    assert!(!same(URL, ""));
    for url in [
        "https://api.example.com/v1/send",
        "https://api.example.com/v1/send?as=me&as=you",
        "https://api.example.com/v1/send/x?as=me",
        "https://api.example.com/v2/v1/send?as=me",
        "https://api.example.com/v1/sendx?as=me",
    ] {
        assert!(!same(url, body), "{url}");
    }
    assert!(!passes(rule, Method::Put, URL, body));
}

#[test]
fn a_read_is_held_to_its_path_and_query() {
    let url = "https://api.example.com/v1/a.b?x=1%202";
    let rule = proposed(Method::Get, url, "").unwrap().rule;
    assert!(passes(&rule, Method::Get, url, ""));
    for other in [
        "https://api.example.com/v1/aXb?x=1%202",
        "https://api.example.com/v1/a.b?x=1%202&y=1",
        "https://api.example.com/v1/a.b",
    ] {
        assert!(!passes(&rule, Method::Get, other, ""), "{other}");
    }
    let plain = "https://api.example.com/v1/a.b";
    let rule = proposed(Method::Get, plain, "").unwrap().rule;
    assert!(passes(&rule, Method::Get, plain, ""));
    assert!(!passes(&rule, Method::Get, url, ""));
}

#[test]
fn where_a_rule_would_allow_more_there_is_none() {
    let delete = proposed(Method::Delete, URL, "");
    assert_eq!(delete, Err(Unsayable::NoBody));
    assert_eq!(proposed(Method::Post, URL, "\"x\""), Err(Unsayable::Body));
    assert_eq!(proposed(Method::Post, URL, "{"), Err(Unsayable::Body));
    let form = Body::new(b"to=ann&text=Hi", Some("application/x-www-form-urlencoded"));
    let form = propose("x", Method::Post, &parse(URL), form);
    assert_eq!(form, Err(Unsayable::Body));
    let long = json!({"to": "x".repeat(4000)}).to_string();
    assert_eq!(proposed(Method::Post, URL, &long), Err(Unsayable::Long));
    let words = json!({"text": "x".repeat(4000)}).to_string();
    proposed(Method::Post, URL, &words).unwrap();
}
