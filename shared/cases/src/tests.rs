use ah5_contracts::policy::Method;
use ah5_policy::compile::HTTPS_ONLY;
use ah5_policy::templates::{Template, Tier};
use ah5_policy::{
    Body, CanonicalUrl, Combined, CompiledPolicy, Decision, Facts, PolicySource, decide_all,
};
use serde_json::{Value, json};

use super::on_purpose::ON_PURPOSE;
use super::*;

mod played;

const FILE: &str = include_str!("../../policy/tests/cases.jsonl");

/// A stack that has an answer for everything.
struct Agreeable;

impl Stack for Agreeable {
    fn run(&mut self, _case: &Case) -> Result<(), Mismatch> {
        Ok(())
    }
}

#[test]
fn the_pure_levels_give_the_right_answers_but_for_those_on_purpose() {
    let report = Report::of(FILE, &mut Agreeable);
    let unexpected: Vec<_> = report.faults().collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    let failed: Vec<&str> = report.on_purpose().iter().map(|(name, _)| *name).collect();
    let pure = ON_PURPOSE.iter().map(|(name, _)| *name);
    let played = |name: &str| name.starts_with("decision") || name.starts_with("redeem");
    let pure: Vec<&str> = pure.filter(|name| !played(name)).collect();
    for name in &pure {
        assert!(failed.contains(name), "{name} passes now");
    }
    assert_eq!(failed.len(), pure.len());
}

#[test]
fn the_documentation_lists_what_is_answered_otherwise() {
    let text = include_str!("../../../docs/policies.md");
    for (name, why) in ON_PURPOSE {
        assert!(text.contains(&format!("| {name} | {why} |")), "{name}");
    }
}

#[test]
fn without_a_stack_its_cases_fail_rather_than_being_left_out() {
    let report = Report::of(FILE, &mut NoStack);
    let lines = FILE.lines().filter(|line| !line.trim().is_empty()).count();
    assert_eq!(report.passed + report.failed.len(), lines);
    let needs = |(_, why): &&(String, Mismatch)| why.to_string() == "needs the running stack";
    assert_eq!(report.failed.iter().filter(needs).count(), 56);
}

#[test]
fn a_wrong_answer_and_an_unknown_line_fail() {
    let line = r#"{"name":"x","level":"url","policy":{},"request":{"url":"https://h.example/a"},"#;
    let right = format!("{line}\"expect\":{{\"canonical\":\"https://h.example/a\"}}}}");
    let wrong = format!("{line}\"expect\":{{\"canonical\":\"https://h.example/b\"}}}}");
    let unknown = format!("{line}\"expect\":{{\"colour\":\"blue\"}}}}");
    let level = right.replace("\"url\",", "\"smell\",");
    for (text, passed) in [
        (right, 1),
        (wrong, 0),
        (unknown, 0),
        (level, 0),
        ("{}".into(), 0),
    ] {
        let report = Report::of(&text, &mut NoStack);
        assert_eq!(
            (report.passed, report.failed.len()),
            (passed, 1 - passed),
            "{text}"
        );
    }
}

/// The part of a decision case that the engine answers for.
#[test]
fn the_engine_decides_as_the_decision_cases_say() {
    let mut judged = 0;
    for line in FILE.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        if case.level != "decision" || BEYOND.contains(&case.name.as_str()) {
            continue;
        }
        judged += 1;
        let right = case.right_answer();
        let got = decide(&case);
        let expected = right["outcome"].as_str().unwrap();
        let outcome = match &got {
            Err(_) => "denied",
            Ok(combined) => match &combined.decision {
                Decision::Allow { .. } => "executed",
                Decision::Deny { reason, hint, .. } => {
                    if let Some(error) = right["error"].as_str() {
                        assert_eq!(reason, error, "{}", case.name);
                    }
                    if let Some(expected) = right["hint"].as_str() {
                        assert_eq!(hint.as_deref(), Some(expected), "{}", case.name);
                    }
                    assert!(
                        right.get("noHint").is_none() || hint.is_none(),
                        "{}",
                        case.name
                    );
                    "denied"
                }
                Decision::NeedsApproval { reason, .. } => {
                    if let Some(expected) = right["reason"].as_str() {
                        assert_eq!(reason, expected, "{}", case.name);
                    }
                    let label = combined.label.as_deref();
                    if let Some(expected) = right["ruleLabel"].as_str() {
                        assert_eq!(label, Some(expected), "{}", case.name);
                    }
                    assert!(
                        right.get("noRuleLabel").is_none() || label.is_none(),
                        "{}",
                        case.name
                    );
                    "approval_required"
                }
            },
        };
        assert_eq!(outcome, expected, "{}: {got:?}", case.name);
        if let (Ok(combined), Some(sent)) = (&got, right.get("upstreamBody")) {
            let body = combined.body.clone().unwrap_or_else(|| case.request_body());
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(&body, sent, "{}", case.name);
        }
    }
    assert!(judged > 35, "only {judged} cases were judged");
}

/// What other parts of a data plane answer for: sizes, headers, approvals already given.
const BEYOND: [&str; 5] = [
    "decision: payload limit",
    "decision: payload limit counts UTF-8 bytes",
    "decision: one-mebibyte request cap in front of everything",
    "decision: method-override header is forwarded",
    "decision: unknown approval id",
];

fn decide(case: &Case) -> Result<Combined, ah5_policy::UrlError> {
    let request = case.request();
    let mut url = CanonicalUrl::parse(request["url"].as_str().unwrap())?;
    let query = request["query"].as_object().cloned().unwrap_or_default();
    url.merge(
        query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap())),
    )?;
    let policy = policy(&case.policy);
    let bytes = case.request_body();
    let content_type = request["headers"]["content-type"].as_str();
    let method = Method::from_name(request["method"].as_str().unwrap()).unwrap();
    let now = 1_772_409_600;
    let mut facts = Facts::new(method, &url, now).with_body(Body::new(&bytes, content_type));
    let connection = case.connection.clone().unwrap_or_default();
    let service = connection["service"].as_str().unwrap_or_default();
    facts.service = service;
    facts.tenant = connection["metadata"]["tenantId"].as_str();
    facts.bypass_pii_redaction = request["bypassPiiRedaction"] == true;
    facts.request_full_fields = request["requestFullFields"] == true;
    Ok(decide_all([&policy], &facts))
}

fn policy(stored: &Value) -> CompiledPolicy {
    let generated = stored.get("template").map(|template| {
        let tier = Tier::from_name(template[1].as_str().unwrap()).unwrap();
        let made = Template::find(template[0].as_str().unwrap())
            .unwrap()
            .generate(tier);
        json!({"allowlists": made.allowlists, "rules": made.rules, "rateLimits": made.rate_limits,
               "stepUpApproval": "never"})
    });
    let stored = generated.as_ref().unwrap_or(stored);
    let models: Vec<String> = match stored["allowedModels"].as_array() {
        None => vec!["B".to_owned()],
        Some(models) => models
            .iter()
            .map(|m| m.as_str().unwrap().to_owned())
            .collect(),
    };
    // A window that never opens stands for one that is closed now.
    let closed = json!([{"dayOfWeek": 1, "startHour": 1, "endHour": 1, "timezone": "UTC"}]);
    let windows = match &stored["timeWindows"] {
        Value::String(text) if text == "__closed_utc__" => &closed,
        windows => windows,
    };
    CompiledPolicy::compile(&PolicySource {
        allowed_models: &models,
        allowlists: &stored["allowlists"],
        default_mode: stored["defaultMode"].as_str().unwrap_or("read_write"),
        plain_http: HTTPS_ONLY,
        provider_constraints: stored.get("providerConstraints"),
        rate_limits: stored.get("rateLimits"),
        rules: &stored["rules"],
        step_up: stored["stepUpApproval"].as_str().unwrap_or("risk_based"),
        time_windows: windows,
    })
    .unwrap_or_else(|error| panic!("{error}"))
}
