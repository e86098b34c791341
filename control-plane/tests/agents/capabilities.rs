//! What agents can be given, and what one has.

use ah5_testkit::client::Call;
use http::Method;
use serde_json::{Value, json};

use crate::give;
use crate::support::{World, error, of};

fn ids(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_catalogue_is_shown_to_people_and_agents_alike() {
    let world = World::open().await;
    let agent = world.agent().await;
    let path = "/v1/capabilities/services";
    let (status, shown) = of(&world.send(agent.call(Method::GET, path)).await);
    assert_eq!(status, 200);
    assert_eq!(world.get(path).await.json(), shown);
    let services = shown["services"].as_array().unwrap();
    assert_eq!(services.len(), 21);
    let actions = services.iter().map(|s| s["actions"].as_array().unwrap());
    assert_eq!(actions.map(Vec::len).sum::<usize>(), 36);
    let slack = services.iter().find(|service| service["id"] == "slack");
    let action = json!({"id": "slack", "label": "Use Slack", "requiresApproval": false,
                        "description": slack.unwrap()["actions"][0]["description"]});
    assert_eq!(
        slack.unwrap(),
        &json!({"id": "slack", "name": "Slack Bot", "provider": "slack", "icon": "💬",
                "singleton": true, "actions": [action]})
    );
    let none = json!({"available": false, "source": null});
    for provider in ["google", "microsoft", "github"] {
        assert_eq!(shown["oauthStatus"][provider], none);
    }
}

#[tokio::test]
async fn an_agent_sees_what_it_has_what_it_waits_for_and_what_is_left() {
    let world = World::open().await;
    let agent = world.agent().await;
    let me = async || {
        let answer = world
            .send(agent.call(Method::GET, "/capabilities/me"))
            .await;
        answer.expect(200).unwrap()
    };
    let before = me().await;
    assert_eq!(before["activeConnections"], json!([]));
    assert_eq!(ids(&before["availableActions"]).len(), 36);

    let notion = world.connect_to("notion", "notion", &[]).await;
    let slack = world.connect_to("slack", "slack", &[]).await;
    give(&world, &agent, &notion, "notion-read").await;
    let policy = give(&world, &agent, &slack, "slack").await;
    let ask = json!({"actionTemplateId": "gmail-read", "reason": "To read"});
    let asked = agent.call(Method::POST, "/agent-permission-requests");
    let asked = world.send(asked.json(&ask)).await.expect(201).unwrap();

    let shown = me().await;
    let active = shown["activeConnections"].as_array().unwrap();
    assert_eq!(
        active[0],
        json!({"connectionId": notion, "service": "notion", "provider": "notion",
               "status": "healthy", "credentialType": "api_key", "category": "data",
               "displayName": "Notion", "label": "Custom service",
               "actionTemplateId": "notion-read"})
    );
    assert_eq!(
        (&active[1]["service"], &active[1]["connectionId"]),
        (&json!("slack"), &json!(null))
    );
    assert_eq!(
        shown["pendingRequests"],
        json!([{"id": asked["id"], "actionTemplateId": "gmail-read", "reason": "To read",
                "requestedAt": asked["createdAt"]}])
    );
    let left = ids(&shown["availableActions"]);
    assert_eq!(left.len(), 33);
    for taken in ["notion-read", "slack", "gmail-read"] {
        assert!(!left.contains(&taken), "{taken}");
    }

    let revoked = "update ah5.t_policies set status = 'revoked' where id";
    world.sql(&format!("{revoked} = '{policy}'")).await;
    let shown = me().await;
    assert_eq!(shown["activeConnections"].as_array().map(Vec::len), Some(1));
    assert!(ids(&shown["availableActions"]).contains(&"slack"));
}

#[tokio::test]
async fn only_an_agent_asks_what_it_has() {
    let world = World::open().await;
    let refused = world.get("/v1/capabilities/me").await;
    let text = "This endpoint is only available to agents (use an agent API key)";
    assert_eq!((refused.status.as_u16(), &*error(&refused)), (403, text));
}

#[tokio::test]
async fn an_account_that_needs_a_person_is_shown_and_one_that_was_revoked_is_not() {
    let world = World::open().await;
    let agent = world.agent().await;
    let notion = world.connect_to("notion", "notion", &[]).await;
    give(&world, &agent, &notion, "notion-read").await;
    let active = async || {
        let call = agent.call(Method::GET, "/v1/capabilities/me");
        world.send(call).await.expect(200).unwrap()["activeConnections"].take()
    };
    let lost = "update ah5.t_connections set status = 'needs_reauth' where id";
    world.sql(&format!("{lost} = '{notion}'")).await;
    assert_eq!(active().await[0]["status"], "needs_reauth");
    world.owner.revoke(&notion).await.unwrap();
    assert_eq!(active().await, json!([]));
}

#[tokio::test]
async fn a_token_without_the_scope_sees_nothing() {
    let world = World::open().await;
    let token = async |scope: &str| {
        let body = json!({"name": scope, "scopes": [scope]});
        let made = world.post("/v1/tokens", &body).await.json();
        made["plainToken"].as_str().unwrap().to_owned()
    };
    let (with, without) = (token("capabilities:read").await, token("agents:read").await);
    let ask = async |path: &str, token: &str| world.send(Call::get(path).bearer(token)).await;
    let services = "/v1/capabilities/services";
    for path in [services, "/v1/capabilities/me"] {
        let refused = ask(path, &without).await;
        let text = "Missing required scope: capabilities:read";
        assert_eq!((refused.status.as_u16(), &*error(&refused)), (403, text));
    }
    assert_eq!(ask(services, &with).await.status, 200);
    assert_eq!(world.send(Call::get(services)).await.status, 401);
}
