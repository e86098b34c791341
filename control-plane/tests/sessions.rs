//! People's sessions, and the wall between their workspaces.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use ah5_testkit::client::{Agent, Call};
use serde_json::json;
use support::{World, error};

#[tokio::test]
async fn signing_out_ends_the_session_and_its_tokens() {
    let world = World::open().await;
    assert_eq!(world.get("/v1/agents").await.status, 200);
    let foreign = Call::post("/api/auth/sign-out")
        .header("cookie", &world.owner.cookie)
        .header("origin", "http://evil.example");
    assert_eq!(world.send(foreign).await.status, 403);
    let as_browser = async |path| world.owner.with_cookie(path).await.unwrap();
    assert_eq!(as_browser("/api/auth/sign-out").await.status, 200);
    assert_eq!(world.get("/v1/agents").await.status, 401);
    assert_eq!(
        error(&as_browser("/api/auth/token").await),
        "Unauthorized — invalid or expired session"
    );
}

#[tokio::test]
async fn one_workspace_cannot_touch_another() {
    let mine = World::open().await;
    let theirs = mine.stranger().await;
    let made = theirs.create_agent("theirs").await.unwrap();
    let agent = Agent::ready(&mine.http, mine.stack.origin(), made)
        .await
        .unwrap();
    let bearer = json!({"kind": "bearer"});
    let connection = theirs
        .connect(support::BASE_URL, &bearer, support::SECRET)
        .await
        .unwrap();
    let read = format!("/v1/agents/{}", agent.id);
    assert_eq!(mine.get(&read).await.status, 404);
    assert_eq!(theirs.get(&read).await.unwrap().status, 200);
    let revoke = format!("/v1/connections/{connection}/revoke");
    assert_eq!(mine.post(&revoke, &json!({})).await.status, 404);
    let draft = json!({"agentId": agent.id, "connectionId": connection});
    assert_eq!(
        error(&mine.post("/v1/policies", &draft).await),
        "Agent not found in this workspace"
    );
    let trail = json!(mine.audit("").await).to_string();
    assert!(!trail.contains(&agent.id) && !trail.contains(&connection));
}
