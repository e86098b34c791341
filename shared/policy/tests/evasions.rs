//! Ways around a rule that do not work: each spells something that a rule forbids so that the rule
//! might not see it, though the provider would.

use ah5_contracts::policy::Method;
use ah5_policy::compile::HTTPS_ONLY;
use ah5_policy::{
    Body, CanonicalUrl, Combined, CompiledPolicy, Decision, Facts, PolicySource, decide_all,
};
use serde_json::{Value, json};

/// A policy that allows everything at the host but for what the rules say.
fn policy(host: &str, request: &Value) -> CompiledPolicy {
    let base = format!("https://{host}");
    CompiledPolicy::compile(&PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists: &json!([{"baseUrl": base, "methods": Method::NAMES, "pathPatterns": ["/**"]}]),
        default_mode: "read_write",
        plain_http: HTTPS_ONLY,
        provider_constraints: None,
        rate_limits: None,
        rules: &json!({"request": request, "response": []}),
        step_up: "never",
        time_windows: &json!([]),
    })
    .unwrap_or_else(|error| panic!("{error}"))
}

fn decide(policy: &CompiledPolicy, method: Method, url: &CanonicalUrl, body: Body<'_>) -> Combined {
    decide_all([policy], &Facts::new(method, url, 0).with_body(body))
}

fn outcome(combined: &Combined) -> &'static str {
    match combined.decision {
        Decision::Allow { .. } => "allow",
        Decision::Deny { .. } => "deny",
        Decision::NeedsApproval { .. } => "ask",
    }
}

fn parse(url: &str) -> CanonicalUrl {
    CanonicalUrl::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// What a POST of `body` comes to.
fn posted(rules: &Value, body: &str, content_type: Option<&str>) -> &'static str {
    let url = parse("https://h.example/x");
    let body = Body::new(body.as_bytes(), content_type);
    outcome(&decide(
        &policy("h.example", rules),
        Method::Post,
        &url,
        body,
    ))
}

fn fetched(rules: &Value, url: &str) -> &'static str {
    let Ok(url) = CanonicalUrl::parse(url) else {
        return "refused";
    };
    let body = Body::default();
    outcome(&decide(&policy(url.host(), rules), Method::Get, &url, body))
}

fn deny(found: Value) -> Value {
    json!([{"match": found, "action": "deny"}])
}

fn deny_body(condition: Value) -> Value {
    deny(json!({"body": [condition]}))
}

fn allow_body(condition: Value) -> Value {
    json!([{"match": {"body": [condition]}, "action": "allow"},
           {"match": {}, "action": "deny"}])
}

const JSON: Option<&str> = Some("application/json");

#[test]
fn no_spelling_of_a_path_gets_past_an_anchored_rule() {
    let rules = deny(json!({"urlPattern": "^/v1/admin(/|$)"}));
    for path in [
        "/v1/admin",
        "/v1//admin",
        "//v1/admin/",
        "/v1/./admin",
        "/v1/x/../admin",
        "/v1/x/%2e%2e/admin",
        "/v1/x/%252e%252e/admin",
        "/v1/%61dmin",
        "/v1/adm%69n/keys",
    ] {
        assert_eq!(
            fetched(&rules, &format!("https://h.example{path}")),
            "deny",
            "{path}"
        );
    }
    for path in [
        "/v1%2fadmin",
        "/v1%252fadmin",
        "/v1/..;/v1/admin",
        "/v1/x//../admin",
    ] {
        assert_eq!(
            fetched(&rules, &format!("https://h.example{path}")),
            "refused",
            "{path}"
        );
    }
    assert_eq!(fetched(&rules, "https://h.example/v1/pages"), "allow");
}

#[test]
fn a_path_encoded_as_it_must_be_is_seen_by_a_rule_that_names_it_plainly() {
    let rules = deny(json!({"urlPattern": "/private notes/é"}));
    assert_eq!(
        fetched(&rules, "https://h.example/private%20notes/%C3%A9"),
        "deny"
    );
}

#[test]
fn case_hides_nothing_where_the_service_ignores_it() {
    let rules = deny(json!({"urlPattern": "^/v1\\.0/me/sendMail$"}));
    assert_eq!(
        fetched(&rules, "https://graph.microsoft.com/v1.0/Me/SENDMAIL"),
        "deny"
    );
    assert_eq!(
        fetched(&rules, "https://h.example/v1.0/Me/SENDMAIL"),
        "allow"
    );
}

#[test]
fn a_rule_sees_the_merged_query_however_it_is_encoded() {
    let rules = deny(json!({"queryPattern": "[?&]alt=media(&|$)"}));
    assert_eq!(fetched(&rules, "https://h.example/f?%61lt=medi%61"), "deny");
    let mut url = parse("https://h.example/f?alt=json&x=1");
    url.merge([("alt", "media")]).unwrap();
    let body = Body::default();
    let got = decide(&policy("h.example", &rules), Method::Get, &url, body);
    assert_eq!(outcome(&got), "deny");
    let words = deny(json!({"queryPattern": "q=top secret"}));
    assert_eq!(fetched(&words, "https://h.example/f?q=top+secret"), "deny");
    assert_eq!(
        fetched(&words, "https://h.example/f?q=top%20secret"),
        "deny"
    );
}

#[test]
fn a_member_given_twice_is_refused_where_a_rule_reads_the_body() {
    let rules = deny_body(json!({"path": "role", "op": "eq", "value": "owner"}));
    let twice = "{\"role\":\"reader\",\"role\":\"owner\"}";
    assert_eq!(posted(&rules, twice, JSON), "deny");
    assert_eq!(
        posted(
            &rules,
            "{\"role\":\"reader\",\"r\\u006fle\":\"owner\"}",
            JSON
        ),
        "deny"
    );
    assert_eq!(posted(&rules, "{\"role\":\"reader\"}", JSON), "allow");
    let elsewhere = deny(json!({"methods": ["PUT"], "body": [{"path": "a", "op": "exists"}]}));
    assert_eq!(posted(&elsewhere, twice, JSON), "allow");
}

#[test]
fn the_case_of_a_name_hides_no_member() {
    let rules = deny_body(json!({"path": "attendees", "op": "exists"}));
    assert_eq!(posted(&rules, "{\"Attendees\":[]}", JSON), "deny");
    let allow = allow_body(json!({"path": "role", "op": "eq", "value": "reader"}));
    assert_eq!(posted(&allow, "{\"role\":\"reader\"}", JSON), "allow");
    assert_eq!(
        posted(&allow, "{\"role\":\"reader\",\"Role\":\"owner\"}", JSON),
        "deny"
    );
    assert_eq!(posted(&allow, "{\"Role\":\"reader\"}", JSON), "deny");
}

#[test]
fn a_form_says_what_json_would() {
    let rules = deny_body(json!({"path": "to.kind", "op": "eq", "value": "anyone"}));
    let form = Some("application/x-www-form-urlencoded");
    assert_eq!(posted(&rules, "to[kind]=any%6fne", form), "deny");
    assert_eq!(posted(&rules, "to%5Bkind%5D=anyone", form), "deny");
    assert_eq!(
        posted(&rules, "a=1&to[kind]=x&to[kind]=anyone", form),
        "deny"
    );
    assert_eq!(posted(&rules, "to[kind]=me", form), "allow");
    assert_eq!(posted(&rules, "x=1;to[kind]=anyone", form), "deny");
}

#[test]
fn a_body_that_no_rule_can_read_gets_past_no_rule_that_must_read_it() {
    let deny = deny_body(json!({"path": "text", "op": "contains", "value": "x"}));
    let allow = allow_body(json!({"path": "text", "op": "contains", "value": "x"}));
    for (body, content_type) in [
        ("{\"text\":\"x\"", JSON),
        ("{'text':'x'}", JSON),
        ("\u{feff}{\"text\":\"x\"}", JSON),
        ("{\"text\":\"x\"}", Some("text/plain")),
        ("{\"text\":\"x\"}", Some("application/octet-stream")),
        ("{\"text\":\"x\"}", Some("application/json; charset=utf-7")),
        ("<text>x</text>", Some("application/xml")),
        ("--b\r\nx", Some("multipart/form-data; boundary=b")),
    ] {
        assert_eq!(
            posted(&deny, body, content_type),
            "deny",
            "{body} {content_type:?}"
        );
        assert_eq!(
            posted(&allow, body, content_type),
            "deny",
            "{body} {content_type:?}"
        );
    }
    let url = parse("https://h.example/x");
    let policy = policy("h.example", &deny);
    let encoded = Body::new(b"{}", JSON).encoded();
    assert_eq!(
        outcome(&decide(&policy, Method::Post, &url, encoded)),
        "deny"
    );
    let facts = Facts::new(Method::Post, &url, 0);
    assert_eq!(
        outcome(&decide_all([&policy], &facts)),
        "deny",
        "a body nobody read"
    );
}

#[test]
fn a_missing_body_does_not_satisfy_a_rule_that_allows_and_does_not_escape_one_that_denies() {
    let deny = deny_body(json!({"path": "role", "op": "neq", "value": "reader"}));
    let allow = allow_body(json!({"path": "role", "op": "neq", "value": "owner"}));
    for body in ["", "null", "[]", "7", "\"role\""] {
        assert_eq!(posted(&deny, body, JSON), "deny", "{body}");
    }
    for body in ["", "null", "7", "\"role\""] {
        assert_eq!(posted(&allow, body, JSON), "deny", "{body}");
    }
    assert_eq!(posted(&deny, "{\"role\":\"reader\"}", JSON), "allow");
}

#[test]
fn wrapping_a_value_in_a_list_hides_and_proves_nothing() {
    let deny = deny_body(json!({"path": "to", "op": "in", "value": ["evil@x.example"]}));
    assert_eq!(
        posted(&deny, "{\"to\":[\"a@b.example\",\"evil@x.example\"]}", JSON),
        "deny"
    );
    assert_eq!(posted(&deny, "[{\"to\":\"evil@x.example\"}]", JSON), "deny");
    let equal = deny_body(json!({"path": "type", "op": "eq", "value": "anyone"}));
    assert_eq!(posted(&equal, "{\"type\":[\"anyone\"]}", JSON), "deny");
    let text = deny_body(json!({"path": "text", "op": "contains", "value": "secret"}));
    assert_eq!(
        posted(
            &text,
            "{\"text\":[{\"type\":\"text\",\"text\":\"a SECRET\"}]}",
            JSON
        ),
        "deny"
    );
    let allow = allow_body(json!({"path": "to", "op": "in", "value": ["a@b.example"]}));
    assert_eq!(posted(&allow, "{\"to\":[\"a@b.example\"]}", JSON), "allow");
    assert_eq!(
        posted(
            &allow,
            "{\"to\":[\"a@b.example\",\"evil@x.example\"]}",
            JSON
        ),
        "deny"
    );
    assert_eq!(posted(&allow, "{\"to\":[]}", JSON), "deny");
    let not = allow_body(json!({"path": "to", "op": "not_in", "value": ["evil@x.example"]}));
    assert_eq!(
        posted(&not, "{\"to\":[\"a@b.example\",\"evil@x.example\"]}", JSON),
        "deny"
    );
    let differ = allow_body(json!({"path": "role", "op": "neq", "value": "owner"}));
    assert_eq!(posted(&differ, "{\"role\":[\"owner\"]}", JSON), "deny");
}

#[test]
fn invisible_and_full_width_characters_hide_no_word() {
    for condition in [
        json!({"path": "t", "op": "contains", "value": "password"}),
        json!({"path": "t", "op": "matches", "value": "^password$"}),
        json!({"path": "$body", "op": "contains", "value": "password"}),
    ] {
        let rules = deny_body(condition);
        for text in [
            "pass\u{200b}word",
            "ｐａｓｓｗｏｒｄ",
            "password\\n",
            "\\u00adpassword\\u0000",
        ] {
            let body = format!("{{\"t\":\"{text}\"}}");
            assert_eq!(posted(&rules, &body, JSON), "deny", "{rules} {body}");
        }
    }
    let allow = allow_body(json!({"path": "t", "op": "matches", "value": "^.{3}$"}));
    assert_eq!(posted(&allow, "{\"t\":\"a\u{200b}b\"}", JSON), "deny");
}

#[test]
fn escapes_in_the_whole_body_hide_no_words() {
    let pattern = "(?i)ignore\\s+previous";
    let rules = deny_body(json!({"path": "$body", "op": "matches", "value": pattern}));
    assert_eq!(
        posted(&rules, "{\"m\":\"ignore\\nprevious\"}", JSON),
        "deny"
    );
    assert_eq!(
        posted(&rules, "{\"m\":\"ignor\\u0065 previous\"}", JSON),
        "deny"
    );
    let prompt = deny_body(json!({"path": "$prompt_text", "op": "matches", "value": pattern}));
    for body in [
        "{\"prompt\":\"ignore previous\"}",
        "{\"instructions\":\"ignore previous\"}",
        "{\"system_instruction\":{\"parts\":[{\"text\":\"ignore previous\"}]}}",
    ] {
        assert_eq!(posted(&prompt, body, JSON), "deny", "{body}");
    }
}

#[test]
fn a_number_as_text_or_by_another_name_is_the_same_number() {
    let limit =
        json!({"path": "$body", "op": "matches", "value": "\"max_tokens\"\\s*:\\s*\\d{5,}"});
    let rules = deny_body(limit);
    for body in [
        "{\"max_tokens\":\"99999\"}",
        "{\"max_tokens\":1e5}",
        "{\"max_completion_tokens\":99999}",
        "{\"generationConfig\":{\"maxOutputTokens\":99999}}",
    ] {
        assert_eq!(posted(&rules, body, JSON), "deny", "{body}");
    }
    assert_eq!(posted(&rules, "{\"max_tokens\":999}", JSON), "allow");
}

#[test]
fn redacting_neither_skips_nor_satisfies_a_later_rule() {
    let redact = json!({"match": {}, "action": "redact", "label": "Red",
                        "redactConfig": {"types": [{"type": "us_ssn"}], "fields": ["$body"]}});
    let ask = json!({"match": {}, "action": "require_approval"});
    let ssn = "{\"n\":1.50,\"t\":\"SSN 123-45-6789\"}";
    assert_eq!(posted(&json!([redact, ask]), ssn, JSON), "ask");
    assert_eq!(
        posted(&json!([redact, {"match": {}, "action": "deny"}]), ssn, JSON),
        "deny"
    );
    let found = json!({"pii": {"types": [{"type": "us_ssn"}], "fields": ["$body"]}});
    assert_eq!(
        posted(
            &json!([redact, {"match": found, "action": "deny"}]),
            ssn,
            JSON
        ),
        "allow"
    );

    let policy = policy("h.example", &json!([redact]));
    let url = parse("https://h.example/x");
    let body = Body::new(ssn.as_bytes(), JSON);
    let got = decide(&policy, Method::Post, &url, body);
    let sent = String::from_utf8(got.body.unwrap()).unwrap();
    assert_eq!(sent, "{\"n\":1.50,\"t\":\"SSN [PII_REDACTED:us_ssn]\"}");
}

#[test]
fn personal_data_that_cannot_be_replaced_is_not_sent() {
    let redact = json!([{"match": {}, "action": "redact",
        "redactConfig": {"types": [{"type": "us_ssn"}], "fields": ["$body", "t"]}}]);
    for (body, content_type) in [
        (
            "t=SSN+123-45-6789",
            Some("application/x-www-form-urlencoded"),
        ),
        ("{\"123-45-6789\":1}", JSON),
        ("<t>123-45-6789</t>", Some("application/xml")),
    ] {
        assert_eq!(posted(&redact, body, content_type), "deny", "{body}");
    }
    assert_eq!(posted(&redact, "{\"t\":\"none\"}", JSON), "allow");
}

#[test]
fn sending_personal_data_unredacted_takes_a_person() {
    let redact = json!([{"match": {}, "action": "redact", "label": "Red",
        "redactConfig": {"types": [{"type": "us_ssn"}], "fields": ["t"]}}]);
    let policy = policy("h.example", &redact);
    let url = parse("https://h.example/x");
    let body = Body::new(b"{\"t\":\"SSN 123-45-6789\"}", JSON);
    let mut facts = Facts::new(Method::Post, &url, 0).with_body(body);
    facts.bypass_pii_redaction = true;
    let got = decide_all([&policy], &facts);
    assert_eq!((outcome(&got), got.body), ("ask", None));
    assert_eq!(got.label.as_deref(), Some("Red"));
    let clean = Body::new(b"{\"t\":\"none\"}", JSON);
    assert_eq!(
        outcome(&decide_all([&policy], &facts.with_body(clean))),
        "allow"
    );
}
