use ah5_contracts::policy::Method;

use super::*;
use crate::compile::HTTPS_ONLY;
use crate::{Body, CanonicalUrl, CompiledPolicy, Decision, Facts, PolicySource};

mod guards;

fn compile(id: &str, tier: Tier) -> CompiledPolicy {
    let made = Template::find(id).unwrap().generate(tier);
    let name = format!("{id} {tier:?}");
    compiled(
        &name,
        &made.allowlists,
        Some(&made.rate_limits),
        &made.rules,
    )
}

fn compiled(name: &str, lists: &Value, limits: Option<&Value>, rules: &Value) -> CompiledPolicy {
    CompiledPolicy::compile(&PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists: lists,
        default_mode: "read_write",
        plain_http: HTTPS_ONLY,
        provider_constraints: None,
        rate_limits: limits,
        rules,
        step_up: "never",
        time_windows: &json!([]),
    })
    .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn labels(rules: &Value) -> Vec<&str> {
    let rules = rules.as_array().unwrap().iter();
    rules.map(|rule| rule["label"].as_str().unwrap()).collect()
}

fn decide(id: &str, tier: Tier, method: Method, url: &str, body: &str) -> &'static str {
    judged(&compile(id, tier), method, url, body)
}

fn judged(policy: &CompiledPolicy, method: Method, url: &str, body: &str) -> &'static str {
    let url = CanonicalUrl::parse(url).unwrap();
    let body = Body::new(body.as_bytes(), Some("application/json"));
    match policy.decide(&Facts::new(method, &url, 0).with_body(body)) {
        Decision::Allow { .. } => "allow",
        Decision::Deny { .. } => "deny",
        Decision::NeedsApproval { .. } => "ask",
    }
}

#[test]
fn every_template_compiles_in_every_tier_and_covers_what_is_left() {
    assert_eq!(Template::all().count(), 36);
    for template in Template::all() {
        for tier in Tier::ALL {
            let _ = compile(&template.id, tier);
            let made = template.generate(tier);
            let last = made.rules["request"].as_array().unwrap().last().unwrap();
            assert_eq!(
                (&last["match"], &last["action"]),
                (&json!({}), &json!("deny")),
                "{}",
                template.id
            );
            assert!(made.rate_limits["maxRequestsPerHour"].is_u64());
            assert!(
                template.guards[&tier]
                    .iter()
                    .all(|id| Guard::find(id).is_some())
            );
        }
    }
}

#[test]
fn the_default_of_every_service_that_has_a_template_is_a_list_that_compiles() {
    for template in Template::all() {
        let lists = default_allowlists(&template.service);
        assert!(
            !lists.as_array().unwrap().is_empty(),
            "{}",
            template.service
        );
        let rules = json!({"request": [], "response": []});
        let _ = compiled(&template.service, &lists, None, &rules);
    }
    assert_eq!(default_allowlists("custom-http"), json!([]));
}

#[test]
fn only_the_last_rule_matches_every_call() {
    for template in Template::all() {
        for tier in Tier::ALL {
            let made = template.generate(tier);
            let rules = made.rules["request"].as_array().unwrap();
            let open = rules.iter().position(|rule| rule["match"] == json!({}));
            assert_eq!(open, Some(rules.len() - 1), "{} {tier:?}", template.id);
        }
    }
}

#[test]
fn what_clients_count_on_is_there() {
    let made = |id: &str, tier| Template::find(id).unwrap().generate(tier).rules;
    let gmail = made("gmail-read", Tier::Minimal);
    assert_eq!(
        (
            labels(&gmail["request"]).len(),
            labels(&gmail["response"]).len()
        ),
        (2, 0)
    );
    let manage = made("gmail-manage", Tier::Minimal);
    for label in ["Allow all reads", "Allow writes"] {
        assert!(labels(&manage["request"]).contains(&label));
    }
    for (tier, label) in [
        (Tier::Standard, "Allow generate content"),
        (Tier::Strict, "Approve all content generation"),
    ] {
        let gemini = made("gemini", tier);
        let rules = gemini["request"].as_array().unwrap();
        let rule = rules.iter().find(|rule| rule["label"] == label).unwrap();
        assert_eq!(
            rule["match"]["urlPattern"],
            ":(generate|streamGenerate)Content$"
        );
    }
    let claude = made("anthropic-messages", Tier::Strict);
    assert!(
        labels(&claude["request"])
            .iter()
            .any(|label| label.contains("injection"))
    );
    let read = made("gmail-read", Tier::Standard);
    assert!(labels(&read["response"])[0].contains("PII"));
    for tier in [Tier::Strict, Tier::Standard] {
        let contacts = made("contacts-manage", tier);
        let denied = contacts["response"].to_string();
        assert!(denied.contains("phoneNumbers") && denied.contains("biographies"));
        assert_eq!(contacts["fieldStepUpEnabled"], tier == Tier::Standard);
        let openai = Template::find("openai").unwrap().generate(tier).allowlists;
        assert!(openai.to_string().contains("/v1/responses"));
    }
}

#[test]
fn the_known_holes_are_closed() {
    use Method::{Delete, Get, Post, Put};
    use Tier::{Minimal, Standard, Strict};
    let slack = "https://slack.com/api/conversations.";
    let gmail = "https://gmail.googleapis.com/gmail/v1/users/me/messages";
    let ssn = "{\"t\":\"hi 123-45-6789\"}";
    let claude = "{\"model\":\"vendor-opus-9\",\"messages\":[{\"content\":\"mail a@b.io\"}]}";
    let recent = format!("{gmail}?q=newer_than:1d");
    for (id, tier, method, url, body, expected) in [
        (
            "notion-read",
            Minimal,
            Post,
            "https://api.notion.com/v1/pages",
            "{}",
            "deny",
        ),
        (
            "notion-read",
            Minimal,
            Post,
            "https://api.notion.com/v1/search",
            "{}",
            "allow",
        ),
        (
            "notion-manage",
            Strict,
            Post,
            "https://api.notion.com/v1/pages",
            ssn,
            "ask",
        ),
        ("gmail-read", Strict, Get, &*recent, "", "allow"),
        (
            "gmail-read",
            Strict,
            Get,
            &format!("{gmail}?q=newer_than:1d&q=all"),
            "",
            "ask",
        ),
        (
            "gmail-read",
            Strict,
            Get,
            &format!("{gmail}?q=newer_than:1d%20OR%20all"),
            "",
            "ask",
        ),
        (
            "gmail-read",
            Strict,
            Get,
            &format!("{gmail}/18c0?x=newer_than:1d"),
            "",
            "ask",
        ),
        (
            "openrouter",
            Strict,
            Post,
            "https://openrouter.ai/api/v1/chat/completions",
            "{}",
            "ask",
        ),
        (
            "teams-manage",
            Standard,
            Delete,
            "https://graph.microsoft.com/v1.0/teams/t/channels/k",
            "",
            "ask",
        ),
        (
            "contacts-manage",
            Standard,
            Delete,
            "https://people.googleapis.com/v1/people/c1:deleteContact",
            "",
            "ask",
        ),
        (
            "slack",
            Standard,
            Post,
            &format!("{slack}archive"),
            "{\"channel\":\"C1\"}",
            "ask",
        ),
        (
            "slack",
            Standard,
            Post,
            &format!("{slack}history"),
            "{\"channel\":\"C1\"}",
            "allow",
        ),
        (
            "anthropic-messages",
            Strict,
            Post,
            "https://api.anthropic.com/v1/messages",
            claude,
            "deny",
        ),
        (
            "openai",
            Minimal,
            Post,
            "https://api.openai.com/v1/chat/completions",
            "{}",
            "allow",
        ),
        (
            "trello-manage",
            Standard,
            Put,
            "https://api.trello.com/1/cards/x",
            "{\"closed\":true}",
            "ask",
        ),
        (
            "trello-manage",
            Standard,
            Put,
            "https://api.trello.com/1/cards/x",
            "{\"name\":\"n\"}",
            "allow",
        ),
        (
            "email-read",
            Strict,
            Get,
            "https://email-imap.internal/messages/1",
            "",
            "ask",
        ),
    ] {
        assert_eq!(
            decide(id, tier, method, url, body),
            expected,
            "{id} {tier:?} {url}"
        );
    }
}
