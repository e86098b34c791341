//! Policies that want a call on record before it is made.

use std::sync::Arc;

use ah5_contracts::id::AuditId;
use http::Method;
use serde_json::{Value, json};

use crate::change;
use crate::support::{self, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_must_be_recorded_and_cannot_be_is_not_made() {
    // A second row does not fit into this spool: it goes to the database directly, while there is one.
    let builder = support::two_planes()
        .data_planes(1)
        .env("SPOOL_MAX_BYTES", "1")
        .env("MAX_STALENESS_MS", "60000");
    let mut world = World::closed(Arc::new(builder.start().unwrap())).await;
    let policy = world.allow(&["GET"], "/v2/**").await;
    let (base, auth) = (world.url("/v2"), json!({"kind": "bearer"}));
    let other = world.owner.connect(&base, &auth, support::SECRET).await;
    let other = other.unwrap();
    let lists = world.allowlists(&["GET"], "/v2/**");
    let free = world.owner.allow(&world.agent.id, &other, &lists).await;
    free.unwrap();
    change(&world, &policy, &json!({"audit": "required"})).await;
    let free = world.agent.proxy(&other, Method::GET, "/count/free");
    assert_eq!(world.send(free.clone()).await.status, 200);
    let answer = world.get("/count/required").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    told_in_two_rows(&world, answer.header("x-ah5-audit-id").unwrap()).await;

    let stack = Arc::get_mut(&mut world.stack).unwrap();
    stack.stop_postgres().unwrap();
    // Whoever is content with less is served, and that row can't leave the disk.
    assert_eq!(world.send(free).await.status, 200);
    let refused = world.get("/count/required").await;
    let body = refused.expect(503).unwrap();
    let error = "The call cannot be recorded, which its policy demands";
    assert_eq!(body["error"], error, "{body}");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(world.seen("/v2/count/required").await.len(), 1);
    assert_eq!(world.seen("/v2/count/free").await.len(), 2);
}

/// The intent has a row of its own, and readers are shown no second one.
async fn told_in_two_rows(world: &World, id: &str) {
    let rows_of = |action: &'static str, name: &'static str| async move {
        let mut rows = world.audit(action, 1).await;
        let of_call = |row: &Value| row["auditId"] == id || row["metadata"][name] == id;
        rows.retain(of_call);
        rows
    };
    world
        .until(|| async { rows_of("execution_completed", "").await.len() == 1 })
        .await;
    let ended = rows_of("execution_completed", "").await.remove(0);
    let all = world.audit("execution_requested", 1).await;
    let intents = rows_of("execution_requested", "callId").await;
    assert_eq!(intents.len(), 1, "{all:?}");
    let twin = id.parse::<AuditId>().unwrap().of_intent().unwrap();
    let twin = twin.to_string();
    assert!(all.iter().all(|row| row["auditId"] != *twin), "{all:?}");
    assert_eq!(intents[0]["auditId"], ended["metadata"]["intentId"]);
    assert_eq!(intents[0]["decision"], "allowed");
    for name in ["method", "host", "policyId"] {
        let (intent, end) = (&intents[0]["metadata"][name], &ended["metadata"][name]);
        assert!(intent == end && intent.is_string(), "{intents:?} {ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_for_the_database_where_its_disk_does_not_last() {
    let builder = support::two_planes()
        .data_planes(1)
        .env("AUDIT_REQUIRED_VIA", "postgres");
    let world = World::closed(Arc::new(builder.start().unwrap())).await;
    let policy = world.allow(&["GET"], "/v2/**").await;
    change(&world, &policy, &json!({"audit": "required"})).await;
    let mut other = world.database().await;
    let held = other.transaction().await.unwrap();
    let lock = "lock table ah5.l_audit_events in share mode";
    held.batch_execute(lock).await.unwrap();
    let refused = world.get("/count/stored").await;
    let body = refused.expect(503).unwrap();
    let error = "The call cannot be recorded, which its policy demands";
    assert_eq!(body["error"], error, "{body}");
    held.rollback().await.unwrap();
    assert_eq!(world.seen("/v2/count/stored").await.len(), 0);

    // With the disk alone it would be stored some time after.
    let call = world
        .agent
        .proxy(&world.connection, Method::GET, "/slow?head=60000");
    let waiting = world.planes[0].open(call);
    let arrived = async {
        world
            .until(|| async { world.seen("/v2/slow").await.len() == 1 })
            .await;
        let stored = "select count(*) from ah5.l_audit_events
            where action = 'execution_requested' and details ? 'callId'";
        world.number(stored).await
    };
    tokio::select! {
        _ = waiting => panic!("it takes longer"),
        // Also that of the call which was not made, once the trail took it.
        rows = arrived => assert_eq!(rows, 2),
    }
}

#[tokio::test]
async fn a_call_is_on_record_before_it_is_made() {
    let world = World::closed(support::shared()).await;
    let policy = world.allow(&["GET"], "/v2/**").await;
    change(&world, &policy, &json!({"audit": "required"})).await;
    let call = world
        .agent
        .proxy(&world.connection, Method::GET, "/slow?head=60000");
    let waiting = world.planes[0].open(call);
    // Calls of before are told of by one row, that of their end.
    let recorded = world.until(|| async {
        let rows = world.audit("execution_requested", 1).await;
        let own = rows
            .iter()
            .filter(|row| row["metadata"]["callId"].is_string());
        own.count() == 1
    });
    tokio::select! {
        _ = waiting => panic!("it takes longer"),
        () = recorded => {}
    }
    let refused = json!({"audit": "sometimes"});
    let path = format!("/v1/policies/{policy}");
    let answer = world.owner.put(&path, &refused).await.unwrap();
    answer.expect(400).unwrap();
}

/// Not only what a rule denies.
#[tokio::test]
async fn whatever_stops_an_agents_call_is_on_record() {
    let world = World::open().await;
    let (base, auth) = (world.url("/v2"), json!({"kind": "bearer"}));
    let new = async || {
        world
            .owner
            .connect(&base, &auth, support::SECRET)
            .await
            .unwrap()
    };
    let (unused, revoked) = (new().await, new().await);
    world.owner.revoke(&revoked).await.unwrap();
    let none = "0191d2c0-0000-4000-8000-000000000002";
    let get = |connection: &str| world.agent.proxy(connection, Method::GET, "/echo/stopped");
    world
        .until(|| async { world.send(get(&revoked)).await.status == 409 })
        .await;
    let full = json!({
        "model": "B", "connectionId": world.connection, "method": "GET",
        "url": world.url("/v2/echo/stopped"), "requestFullFields": true,
    });
    let full = world
        .agent
        .call(Method::POST, "/v1/vault/execute")
        .json(&full);
    let mut stopped = Vec::new();
    for (call, status) in [
        (get(none), 404),
        (get(&unused), 403),
        (get(&revoked), 409),
        (
            get(&world.connection).header("x-ah5-approval-id", none),
            404,
        ),
        (full, 403),
    ] {
        let answer = world.send(call).await;
        let body = answer.expect(status).unwrap();
        stopped.push((body["auditId"].as_str().unwrap().to_owned(), status));
    }
    assert!(world.seen("/v2/echo/stopped").await.is_empty());
    world
        .until(|| async {
            let rows = world.audit("execution_denied", stopped.len()).await;
            let has = |(id, status): &(String, u16)| {
                rows.iter()
                    .any(|row| row["auditId"] == **id && row["metadata"]["status"] == *status)
            };
            stopped.iter().all(has)
        })
        .await;
}
