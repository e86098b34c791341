//! Policies made from templates, and made again.

use ah5_policy::templates::{Template, Tier};
use serde_json::{Value, json};

use crate::made;
use crate::support::{World, error, of};

/// Generates, makes, writes back the rules and then the whole.
async fn round_trip(world: &World, account: [&str; 2], template: &Template, tier: Tier) {
    let name = format!("{} {}", template.id, tier.as_str());
    let [agent, connection] = account;
    let draft = json!({"agentId": agent, "connectionId": connection,
                       "actionTemplateId": template.id, "policyTier": tier.as_str()});
    let (status, created) = of(&world.post("/v1/policies", &draft).await);
    assert_eq!(status, 201, "{name}: {created}");
    let generated = template.generate(tier);
    let mut policy = created["policy"].clone();
    assert_eq!(policy["rules"], generated.rules, "{name}");
    assert_eq!(policy["allowlists"], generated.allowlists, "{name}");
    assert_eq!(policy["rateLimits"], generated.rate_limits, "{name}");
    assert_eq!(policy["stepUpApproval"], "never");
    assert_eq!(policy["securityPreset"], tier.as_str());
    let path = format!("/v1/policies/{}", policy["id"].as_str().unwrap());
    let rules = json!({"rules": policy["rules"]});
    let answer = world.put(&format!("{path}/rules"), &rules).await;
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    let answer = world.put(&path, &policy).await;
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    let mut kept = answer.json()["policy"].take();
    for policy in [&mut kept, &mut policy] {
        policy["updatedAt"] = Value::Null;
    }
    assert_eq!(kept, policy, "{name}");
}

#[tokio::test]
async fn every_template_in_every_tier_makes_a_policy_that_can_be_written_back() {
    let world = World::open().await;
    let agent = world.owner.create_agent("bot").await.unwrap().id;
    for template in Template::all() {
        let connection = world
            .connect_to(&template.service, &template.provider, &[])
            .await;
        let trip = |tier| round_trip(&world, [&agent, &connection], template, tier);
        tokio::join!(
            trip(Tier::Strict),
            trip(Tier::Standard),
            trip(Tier::Minimal)
        );
    }
}

#[tokio::test]
async fn a_policy_without_a_tier_lets_through_what_its_service_is_for() {
    let world = World::open().await;
    let slack = world.connect_to("slack", "slack", &[]).await;
    let (status, policy) = made(&world, &slack, &json!({"actionTemplateId": "slack"})).await;
    assert_eq!(status, 201);
    let lists =
        json!([{"baseUrl": "https://slack.com", "methods": ["POST"], "pathPatterns": ["/api/*"]}]);
    let policy = &policy["policy"];
    assert_eq!(policy["allowlists"], lists);
    assert_eq!(
        (
            &policy["rateLimits"],
            &policy["rules"]["request"],
            &policy["securityPreset"]
        ),
        (&Value::Null, &json!([]), &Value::Null)
    );
    let own = json!([{"baseUrl": "https://slack.com", "methods": ["POST"], "pathPatterns": ["/api/chat.postMessage"]}]);
    let (_, policy) = made(&world, &slack, &json!({"allowlists": own})).await;
    assert_eq!(policy["policy"]["allowlists"], own);
    let custom = world.connect().await;
    let (_, policy) = made(&world, &custom, &json!({})).await;
    assert_eq!(policy["policy"]["allowlists"], json!([]));
}

#[tokio::test]
async fn the_connection_chooses_the_template_that_nobody_named() {
    let world = World::open().await;
    let gmail = |key: &str| format!("https://www.googleapis.com/auth/gmail.{key}");
    let (read, modify, compose) = (&*gmail("readonly"), &*gmail("modify"), &*gmail("compose"));
    let by_service = json!({"actionTemplateId": "google-gmail", "policyTier": "standard"});
    let by_tier = json!({"policyTier": "standard"});
    let by_preset = json!({"securityPreset": "standard"});
    let notion = json!({"actionTemplateId": "notion", "policyTier": "standard"});
    for (service, scopes, how, expected) in [
        ("google-gmail", &[read][..], &by_service, "gmail-read"),
        (
            "google-gmail",
            &[modify, compose],
            &by_service,
            "gmail-manage",
        ),
        ("google-gmail", &[modify, compose], &by_tier, "gmail-read"),
        ("google-gmail", &[modify, compose], &by_preset, "gmail-read"),
        ("notion", &["read", "write"], &notion, "notion-manage"),
        ("notion", &["read", "write"], &by_tier, "notion-manage"),
        ("notion", &["read"], &by_tier, "notion-read"),
    ] {
        let connection = world.connect_to(service, "x", scopes).await;
        let (status, policy) = made(&world, &connection, how).await;
        assert_eq!(status, 201, "{policy}");
        let template = Template::find(expected).unwrap();
        let rules = template.generate(Tier::Standard).rules;
        assert_eq!(policy["policy"]["rules"], rules, "{service} {how}");
        let seen = world.get("/v1/connections").await.json();
        let seen = seen["connections"].as_array().unwrap().iter();
        let mut seen = seen.filter(|c| c["id"] == *connection);
        let policy = &seen.next().unwrap()["policies"][0];
        assert_eq!(policy["actionTemplateId"], expected);
    }
}

#[tokio::test]
async fn what_no_template_can_make_is_refused() {
    let world = World::open().await;
    let slack = world.connect_to("slack", "slack", &[]).await;
    let gmail = world.connect_to("google-gmail", "google", &[]).await;
    let custom = world.connect().await;
    let tier = |template: &str| json!({"actionTemplateId": template, "policyTier": "strict"});
    for (connection, how, expected) in [
        (&slack, tier("nothing"), "Unknown action template: nothing"),
        (
            &slack,
            tier("gmail-read"),
            "Service mismatch: the action template is for \"google-gmail\" but connection uses \"slack\"",
        ),
        (&slack, tier("anthropic-messages"), "Service mismatch"),
        (
            &gmail,
            tier("google-gmail"),
            "Unknown action template: google-gmail",
        ),
        (
            &custom,
            json!({"policyTier": "strict"}),
            "No action template for the service custom-http",
        ),
        (
            &custom,
            json!({"securityPreset": "strict"}),
            "No action template for the service custom-http",
        ),
        (
            &slack,
            json!({"policyTier": "strict", "securityPreset": "minimal"}),
            "body/securityPreset must be the same",
        ),
        (
            &slack,
            json!({"policyTier": "lax"}),
            "body/policyTier must be equal to one of",
        ),
        (
            &slack,
            json!({"policyTier": "strict", "allowlists": []}),
            "body/allowlists must not be given with a tier",
        ),
        (
            &slack,
            json!({"allowedModels": ["A"], "actionTemplateId": "x", "policyTier": "strict"}),
            "Model A is not supported for",
        ),
    ] {
        let (status, answer) = made(&world, connection, &how).await;
        let told = answer["error"].as_str().unwrap_or_default();
        assert!(
            status == 400 && told.starts_with(expected),
            "{how}: {answer}"
        );
    }
    assert_eq!(
        world.get("/v1/policies").await.json()["policies"],
        json!([])
    );
}

#[tokio::test]
async fn a_preset_changes_the_rules_or_is_refused() {
    let world = World::open().await;
    let slack = world.connect_to("slack", "slack", &[]).await;
    let tier = json!({"actionTemplateId": "slack", "policyTier": "minimal"});
    let (_, policy) = made(&world, &slack, &tier).await;
    let path = format!("/v1/policies/{}", policy["policy"]["id"].as_str().unwrap());
    // As the wizard sends it.
    let wizard = json!({"allowedModels": ["B"], "defaultMode": "read_write",
                        "stepUpApproval": "always", "securityPreset": "strict"});
    let changed = world.put(&path, &wizard).await.json()["policy"].clone();
    let strict = Template::find("slack").unwrap().generate(Tier::Strict);
    assert_eq!(changed["rules"], strict.rules);
    assert_eq!(changed["rateLimits"], strict.rate_limits);
    assert_eq!(
        (&changed["defaultMode"], &changed["stepUpApproval"]),
        (&json!("custom"), &json!("never"))
    );
    let own = json!({"securityPreset": "minimal", "rules": {"request": [], "response": []}});
    let refused = world.put(&path, &own).await;
    assert_eq!(refused.status, 400, "{}", refused.text());

    let (_, plain) = made(&world, &slack, &json!({})).await;
    let path = format!("/v1/policies/{}", plain["policy"]["id"].as_str().unwrap());
    let refused = world.put(&path, &wizard).await;
    assert_eq!(
        error(&refused),
        "This policy was not made from an action template"
    );
    assert!(
        refused.contains("Send actionTemplateId"),
        "{}",
        refused.text()
    );
    let kept = world
        .put(&path, &json!({"defaultMode": "custom"}))
        .await
        .json();
    assert_eq!(
        (
            &kept["policy"]["securityPreset"],
            &kept["policy"]["defaultMode"]
        ),
        (&Value::Null, &json!("custom"))
    );
    let adopted = json!({"securityPreset": "strict", "actionTemplateId": "slack"});
    let adopted = world.put(&path, &adopted).await.json();
    assert_eq!(adopted["policy"]["rules"], strict.rules);
    let foreign = json!({"securityPreset": "strict", "actionTemplateId": "notion-read"});
    assert!(error(&world.put(&path, &foreign).await).starts_with("Service mismatch"));
}
