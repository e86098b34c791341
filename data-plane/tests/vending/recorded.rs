//! A policy that wants it on record before a token leaves.

use std::sync::Arc;

use serde_json::json;

use crate::fixture::{Gmail, TOKEN, said};
use crate::support;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_cannot_be_recorded_as_it_must_be_stays_here() {
    // A second row does not fit into this spool: it goes to the database directly, while that takes it.
    let builder = support::two_planes()
        .data_planes(1)
        .env("SPOOL_MAX_BYTES", "1")
        .env("MAX_STALENESS_MS", "60000");
    let mut gmail = Gmail::at(Arc::new(builder.start().unwrap()), Some(1800)).await;
    gmail.allow(&json!({"modelA": true})).await;
    let policy = json!({"audit": "required", "rateLimits": {"maxRequestsPerHour": 1}});
    gmail.policy(&policy).await.expect(201).unwrap();
    gmail.settled().await;

    // Everything else is to be had: only the trail takes nothing.
    let mut other = gmail.world.database().await;
    let held = other.transaction().await.unwrap();
    let lock = "lock table ah5.l_audit_events in share mode";
    held.batch_execute(lock).await.unwrap();
    // The disk is full by then, as this row can't leave it.
    gmail.world.get("/nothing").await.expect(403).unwrap();
    let refused = gmail.ask().await;
    let error = "The call cannot be recorded, which its policy demands";
    let (status, text, _) = said(&refused);
    assert_eq!((status, &*text), (503, error), "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    assert!(!refused.contains(TOKEN));
    held.rollback().await.unwrap();

    // It took nothing of the hour.
    let given = gmail.ask_for_one().await;
    assert_eq!(given["accessToken"], TOKEN);
    let id = given["auditId"].as_str().unwrap();
    let stored = format!("select count(*) from ah5.l_audit_events where audit_id = '{id}'");
    let world = &gmail.world;
    world
        .until(|| async { world.number(&stored).await == 1 })
        .await;
    assert_eq!(gmail.ask().await.status, 429);
    told_apart(&gmail, refused.json()["auditId"].as_str().unwrap()).await;

    let stack = Arc::get_mut(&mut gmail.world.stack).unwrap();
    stack.stop_postgres().unwrap();
    let refused = gmail.ask().await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(!refused.contains(TOKEN));
}

/// The row that was waited for in vain may be stored after all. That of the refusal is another and
/// names it.
async fn told_apart(gmail: &Gmail, refusal: &str) {
    let world = &gmail.world;
    let rows = async |action: &str, id: &str| {
        let mut rows = world.audit(action, 1).await;
        rows.retain(|row| row["auditId"] == *id);
        rows
    };
    world
        .until(|| async { rows("execution_denied", refusal).await.len() == 1 })
        .await;
    let denied = rows("execution_denied", refusal).await.remove(0);
    let before = denied["metadata"]["intentId"].as_str().unwrap();
    assert_eq!(rows("token_vended", before).await.len(), 1, "{denied}");
    let lost = "select count(*) from ah5.t_audit_quarantine";
    assert_eq!(world.number(lost).await, 0);
}
