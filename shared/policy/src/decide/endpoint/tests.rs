use ah5_contracts::policy::Method;
use serde_json::{Value, json};

use super::*;
use crate::decide::tests::policy;
use crate::{Body, CanonicalUrl, CompiledPolicy, Endpoints, decide_all};

fn endpoints() -> Endpoints {
    let mut all = Endpoints::default();
    for (class, path) in [
        (Class::CallbackTarget, "/v1/hooks"),
        (Class::MintsAuthority, "/v1/keys"),
        (Class::Tunnel(Tunnel::Graphql), "/graphql"),
        (Class::Tunnel(Tunnel::Opaque), "/batch"),
    ] {
        all.add(class, &[], &[path]).unwrap();
    }
    all
}

fn list(patterns: &[&str]) -> Value {
    json!([{"baseUrl": "https://h.example", "methods": ["POST"], "pathPatterns": patterns}])
}

fn decide(policies: &[CompiledPolicy], path: &str, headers: &[(String, String)]) -> Combined {
    let url = CanonicalUrl::parse(&format!("https://h.example{path}")).unwrap();
    let endpoints = endpoints();
    let mut facts = Facts::new(Method::Post, &url, 0).with_body(Body::default());
    facts.headers = headers;
    decide_all(policies, &facts.at(&endpoints))
}

fn outcome(policies: &[CompiledPolicy], path: &str) -> &'static str {
    match decide(policies, path, &[]).decision {
        Decision::Allow { .. } => "allow",
        Decision::Deny { .. } => "deny",
        Decision::NeedsApproval { .. } => "approve",
    }
}

#[test]
fn a_wildcard_covers_no_endpoint_that_is_more_than_it_looks_like() {
    let wide = [policy(
        &list(&["/**", "**", "/*", "/v1/*"]),
        "read_write",
        "never",
    )];
    assert_eq!(outcome(&wide, "/v1/plain"), "allow");
    for path in [
        "/v1/hooks",
        "/v1/keys",
        "/graphql",
        "/batch",
        "/GraphQL/",
        "/v1/HOOKS;x",
    ] {
        assert_eq!(outcome(&wide, path), "deny", "{path}");
    }
    let Decision::Deny { hint, .. } = decide(&wide, "/graphql", &[]).decision else {
        panic!("allowed");
    };
    assert!(hint.unwrap().contains("without wildcards"));
}

#[test]
fn what_is_named_goes_by_its_kind() {
    let paths = ["/v1/hooks", "/v1/keys", "/graphql", "/batch"];
    let named = [policy(&list(&paths), "read_write", "never")];
    assert_eq!(outcome(&named, "/graphql"), "allow");
    assert_eq!(outcome(&named, "/v1/hooks"), "approve");
    assert_eq!(outcome(&named, "/v1/keys"), "deny");
    assert_eq!(outcome(&named, "/batch"), "deny");
    // Another spelling is another path to the allowlist, and still the endpoint.
    assert_eq!(outcome(&named, "/graphql/"), "deny");
    let read_only = [policy(&list(&paths), "read_only", "never")];
    assert_eq!(outcome(&read_only, "/graphql"), "deny");
    assert_eq!(outcome(&read_only, "/v1/hooks"), "deny");
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn with_header(rules: &Value) -> CompiledPolicy {
    let mut allowlists = list(&["/v1/*"]);
    allowlists[0]["headers"] = json!([{"name": "Stripe-Account", "values": ["acct_1", "acct_2"]}]);
    CompiledPolicy::compile(&crate::PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists: &allowlists,
        default_mode: "read_write",
        plain_http: crate::compile::HTTPS_ONLY,
        provider_constraints: None,
        rate_limits: None,
        rules,
        step_up: "never",
        time_windows: &json!([]),
    })
    .unwrap()
}

#[test]
fn an_acting_header_needs_a_policy_that_names_it_with_its_value() {
    let plain = policy(&list(&["/v1/*"]), "read_write", "never");
    let named = with_header(&json!({}));
    let allowed = |policies: &[CompiledPolicy], headers: &[(String, String)]| {
        let combined = decide(policies, "/v1/a", headers);
        let allowed = combined.decision.is_allowed();
        match combined.decision {
            Decision::Deny {
                reason,
                rule: Some(Rule::Headers),
                ..
            } => {
                let name = reason.trim_start_matches("Request denied: header ");
                (allowed, name.split(' ').next().map(str::to_owned))
            }
            _ => (allowed, None),
        }
    };
    let good = [pair("stripe-account", "acct_2")];
    assert_eq!(allowed(std::slice::from_ref(&named), &good), (true, None));
    assert_eq!(allowed(std::slice::from_ref(&named), &[]), (true, None));
    assert_eq!(
        allowed(&[plain.clone(), named.clone()], &good),
        (true, None)
    );
    let unnamed = Some("stripe-account".to_owned());
    assert_eq!(allowed(&[plain], &good), (false, unnamed.clone()));
    let bad = [pair("stripe-account", "acct_3")];
    assert_eq!(
        allowed(std::slice::from_ref(&named), &bad),
        (false, unnamed)
    );
    let both = [pair("stripe-account", "acct_1"), pair("prefer", "x")];
    assert_eq!(
        allowed(std::slice::from_ref(&named), &both),
        (false, Some("prefer".to_owned()))
    );
    // An entry that doesn't cover the call grants nothing.
    assert!(!decide(&[named], "/v2/a", &good).decision.is_allowed());
}

/// Or a header would be the way around the rules of a policy that doesn't know it.
#[test]
fn an_acting_header_takes_no_policy_out_of_the_decision() {
    let deny =
        json!({"request": [{"label": "no", "action": "deny", "match": {"urlPattern": "/v1/a"}}]});
    let mut denies = list(&["/v1/*"]);
    denies[0]["methods"] = json!(["GET", "POST"]);
    let denies = CompiledPolicy::compile(&crate::PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists: &denies,
        default_mode: "read_write",
        plain_http: crate::compile::HTTPS_ONLY,
        provider_constraints: None,
        rate_limits: None,
        rules: &deny,
        step_up: "never",
        time_windows: &json!([]),
    })
    .unwrap();
    let policies = [with_header(&json!({})), denies];
    let combined = decide(&policies, "/v1/a", &[pair("stripe-account", "acct_1")]);
    assert_eq!(combined.label.as_deref(), Some("no"));
    assert!(!combined.decision.is_allowed());
}
