//! What becomes of an approval when the call goes wrong: good again if nothing was sent, never
//! repeated if something may have been.

use std::net::TcpListener;
use std::sync::Arc;

use ah5_testkit::client::Call;
use http::Method;
use serde_json::{Value, json};

use crate::asking::{Asking, asked, error};
use crate::support::{self, SECRET, World};

/// A provider at an address of its own, every call to which is asked for.
async fn approved(world: &World, base: &str) -> (String, Call) {
    let auth = json!({"kind": "bearer"});
    let connection = world.owner.connect(base, &auth, SECRET).await.unwrap();
    let policy = json!({
        "agentId": world.agent.id, "connectionId": connection, "defaultMode": "read_write",
        "stepUpApproval": "always",
        "allowlists": [{"baseUrl": base, "methods": ["POST"], "pathPatterns": ["/**"]}],
    });
    let made = world.owner.post("/v1/policies", &policy).await.unwrap();
    made.expect(201).unwrap();
    let call = world.agent.proxy(&connection, Method::POST, "/pay");
    for plane in &world.planes {
        world
            .until(|| async { plane.send(call.clone()).await.unwrap().status == 202 })
            .await;
    }
    let id = asked(&world.send(call.clone()).await);
    let path = format!("/v1/approvals/{id}/approve");
    let decided = world.owner.post(&path, &json!({})).await.unwrap();
    decided.expect(200).unwrap();
    (id.clone(), call.header("x-ah5-approval-id", id))
}

async fn status(world: &World, id: &str) -> Value {
    let answer = world.owner.get(&format!("/v1/approvals/{id}")).await;
    let approval = answer.unwrap().expect(200).unwrap()["approval"].clone();
    json!([approval["status"], approval["outcome"]])
}

/// Two data planes to which these names are these ports.
async fn at(names: &[(&str, u16)]) -> World {
    let places = names.iter();
    let places = places.map(|(name, port)| format!("{name}:443=127.0.0.1:{port}"));
    let places = places.collect::<Vec<_>>().join(",");
    let builder = support::two_planes().env("UPSTREAM_RESOLVE", &places);
    World::closed(Arc::new(builder.start().unwrap())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_killed_between_claim_and_sending_repeats_nothing() {
    // Takes connections and never says a word: the claim is made, and nothing of the request leaves.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut world = at(&[("silent.test", port)]).await;
    let (id, call) = approved(&world, "https://silent.test").await;
    let plane = world.planes[0].clone();
    let hanging = tokio::spawn({
        let call = call.clone();
        async move { plane.send(call).await.is_err() }
    });
    let (silent, connected) = tokio::task::spawn_blocking(move || {
        let connected = silent.accept().unwrap();
        (silent, connected)
    })
    .await
    .unwrap();
    assert_eq!(status(&world, &id).await, json!(["consumed", "executing"]));
    Arc::get_mut(&mut world.stack).unwrap().kill_data_plane(0);
    assert!(hanging.await.unwrap());
    drop(connected);
    let taken = world.planes[1].send(call.clone()).await.unwrap();
    let consumed = "Approval request is consumed, not approved";
    assert_eq!(error(&taken), (409, consumed.into()));
    let aged = "update ah5.t_approval_requests set claimed_at = now() - interval '6 minutes'";
    world.sql(&format!("{aged} where id = '{id}'")).await;
    world
        .until(|| async { status(&world, &id).await == json!(["consumed", "unknown"]) })
        .await;
    let taken = world.planes[1].send(call).await.unwrap();
    assert_eq!(error(&taken), (409, consumed.into()));
    // Nobody has tried to connect again.
    silent.set_nonblocking(true).unwrap();
    assert!(silent.accept().is_err());
    let trail = world
        .owner
        .audit("action=execution_completed")
        .await
        .unwrap();
    let told = |row: &&Value| row["metadata"]["outcome"] == "unknown";
    assert_eq!(trail.iter().filter(told).count(), 1, "{trail:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_good_again_if_nothing_was_sent() {
    // Nobody listens any more.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let world = at(&[("gone.test", port)]).await;
    let (id, call) = approved(&world, "https://gone.test").await;
    for _ in 0..2 {
        let failed = world.send(call.clone()).await;
        assert_eq!(error(&failed), (502, "Provider request failed".into()));
        assert_eq!(status(&world, &id).await, json!(["approved", null]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_answer_leaves_the_outcome_unknown() {
    let asking = Asking::open().await;
    let body = json!({"n": 1});
    let path = &format!("/v2/close/{}", asking.world.agent.id);
    let id = asking.ask(path, &body).await;
    asking.decide(&id, "approve").await;
    let failed = asking.redeem(path, &body, &id).await;
    assert_eq!(error(&failed), (502, "Provider request failed".into()));
    asking
        .world
        .until(|| async { asking.status(&id).await == ("consumed".into(), "unknown".into()) })
        .await;
    let again = asking.redeem(path, &body, &id).await;
    assert_eq!(again.status, 409);
    assert_eq!(asking.world.seen(path).await.len(), 1);
}
