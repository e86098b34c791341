//! Agents: how they enrol, get tokens, see what they were given, and lose it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use ah5_testkit::client::{Agent, Call};
use http::Method;
use serde_json::{Value, json};
use support::{World, error, of};

/// As the agent.
async fn status(world: &World, agent: &Agent, path: &str) -> u16 {
    let answer = world.send(agent.call(Method::GET, path)).await;
    answer.status.as_u16()
}

#[tokio::test]
async fn an_agent_enrols_and_sees_only_what_it_was_given() {
    let world = World::open().await;
    let agent = world.agent().await;
    let connections = || agent.call(Method::GET, "/v1/connections");
    assert_eq!(
        world.send(connections()).await.json()["connections"],
        json!([])
    );

    let connection = world.connect().await;
    let allowlists = json!([{"baseUrl": "https://api.example.com", "methods": ["GET"], "pathPatterns": ["/v2/**"]}]);
    let draft = json!({"agentId": agent.id, "connectionId": connection, "allowlists": allowlists});
    let (status, policy) = of(&world.post("/v1/policies", &draft).await);
    assert_eq!(
        (status, &policy["policy"]["allowlists"]),
        (201, &allowlists)
    );
    let seen = world.send(connections()).await;
    assert_eq!(
        seen.json()["connections"][0]["policies"][0]["agentName"],
        "bot"
    );
    assert!(!seen.contains(support::SECRET));
}

#[tokio::test]
async fn an_agent_cannot_use_what_is_its_owners() {
    let world = World::open().await;
    let agent = world.agent().await;
    let connection = world.connect().await;
    for path in [
        "/v1/agents",
        "/v1/policies",
        "/v1/audit",
        "/v1/workspaces/current",
        "/agents",
    ] {
        assert_eq!(status(&world, &agent, path).await, 403, "{path}");
    }
    let draft = json!({"agentId": agent.id, "connectionId": connection});
    let secret = format!("/v1/agents/{}/bootstrap-secret", agent.id);
    for (path, body) in [("/v1/policies", draft), (&secret, json!({}))] {
        let call = agent.call(Method::POST, path).json(&body);
        assert_eq!(world.send(call).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn disabling_an_agent_ends_its_tokens_and_issues_no_new_ones() {
    let world = World::open().await;
    let mut agent = world.agent().await;
    let disable = format!("/v1/agents/{}/disable", agent.id);
    assert_eq!(world.post(&disable, &json!({})).await.status, 200);
    assert_eq!(status(&world, &agent, "/v1/connections").await, 401);
    let request = agent.token_request(60, "a").unwrap();
    let refused = agent.ask_token(&request).await.unwrap();
    assert_eq!(
        (refused.status.as_u16(), &*error(&refused)),
        (401, "Invalid agent or agent not active")
    );
    assert_eq!(world.post(&disable, &json!({})).await.status, 409);
    let enable = format!("/v1/agents/{}/enable", agent.id);
    assert_eq!(
        world.post(&enable, &json!({})).await.json()["status"],
        "active"
    );
    assert_eq!(
        status(&world, &agent, "/v1/connections").await,
        401,
        "old tokens stay dead"
    );
    agent.renew().await.unwrap();
    assert_eq!(status(&world, &agent, "/v1/connections").await, 200);
}

#[tokio::test]
async fn an_assertion_works_once_and_only_when_young() {
    let world = World::open().await;
    let agent = world.agent().await;
    let request = |life, jti| agent.token_request(life, jti).unwrap();
    let ask = async |body: &Value| agent.ask_token(body).await.unwrap();
    let once = request(60, "once");
    assert_eq!(ask(&once).await.status, 200);
    assert_eq!(error(&ask(&once).await), "Replay detected");
    let long = ask(&request(61, "long")).await;
    assert_eq!(
        (long.status.as_u16(), &*error(&long)),
        (401, "Assertion lifetime must be 60 seconds or less")
    );
    let late = ask(&request(-10, "late")).await.text();
    assert!(late.contains("\"reason\":\"clock_skew\""), "{late}");
    let junk = json!({"client_assertion": "junk", "grant_type": "client_assertion",
                      "client_assertion_type": once["client_assertion_type"]});
    assert_eq!(error(&ask(&junk).await), "Malformed client assertion");
}

#[tokio::test]
async fn the_bootstrap_secret_is_dead_once_the_agent_works() {
    let world = World::open().await;
    let agent = world.agent().await;
    assert_eq!(agent.enrol().await.unwrap().status, 200, "before any use");
    world.sql(&format!(
        "insert into ah5.t_agent_usage select id, workspace_id, now() + interval '1 second' from ah5.t_agents where id = '{}'",
        agent.id
    )).await;
    let again = agent.enrol().await.unwrap();
    assert_eq!(
        (again.status.as_u16(), &*error(&again)),
        (401, "Invalid or expired bootstrap secret")
    );
    let mut private = agent.public_jwk();
    private["d"] = "AAAA".into();
    let secret = format!("/v1/agents/{}/bootstrap-secret", agent.id);
    let secret = world.post(&secret, &json!({})).await.json();
    let body = json!({"bootstrapSecret": secret["bootstrapSecret"], "publicKey": private});
    let answer = world
        .send(Call::post("/v1/agents/bootstrap").json(&body))
        .await;
    assert_eq!(error(&answer), "Invalid ES256 public key");
}
