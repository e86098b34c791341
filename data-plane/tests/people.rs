//! People's access tokens at the data plane: they act as an agent that the request names.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;

use ah5_testkit::client::{Answer, Call};
use serde_json::{Value, json};
use support::World;

struct Token {
    id: String,
    text: String,
}

async fn token(world: &World, scopes: &[&str]) -> Token {
    let body = json!({"name": "t", "scopes": scopes});
    let made = world.owner.post("/v1/tokens", &body).await.unwrap();
    let made = made.expect(200).unwrap();
    let text = |at: &str| made.pointer(at).unwrap().as_str().unwrap().to_owned();
    Token {
        id: text("/token/id"),
        text: text("/plainToken"),
    }
}

async fn call_at(world: &World, plane: usize, token: &str) -> Answer {
    let path = format!("/v1/proxy/{}/v2/echo", world.connection);
    let call = Call::get(path).header("x-api-key", token);
    let call = call.header("x-ah5-agent-id", &*world.agent.id);
    world.planes[plane].send(call).await.unwrap()
}

fn error(answer: &Answer) -> Value {
    answer.json()["error"].clone()
}

#[tokio::test]
async fn a_new_token_is_good_on_every_replica() {
    let world = World::open().await;
    let token = token(&world, &["vault:execute"]).await;
    for plane in 0..world.planes.len() {
        // One look settles it; a replica that is too busy for that has heard of it soon after.
        world
            .until(|| async { call_at(&world, plane, &token.text).await.status == 200 })
            .await;
    }
    // The agent has rows of its own, from when the policy was waited for.
    world
        .until(|| async {
            let rows = world.audit("execution_completed", 1).await;
            let by_person = |row: &Value| !row["actor"].as_str().unwrap().starts_with("agent:");
            rows.iter().any(by_person)
        })
        .await;
    // It is the gateway's to see and nobody else's.
    let seen = world.seen("/v2/echo").await;
    assert!(
        seen.iter()
            .all(|entry| !format!("{entry:?}").contains(&token.text))
    );
}

#[tokio::test]
async fn a_token_needs_its_scope_an_agent_to_act_as_and_an_admins_role() {
    let world = World::open().await;
    let reads = token(&world, &["*"]).await;
    let refused = call_at(&world, 0, &reads.text).await;
    assert_eq!(refused.status, 403);
    assert_eq!(error(&refused), "Missing required scope: vault:execute");

    let token = token(&world, &["vault:execute"]).await;
    let path = format!("/v1/proxy/{}/v2/echo", world.connection);
    let nobody = Call::get(path).header("x-api-key", &token.text);
    assert_eq!(world.send(nobody).await.status, 400);

    let role = "update ah5.t_workspace_members set role = 'approver' where user_id =
                (select id from ah5.t_users where email";
    world
        .sql(&format!("{role} = '{}')", world.owner.email))
        .await;
    world
        .until(|| async { call_at(&world, 0, &token.text).await.status == 403 })
        .await;
}

#[tokio::test]
async fn a_revoked_overdue_or_made_up_token_is_no_credential() {
    let world = World::open().await;
    let (revoked, overdue) = (
        token(&world, &["vault:execute"]).await,
        token(&world, &["vault:execute"]).await,
    );
    assert_eq!(call_at(&world, 0, &revoked.text).await.status, 200);
    let path = format!("/v1/tokens/{}", revoked.id);
    assert_eq!(world.owner.delete(&path).await.unwrap().status, 200);
    world
        .until(|| async { call_at(&world, 0, &revoked.text).await.status == 401 })
        .await;
    let past = "update ah5.t_personal_tokens set expires_at = now() where id";
    world.sql(&format!("{past} = '{}'", overdue.id)).await;
    world
        .until(|| async { call_at(&world, 0, &overdue.text).await.status == 401 })
        .await;
    let mut other = overdue.text.clone();
    let last = if other.pop() == Some('A') { 'B' } else { 'A' };
    other.push(last);
    for made_up in [&*other, "ah5p_", "ah5p_short"] {
        let refused = call_at(&world, 0, made_up).await;
        assert_eq!(refused.status, 401);
        assert_eq!(error(&refused), "Invalid or expired API key");
    }
}

/// A sender is whom the front door saw, whatever the caller wrote before that.
#[tokio::test]
async fn who_guesses_tokens_is_soon_not_heard_whomever_they_name() {
    let builder = support::two_planes().data_planes(1);
    let builder = builder.env("RATE_LIMIT_FAILED_AUTH_PER_MINUTE", "3");
    let world = World::closed(Arc::new(builder.start().unwrap())).await;
    let guess = async |number: usize, sender: &str| {
        let call = Call::get("/v1/proxy/x").header("x-api-key", format!("ah5p_guess{number}"));
        let forwarded = format!("127.0.0.1, 10.0.0.{number}, {sender}");
        let call = call.header("x-forwarded-for", forwarded);
        world.send(call).await.status.as_u16()
    };
    let mut guesses = 0;
    while guess(guesses, "192.0.2.3").await == 401 {
        guesses += 1;
        // The minute may end in between.
        assert!(guesses < 9);
    }
    assert_eq!(guess(guesses, "192.0.2.3").await, 429);
    // Nobody else pays for it, and what has proved good passes.
    assert_eq!(guess(0, "192.0.2.4").await, 401);
    let known = world
        .agent
        .proxy(&world.connection, http::Method::GET, "/x");
    let known = known.header("x-forwarded-for", "192.0.2.4");
    assert_eq!(world.send(known).await.status, 403);
}
