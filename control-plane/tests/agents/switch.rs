//! The kill switch.

use ah5_testkit::client::{Agent, Http};
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::JoinSet;

use crate::status;
use crate::support::{self, World, error, of};

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
async fn whoever_disables_an_agent_is_told_how_many_tokens_that_ended() {
    let world = World::open().await;
    let mut agent = world.agent().await;
    agent.renew().await.unwrap();
    agent.renew().await.unwrap();
    // One that ran out by itself is not ended by anybody.
    world
        .sql(&format!(
            "update ah5.l_agent_tokens set expires_at = now() - interval '1 second' where token_id =
                (select token_id from ah5.l_agent_tokens where agent_id = '{}' limit 1)",
            agent.id
        ))
        .await;
    let turn = async |way: &str| {
        let path = format!("/v1/agents/{}/{way}", agent.id);
        of(&world.post(&path, &json!(null)).await)
    };
    let done = |tokens| {
        json!({
            "success": true, "tokensRevoked": tokens, "streamsEnded": 0, "vendedTokens": [],
        })
    };
    assert_eq!(turn("disable").await, (200, done(2)));
    let trail = world.audit("action=agent_disabled").await;
    assert_eq!(trail[0]["metadata"]["tokensRevoked"], 2);
    assert_eq!(turn("enable").await.0, 200);
    assert_eq!(turn("disable").await, (200, done(0)));
    assert_eq!(turn("enable").await.0, 200);
    agent.renew().await.unwrap();
    let path = format!("/v1/agents/{}/disable", agent.id);
    assert_eq!(of(&world.post(&path, &json!(null)).await), (200, done(1)));
}

/// Asks for a token at one of the replicas.
async fn ask(replica: Http, request: Value) -> Result<String, (u16, String)> {
    let call = ah5_testkit::client::Call::post("/v1/agents/token").json(&request);
    let answer = replica.send(call).await.unwrap();
    match answer.json()["access_token"].as_str() {
        Some(token) => Ok(token.to_owned()),
        None => Err((answer.status.as_u16(), error(&answer))),
    }
}

async fn assert_dead(replicas: &[Http], tokens: &[String]) {
    for (replica, token) in replicas
        .iter()
        .flat_map(|r| tokens.iter().map(move |t| (r, t)))
    {
        let call = ah5_testkit::client::Call::get("/v1/connections").bearer(token);
        assert_eq!(replica.send(call).await.unwrap().status, 401);
    }
}

/// At both replicas at once, and meanwhile the agent is disabled at one of them. Returns the tokens
/// that were given, and what the one who disabled was told.
async fn race(
    world: &World,
    replicas: &[Http],
    agent: &Agent,
    round: usize,
) -> (Vec<String>, Value) {
    let mut asking = JoinSet::new();
    for n in 0..8 {
        let request = agent.token_request(60, &format!("{round}-{n}")).unwrap();
        asking.spawn(ask(replicas[n % 2].clone(), request));
    }
    let path = format!("/v1/agents/{}/disable", agent.id);
    let disable = ah5_testkit::client::Call::post(path).bearer(&world.owner.token);
    let disabled = replicas[round % 2].send(disable).await.unwrap();
    let mut given = Vec::new();
    for outcome in asking.join_all().await {
        match outcome {
            Ok(token) => given.push(token),
            Err(refused) => {
                let text = "Invalid agent or agent not active".to_owned();
                assert_eq!(refused, (401, text));
            }
        }
    }
    (given, disabled.expect(200).unwrap())
}

#[tokio::test]
async fn no_token_given_while_an_agent_is_disabled_elsewhere_is_good_afterwards() {
    let mut stack = support::control_plane().start().unwrap();
    let second = stack.add_control_plane().unwrap();
    let world = World::at(Arc::new(stack)).await;
    let second = Http::new(format!("http://{}", second.listen));
    let replicas = [world.http.clone(), second];
    let mut agent = world.agent().await;
    for round in 0..6 {
        let (mut given, told) = race(&world, &replicas, &agent, round).await;
        given.push(agent.token.clone());
        assert_eq!(told["tokensRevoked"], given.len(), "each one was counted");
        assert_dead(&replicas, &given).await;
        for (n, replica) in replicas.iter().enumerate() {
            let late = agent
                .token_request(60, &format!("{round}-late-{n}"))
                .unwrap();
            assert!(ask(replica.clone(), late).await.is_err());
        }
        let path = format!("/v1/agents/{}/enable", agent.id);
        world.post(&path, &json!(null)).await.expect(200).unwrap();
        assert_dead(&replicas, &given).await;
        agent.renew().await.unwrap();
        let call = agent.call(Method::GET, "/v1/connections");
        assert_eq!(replicas[1].send(call).await.unwrap().status, 200);
    }
}
