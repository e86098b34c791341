//! What an agent asked for ends in a connection and a policy.

use std::sync::Arc;

use ah5_testkit::client::Call;
use serde_json::{Value, json};

use crate::dialects::{Played, location};
use crate::fixture::{connection_of, parameter};
use crate::support::error;

#[tokio::test]
async fn a_request_ends_in_a_connection_and_its_policy() {
    let played = Arc::new(Played::open().await);
    let world = &played.world;
    let agent = world.agent().await;
    let asked = ask(&played, &agent).await;
    let approve = format!("/v1/agent-permission-requests/{asked}/approve");
    let body = json!({"policyTier": "strict"});
    let first = world.post(&approve, &body).await.expect(200).unwrap();
    // Begun again: only the last one leads anywhere.
    let begun = world.post(&approve, &body).await.expect(200).unwrap();
    assert_eq!(begun["credentialType"], "oauth");
    let url = begun["authorizationUrl"].as_str().unwrap();
    let scope = parameter(url, "scope").unwrap();
    assert_eq!(scope, "https://www.googleapis.com/auth/gmail.readonly");
    let old = first["authorizationUrl"].as_str().unwrap();
    let ended = played.come_back(old, "google").await;
    assert!(
        location(&ended).contains("?error=Invalid%20or%20expired"),
        "{}",
        location(&ended)
    );

    let ended = played.come_back(url, "google").await;
    let id = connection_of(location(&ended));
    let listed = world.get("/v1/connections").await.json();
    let shown = &listed["connections"][0];
    assert_eq!(shown["id"], id);
    let policy = &shown["policies"][0];
    assert!(location(&ended).contains(&format!("&policyId={}", policy["id"].as_str().unwrap())));
    assert_eq!(
        (&policy["securityPreset"], &policy["agentId"]),
        (&json!("strict"), &json!(agent.id))
    );
    let all = world
        .get("/v1/agent-permission-requests?status=all")
        .await
        .json();
    let request = &all["requests"][0];
    assert_eq!(
        (&request["status"], &request["connectionId"]),
        (&json!("approved"), &json!(id))
    );
    let resolved = world.post(&approve, &body).await;
    assert_eq!(resolved.status, 409, "{}", resolved.text());
}

#[tokio::test]
async fn where_the_policy_is_there_already_the_request_is_approved() {
    let played = Arc::new(Played::open().await);
    let world = &played.world;
    let agent = world.agent().await;
    let asked = ask(&played, &agent).await;
    let approve = format!("/v1/agent-permission-requests/{asked}/approve");
    let begun = world
        .post(&approve, &json!({"policyTier": "minimal"}))
        .await;
    let url = begun.expect(200).unwrap()["authorizationUrl"].clone();
    let old = world.connect_to("google-gmail", "google", &[]).await;
    let policy = json!({
        "agentId": agent.id, "connectionId": old, "policyTier": "strict",
        "actionTemplateId": "gmail-read",
    });
    let policy = world
        .post("/v1/policies", &policy)
        .await
        .expect(201)
        .unwrap();
    let policy = policy["policy"]["id"].as_str().unwrap().to_owned();
    let ended = played.come_back(url.as_str().unwrap(), "google").await;
    assert!(
        location(&ended).ends_with(&format!("&policyId={policy}")),
        "{}",
        location(&ended)
    );
    let policies = world.get("/v1/policies").await.json();
    assert_eq!(policies["policies"].as_array().unwrap().len(), 1);
    let all = world
        .get("/v1/agent-permission-requests?status=all")
        .await
        .json();
    assert_eq!(all["requests"][0]["status"], "approved");
}

#[tokio::test]
async fn what_was_turned_down_meanwhile_gives_the_agent_nothing() {
    let played = Arc::new(Played::open().await);
    let world = &played.world;
    let agent = world.agent().await;
    let asked = ask(&played, &agent).await;
    let approve = format!("/v1/agent-permission-requests/{asked}/approve");
    let begun = world
        .post(&approve, &json!({"policyTier": "minimal"}))
        .await;
    let url = begun.expect(200).unwrap()["authorizationUrl"].clone();
    let deny = Call::delete(format!("/v1/agent-permission-requests/{asked}"));
    let denied = world.send(deny.bearer(&world.owner.token)).await;
    assert_eq!(denied.status, 200);
    let ended = played.come_back(url.as_str().unwrap(), "google").await;
    assert!(location(&ended).contains("?error="), "{}", location(&ended));
    let policies = world.get("/v1/policies").await.json();
    assert_eq!(policies["policies"], json!([]));
}

#[tokio::test]
async fn a_request_is_not_approved_for_model_a() {
    let played = Arc::new(Played::open().await);
    let asked = ask(&played, &played.world.agent().await).await;
    let approve = format!("/v1/agent-permission-requests/{asked}/approve");
    let refused = played
        .world
        .post(&approve, &json!({"allowedModels": ["A", "B"]}))
        .await;
    assert_eq!(
        error(&refused),
        "A template's policy hands out no tokens (Model A). Allowed: B"
    );
}

async fn ask(played: &Played, agent: &ah5_testkit::client::Agent) -> String {
    let want = json!({"actionTemplateId": "gmail-read", "reason": "to read"});
    let want = Call::post("/v1/agent-permission-requests").json(&want);
    let asked: Value = played
        .world
        .send(want.bearer(&agent.token))
        .await
        .expect(201)
        .unwrap();
    asked["id"].as_str().unwrap().to_owned()
}
