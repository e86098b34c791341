//! What must hold for every policy and every call.

use ah5_contracts::policy::Method;
use ah5_policy::body::{Json, View};
use ah5_policy::compile::{HTTPS_ONLY, Rules};
use ah5_policy::rules::Action;
use ah5_policy::{
    Body, CanonicalUrl, CompiledPolicy, Decision, Facts, Patterns, PolicySource, Target, decide_all,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn compile(rules: &[Value], mode: &str, step_up: &str) -> CompiledPolicy {
    CompiledPolicy::compile(&PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists: &json!([{"baseUrl": "https://h.example", "methods": ["GET", "POST"],
                             "pathPatterns": ["/**"]}]),
        default_mode: mode,
        plain_http: HTTPS_ONLY,
        provider_constraints: None,
        rate_limits: None,
        rules: &json!({"request": rules, "response": []}),
        step_up,
        time_windows: &json!([]),
    })
    .expect("the test's policy compiles")
}

fn found() -> impl Strategy<Value = Value> {
    let value = prop::sample::select(vec![json!("x"), json!("y"), json!(1), json!(true)]);
    let path = prop::sample::select(vec!["a", "b", "a.b", "0", "$body", "a.length"]);
    let condition = (path, 0..7, value).prop_map(|(path, op, value)| match op {
        0 => json!({"path": path, "op": "exists"}),
        1 => json!({"path": path, "op": "eq", "value": value}),
        2 => json!({"path": path, "op": "neq", "value": value}),
        3 => json!({"path": path, "op": "in", "value": ["x", "1"]}),
        4 => json!({"path": path, "op": "not_in", "value": ["x", "1"]}),
        5 => json!({"path": path, "op": "contains", "value": "x"}),
        _ => json!({"path": path, "op": "matches", "value": "^[xy]"}),
    });
    let methods = prop::sample::select(vec![json!([]), json!(["GET"]), json!(["POST"])]);
    let url = prop::sample::select(vec!["", "^/a", "b$", "/a b", "x"]);
    let query = prop::sample::select(vec!["", "q=x", "^$"]);
    (methods, url, query, prop::collection::vec(condition, 0..3)).prop_map(
        |(methods, url, query, body)| {
            json!({"methods": methods, "urlPattern": url, "queryPattern": query, "body": body})
        },
    )
}

fn rule() -> impl Strategy<Value = Value> {
    let redact = json!({"types": [{"type": "email"}], "fields": ["a", "$body"]});
    (found(), 0..5).prop_map(move |(found, action)| match action {
        0 => json!({"match": found, "action": "deny"}),
        1 => json!({"match": found, "action": "require_approval"}),
        2 => json!({"match": found, "action": "redact", "redactConfig": redact}),
        _ => json!({"match": found, "action": "allow"}),
    })
}

/// Bodies that meet the conditions often, and some that nobody can read.
fn body() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "\"x\"",
        "\"y\"",
        "1",
        "true",
        "null",
        "\"x@y.io\"",
        "\"\\u200bx\"",
        "\"ｘ\"",
    ]);
    let value = leaf
        .prop_map(str::to_owned)
        .prop_recursive(3, 12, 3, |inner| {
            let name = prop::sample::select(vec!["a", "b", "A", "c"]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3)
                    .prop_map(|v| format!("[{}]", v.join(","))),
                prop::collection::vec((name, inner), 0..3).prop_map(|members| {
                    let members: Vec<_> = members
                        .iter()
                        .map(|(n, v)| format!("\"{n}\":{v}"))
                        .collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        });
    prop_oneof![
        4 => value,
        1 => prop::sample::select(vec!["", "x", "a=x&b=y", "{\"a\":", "<a>x</a>"]).prop_map(str::to_owned),
    ]
}

fn call() -> impl Strategy<Value = (Method, CanonicalUrl, String)> {
    let method = prop::sample::select(vec![Method::Get, Method::Post]);
    let path = prop::sample::select(vec!["/", "/a", "/a/b", "/a%20b", "/b?q=x", "/a?q=%78"]);
    (method, path, body()).prop_map(|(method, path, body)| {
        let url = CanonicalUrl::parse(&format!("https://h.example{path}"));
        (method, url.expect("the test's URL parses"), body)
    })
}

fn strictness(decision: &Decision) -> u8 {
    match decision {
        Decision::Allow { .. } => 0,
        Decision::NeedsApproval { .. } => 1,
        Decision::Deny { .. } => 2,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn adding_a_deny_anywhere_never_allows_more(
        rules in prop::collection::vec(rule(), 0..5),
        found in found(),
        at in any::<prop::sample::Index>(),
        (method, url, body) in call(),
    ) {
        let before = compile(&rules, "read_write", "never");
        let mut more = rules.clone();
        more.insert(at.index(rules.len() + 1), json!({"match": found, "action": "deny"}));
        let after = compile(&more, "read_write", "never");
        let facts = Facts::new(method, &url, 0).with_body(Body::new(body.as_bytes(), None));
        let (before, after) = (before.decide(&facts), after.decide(&facts));
        prop_assert!(strictness(&after) >= strictness(&before), "{:?} then {:?}", before, after);
    }

    #[test]
    fn another_policy_that_denies_by_rule_denies(
        rules in prop::collection::vec(rule(), 0..4),
        others in prop::collection::vec(rule(), 0..4),
        (method, url, body) in call(),
    ) {
        let (one, other) = (compile(&rules, "read_write", "never"), compile(&others, "custom", "never"));
        let facts = Facts::new(method, &url, 0).with_body(Body::new(body.as_bytes(), None));
        let explicit = |policy: &CompiledPolicy| matches!(
            policy.decide(&facts),
            Decision::Deny { rule: Some(ah5_policy::Rule::Request(_)), .. }
        );
        let together = decide_all([&one, &other], &facts).decision;
        if explicit(&one) || explicit(&other) {
            prop_assert_eq!(strictness(&together), 2);
        }
    }

    #[test]
    fn a_custom_policy_allows_only_what_a_rule_allows(
        rules in prop::collection::vec(rule(), 0..5),
        (method, url, body) in call(),
    ) {
        let policy = compile(&rules, "custom", "never");
        let facts = Facts::new(method, &url, 0).with_body(Body::new(body.as_bytes(), None));
        if let Decision::Allow { rule } = policy.decide(&facts) {
            let ah5_policy::Rule::Request(at) = rule else {
                panic!("{rule}");
            };
            prop_assert_eq!(&rules[at]["action"], "allow");
        }
    }

    #[test]
    fn where_an_allow_would_apply_a_deny_of_the_same_words_does(
        found in found(),
        (method, url, body) in call(),
    ) {
        let with = |action: &str| {
            let rules = json!({"request": [{"match": found, "action": action}], "response": []});
            let rules = Rules::compile(&rules, &mut Patterns::default(), false).unwrap();
            let body = Body::new(body.as_bytes(), None);
            let outcome = rules.request.evaluate(&Target::new(method, &url), body, None);
            outcome.decided.map(|decided| decided.action)
        };
        if with("allow") == Some(Action::Allow) {
            prop_assert_eq!(with("deny"), Some(Action::Deny));
        }
    }

    #[test]
    fn what_is_sent_after_redaction_is_still_json_and_has_nothing_left_to_redact(body in body()) {
        let redact = json!({"match": {}, "action": "redact",
            "redactConfig": {"types": [{"type": "email"}], "fields": ["$body"]}});
        let policy = compile(&[redact], "read_write", "never");
        let url = CanonicalUrl::parse("https://h.example/").unwrap();
        let json = Some("application/json");
        let first = Facts::new(Method::Post, &url, 0).with_body(Body::new(body.as_bytes(), json));
        if let Some(sent) = decide_all([&policy], &first).body {
            prop_assert!(serde_json::from_slice::<Value>(&sent).is_ok());
            prop_assert!(!String::from_utf8_lossy(&sent).contains('@'));
            let again = first.with_body(Body::new(&sent, json));
            prop_assert_eq!(decide_all([&policy], &again).body, None);
        }
    }

    #[test]
    fn the_json_reader_takes_only_what_others_read_the_same(text in "[\\[\\]{}:,\"a0-9.eE+\\-\\\\u \\ntrfalsn]{0,24}") {
        if let Ok(read) = Json::parse(&text, false) {
            let other: Value = serde_json::from_str(&text).expect("a laxer reader takes it");
            let written: Value = serde_json::from_slice(&read.to_bytes()).expect("it writes JSON");
            prop_assert_eq!(other, written);
        }
    }

    #[test]
    fn no_body_and_no_rule_makes_the_engine_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        text in "\\PC{0,40}",
        kind in prop::sample::select(vec![
            None, Some("application/json"), Some("application/x-www-form-urlencoded"), Some("text/plain"),
        ]),
        pattern in "[\\[\\]()\\\\^$.|*+?{},a-z0-9:<>=!\\-]{0,16}",
    ) {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _: View<'_> = Body::new(bytes, kind).read();
        }
        let found = json!({"urlPattern": pattern, "body": [
            {"path": text, "op": "contains", "value": text},
            {"path": "$body", "op": "matches", "value": pattern},
        ]});
        let rules = json!({"request": [{"match": found, "action": "deny"}]});
        let Ok(rules) = Rules::compile(&rules, &mut Patterns::default(), true) else {
            return Ok(());
        };
        let url = CanonicalUrl::parse("https://h.example/a?b=c").unwrap();
        let body = Body::new(text.as_bytes(), kind);
        let _ = rules.request.evaluate(&Target::new(Method::Post, &url), body, None);
    }
}
