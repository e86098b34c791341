//! The trail: a row for every change, pages, and nothing secret in it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use support::World;

#[tokio::test]
async fn every_change_leaves_a_row_and_no_secret() {
    let world = World::open().await;
    let agent = world.agent().await;
    world.connect().await;
    let trail = world.get("/v1/audit?limit=200").await;
    let events = trail.json();
    let events = events["events"].as_array().unwrap().iter();
    let actions: Vec<&str> = events.map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "connection_created",
            "agent_token_issued",
            "agent_bootstrapped",
            "agent_created",
            "user_signed_in",
            "user_signed_up"
        ]
    );
    let page = world.get("/v1/audit?limit=4").await.json();
    let cursor = page["nextCursor"].as_str().unwrap();
    let rest = world
        .get(&format!("/v1/audit?limit=4&cursor={cursor}"))
        .await;
    assert_eq!(rest.json()["events"].as_array().unwrap().len(), 2);
    let (dump, log) = (world.stack.dump().unwrap(), world.log());
    let password = &*world.owner.password;
    for secret in [support::SECRET, password, &agent.bootstrap_secret] {
        assert!(!dump.contains(secret) && !trail.contains(secret) && !log.contains(secret));
    }
}
