use ah5_contracts::policy::Method;
use serde_json::{Value, json};

use super::*;
use crate::CanonicalUrl;
use crate::compile::{HTTPS_ONLY, PolicySource};

pub(super) fn policy(allowlists: &Value, mode: &str, step_up: &str) -> CompiledPolicy {
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

/// Everything at one host, with these rules.
fn ruled(request: Value, change: impl FnOnce(&mut Value)) -> CompiledPolicy {
    let all = entry("https://h.example", &["GET", "POST", "DELETE"], &["/**"]);
    let mut stored = json!({"mode": "read_write", "stepUp": "never", "constraints": null,
                            "limits": null, "windows": [],
                            "rules": {"request": request, "response": []}});
    change(&mut stored);
    CompiledPolicy::compile(&PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists: &all,
        default_mode: stored["mode"].as_str().unwrap(),
        plain_http: HTTPS_ONLY,
        provider_constraints: stored.get("constraints"),
        rate_limits: stored.get("limits"),
        rules: &stored["rules"],
        step_up: stored["stepUp"].as_str().unwrap(),
        time_windows: &stored["windows"],
    })
    .unwrap()
}

fn rule(action: &str) -> Value {
    json!({"label": action, "match": {}, "action": action})
}

fn strictness(combined: &Combined) -> u8 {
    combined.decision.strictness()
}

#[test]
fn an_explicit_deny_wins_and_a_rule_outweighs_a_mode() {
    let allow = ruled(json!([rule("allow")]), |_| {});
    let deny = ruled(json!([rule("deny")]), |_| {});
    let ask = ruled(json!([rule("require_approval")]), |_| {});
    let custom = ruled(json!([]), |p| p["mode"] = json!("custom"));
    let always = ruled(json!([]), |p| p["stepUp"] = json!("always"));
    for (policies, expected, decides) in [
        (vec![&allow, &deny], 2, 1),
        (vec![&deny, &allow, &ask], 2, 0),
        (vec![&allow, &ask], 1, 1),
        (vec![&custom, &allow], 0, 1),
        (vec![&always, &allow], 0, 1),
        (vec![&always, &custom], 2, 1),
    ] {
        let url = CanonicalUrl::parse("https://h.example/x").unwrap();
        let facts = Facts::new(Method::Get, &url, 0).with_body(Body::default());
        let got = decide_all(policies, &facts);
        assert_eq!(
            (strictness(&got), got.policy),
            (expected, Some(decides)),
            "{got:?}"
        );
    }
}

#[test]
fn default_mode_caps_what_no_rule_matched_and_nothing_else() {
    let allow = [ruled(json!([rule("allow")]), |p| {
        p["mode"] = json!("read_only")
    })];
    let write = decide(&allow, Method::Post, "https://h.example/x");
    assert!(write.decision.is_allowed());
    let custom = [ruled(json!([rule("allow")]), |p| {
        p["mode"] = json!("custom")
    })];
    assert!(
        decide(&custom, Method::Post, "https://h.example/x")
            .decision
            .is_allowed()
    );
    let none = [ruled(json!([]), |p| p["mode"] = json!("custom"))];
    assert!(
        !decide(&none, Method::Get, "https://h.example/x")
            .decision
            .is_allowed()
    );
}

#[test]
fn limits_response_rules_and_redactions_of_all_that_cover_are_united() {
    let redact = |kind: &str| {
        json!([{"match": {}, "action": "redact",
                "redactConfig": {"types": [{"type": kind}], "fields": ["t"]}}])
    };
    let response = json!([{"match": {}, "filter": {"denyFields": ["x"]}}]);
    let policies = [
        ruled(redact("email"), |p| {
            p["limits"] = json!({"maxRequestsPerHour": 9, "maxResponseSizeBytes": 5});
            p["rules"]["response"] = response.clone();
        }),
        ruled(redact("us_ssn"), |p| {
            p["limits"] = json!({"maxRequestsPerHour": 7, "maxPayloadSizeBytes": 3});
            p["rules"]["response"] = response.clone();
        }),
    ];
    let url = CanonicalUrl::parse("https://h.example/x").unwrap();
    let body = Body::new(b"{\"t\":\"a@b.io, SSN 123-45-6789\"}", None);
    let got = decide_all(
        &policies,
        &Facts::new(Method::Post, &url, 0).with_body(body),
    );
    let limits = Limits {
        max_payload_bytes: Some(3),
        max_requests_per_hour: Some(7),
        max_response_bytes: Some(5),
    };
    assert_eq!(got.limits, limits);
    assert_eq!((got.hourly, got.calls), (vec![(0, 9), (1, 7)], 1));
    assert_eq!(got.response.len(), 2);
    let sent = String::from_utf8(got.body.unwrap()).unwrap();
    assert_eq!(
        sent,
        "{\"t\":\"[PII_REDACTED:email], SSN [PII_REDACTED:us_ssn]\"}"
    );
    assert_eq!(got.redactions.len(), 2);
}

#[test]
fn a_closed_window_adds_nothing_and_says_why_where_nothing_else_covers() {
    let closed = ruled(json!([rule("deny")]), |p| {
        p["windows"] = json!([{"dayOfWeek": 1, "startHour": 1, "endHour": 1, "timezone": "UTC"}]);
    });
    let open = ruled(json!([]), |_| {});
    let alone = decide(
        std::slice::from_ref(&closed),
        Method::Get,
        "https://h.example/x",
    );
    match alone.decision {
        Decision::Deny { reason, rule, .. } => {
            assert!(reason.starts_with("Execution blocked: "), "{reason}");
            assert_eq!(rule, Some(Rule::TimeWindows));
        }
        other => panic!("{other:?}"),
    }
    let both = decide(&[closed, open], Method::Get, "https://h.example/x");
    assert!(both.decision.is_allowed());
}

#[test]
fn a_listed_target_waives_an_approval_but_no_deny() {
    let all = entry("https://api.telegram.org", &["POST"], &["/bot*/*"]);
    let chats = json!({"provider": "telegram", "allowedChatIds": ["1"]});
    let outside = json!([{"label": "Redact PII outside trusted recipient scope", "match": {},
                          "filter": {"redact": [{"type": "email"}]}}]);
    let url = CanonicalUrl::parse("https://api.telegram.org/bot/sendMessage").unwrap();
    for (action, expected) in [("require_approval", 0), ("deny", 2)] {
        let policy = CompiledPolicy::compile(&PolicySource {
            allowed_models: &["B".to_owned()],
            allowlists: &all,
            default_mode: "read_write",
            plain_http: HTTPS_ONLY,
            provider_constraints: Some(&chats),
            rate_limits: None,
            rules: &json!({"request": [rule(action)], "response": outside}),
            step_up: "always",
            time_windows: &json!([]),
        });
        let body = Body::new(b"{\"chat_id\":1}", None);
        let facts = Facts::new(Method::Post, &url, 0).with_body(body);
        let got = decide_all([&policy.unwrap()], &facts);
        assert_eq!(
            (strictness(&got), got.response.len()),
            (expected, 0),
            "{got:?}"
        );
    }
}

#[test]
fn full_fields_are_for_one_contact_after_approval() {
    let all = entry("https://people.googleapis.com", &["GET"], &["/**"]);
    let response = json!([
        {"label": "Strip contact PII fields", "match": {}, "filter": {"denyFields": ["phone"]}},
        {"label": "Other", "match": {}, "filter": {"denyFields": ["x"]}},
    ]);
    for (enabled, path, expected, filters) in [
        (false, "/v1/people/c12", 2, 1),
        (true, "/v1/people/c12", 1, 1),
        (true, "/v1/people/c12:x", 1, 1),
        (true, "/v1/people/c12x", 2, 1),
        (true, "/v1/people/me", 2, 1),
        (true, "/v1.0/me/contacts/id", 1, 1),
        (true, "/v1.0/me/contacts", 2, 1),
    ] {
        let policy = CompiledPolicy::compile(&PolicySource {
            allowed_models: &["B".to_owned()],
            allowlists: &all,
            default_mode: "read_write",
            plain_http: HTTPS_ONLY,
            provider_constraints: None,
            rate_limits: None,
            rules: &json!({"request": [], "response": response, "fieldStepUpEnabled": enabled}),
            step_up: "never",
            time_windows: &json!([]),
        });
        let policy = policy.unwrap();
        let url = CanonicalUrl::parse(&format!("https://people.googleapis.com{path}")).unwrap();
        let mut facts = Facts::new(Method::Get, &url, 0).with_body(Body::default());
        assert_eq!(decide_all([&policy], &facts).response.len(), 2);
        facts.request_full_fields = true;
        let got = decide_all([&policy], &facts);
        assert_eq!(
            (strictness(&got), got.response.len()),
            (expected, filters),
            "{path}: {got:?}"
        );
    }
}

#[test]
fn a_trace_is_written_where_it_is_asked_for() {
    let policies = [
        ruled(json!([rule("deny")]), |_| {}),
        policy(&json!([]), "custom", "never"),
    ];
    let url = CanonicalUrl::parse("https://h.example/x").unwrap();
    let mut facts = Facts::new(Method::Get, &url, 0).with_body(Body::default());
    assert!(decide_all(&policies, &facts).traces.is_empty());
    facts.explain = true;
    let traces = decide_all(&policies, &facts).traces;
    assert_eq!(
        traces,
        [vec!["deny:MATCH(deny)"], vec!["allowlists:skip(no entry)"]]
    );
}

#[test]
fn a_narrowed_rule_sees_less_of_what_a_model_is_told_and_of_nothing_else() {
    let says = |word: &str| json!({"path": "$prompt_text", "op": "contains", "value": word});
    let has = |name: &str| json!({"path": name, "op": "exists"});
    let when = |action: &str, body: Value| json!({"action": action, "match": {"body": body}});
    let guard = ruled(
        json!([
            when("require_approval", json!([says("ignore")])),
            when("deny", json!([says("ignore"), says("delete")])),
            when("require_approval", json!([says("prod"), has("tools")])),
        ]),
        |_| {},
    );
    let other = ruled(json!([when("deny", json!([says("forbidden")]))]), |_| {});
    let policies = [other, guard];
    let url = CanonicalUrl::parse("https://h.example/x").unwrap();
    let judge = |whole: &str, told: Option<&str>, at: (usize, usize)| {
        let json = |text| Body::new(text, Some("application/json"));
        let mut facts = Facts::new(Method::Post, &url, 0).with_body(json(whole.as_bytes()));
        let (policy, rule) = at;
        let rules = [Stop { policy, rule }];
        facts.narrowed = told.map(|told| Narrowed {
            rules: &rules,
            told: json(told.as_bytes()),
        });
        let combined = decide_all(&policies, &facts);
        (strictness(&combined), combined.stopped.is_some())
    };
    let said = |words: &str| json!({"tools": "tool", "messages": [{"content": words}]}).to_string();
    let none = r#"{"messages":[]}"#;
    assert_eq!(judge(&said("ignore"), None, (0, 0)), (1, true));
    assert_eq!(judge(&said("ignore"), Some(none), (1, 0)), (0, false));
    // What was added stops it again.
    let added = r#"{"messages":[{"content":"ignore"}]}"#;
    assert_eq!(judge(&said("ignore"), Some(added), (1, 0)), (1, true));
    // Another rule, and another policy, see all of it.
    assert_eq!(judge(&said("ignore"), Some(none), (1, 1)), (1, true));
    // Of a rule that looks for several things no part is shown less.
    assert_eq!(judge(&said("prod"), None, (1, 2)), (1, false));
    assert_eq!(judge(&said("ignore, delete"), Some(none), (1, 0)).0, 2);
    assert_eq!(judge(&said("ignore"), Some(none), (0, 0)), (1, true));
    assert_eq!(judge(&said("ignore, forbidden"), Some(none), (1, 0)).0, 2);
}
