//! Redeeming: at most once, for the very request, under the policy of the day.

use std::collections::HashMap;

use serde_json::json;
use tokio::task::JoinSet;

use crate::asking::{Asking, asked, error};

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_redemptions_at_three_replicas_one_is_sent() {
    let asking = Asking::open().await;
    let body = json!({"amount": 1});
    let id = asking.ask(&asking.path, &body).await;
    asking.decide(&id, "approve").await;
    let mut tasks = JoinSet::new();
    for turn in 0..100 {
        let plane = asking.world.planes[turn % 3].clone();
        let call = asking.again(&asking.path, &body, &id, &json!({}));
        tasks.spawn(async move { plane.send(call).await.unwrap().status.as_u16() });
    }
    let mut answers: HashMap<u16, usize> = HashMap::new();
    while let Some(status) = tasks.join_next().await {
        *answers.entry(status.unwrap()).or_default() += 1;
    }
    assert_eq!(answers.get(&200), Some(&1), "{answers:?}");
    assert_eq!(asking.world.seen(&asking.path).await.len(), 1);
    asking
        .world
        .until(|| async { asking.status(&id).await == ("consumed".into(), "executed".into()) })
        .await;
    let again = asking.redeem(&asking.path, &body, &id).await;
    assert_eq!(
        error(&again),
        (409, "Approval request is consumed, not approved".into())
    );
}

#[tokio::test]
async fn an_approval_is_good_for_nothing_but_the_very_request() {
    let asking = Asking::open().await;
    let body = json!({"amount": 1, "to": ["a", "b"]});
    let query = &format!("{}?x=1", asking.path);
    let id = asking.ask(query, &body).await;
    asking.decide(&id, "approve").await;
    let payload = "Request payload does not match the approved request";
    let other = "Approval does not match this request";
    for (changes, expected) in [
        (json!({"body": {"amount": 2, "to": ["a", "b"]}}), payload),
        (json!({"body": {"amount": 1, "to": ["b", "a"]}}), payload),
        (json!({"body": null}), payload),
        (json!({"query": {"x": "2"}}), payload),
        (json!({"query": {"y": "2"}}), payload),
        (json!({"headers": {"If-Match": "x"}}), payload),
        (json!({"headers": {"Content-Type": "text/plain"}}), payload),
        (json!({"method": "PUT"}), other),
        (
            json!({"url": asking.world.url("/v2/echo/other?x=1")}),
            other,
        ),
        (
            json!({"bypassPiiRedaction": true}),
            "Approval does not authorize PII bypass",
        ),
    ] {
        let answer = asking
            .world
            .send(asking.again(query, &body, &id, &changes))
            .await;
        assert_eq!(error(&answer), (403, expected.into()), "{changes}");
    }
    // A header of ours relaxes nothing.
    let changed = json!({"body": {"amount": 999}});
    let call = asking.again(query, &body, &id, &changed);
    let call = call.header("x-ah5-session-key", "zz");
    assert_eq!(error(&asking.world.send(call).await), (403, payload.into()));
    assert!(asking.world.seen(&asking.path).await.is_empty());
    // The other form of the same call, its members in another order, is the same.
    let proxied = asking.proxied("?x=1");
    let proxied = proxied
        .header("content-type", "application/json")
        .header("x-ah5-approval-id", &*id)
        .header("user-agent", "another")
        .body(r#"{ "to": ["a","b"], "amount": 1 }"#);
    let answer = asking.world.send(proxied).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(asking.world.seen(&asking.path).await.len(), 1);
}

#[tokio::test]
async fn a_rule_made_later_denies_and_leaves_the_approval_as_it_is() {
    let asking = Asking::open().await;
    let body = json!({"amount": 1});
    let id = asking.ask(&asking.path, &body).await;
    asking.decide(&id, "approve").await;
    asking
        .rules(&json!([{"label": "No", "match": {}, "action": "deny"}]))
        .await;
    let refused = asking.redeem(&asking.path, &body, &id).await;
    assert_eq!(
        error(&refused),
        (403, "Request denied by policy rule".into())
    );
    assert_eq!(asking.status(&id).await.0, "approved");
    // Nor does it say that the call needs no person any more.
    asking.rules(&json!([])).await;
    assert_eq!(asking.redeem(&asking.path, &body, &id).await.status, 200);
    assert_eq!(asking.world.seen(&asking.path).await.len(), 1);
}

#[tokio::test]
async fn only_an_approved_one_in_its_time_is_redeemed() {
    let asking = Asking::open().await;
    let body = json!({"n": 1});
    let id = asking.ask(&asking.path, &body).await;
    let pending = asking.redeem(&asking.path, &body, &id).await;
    assert_eq!(
        error(&pending),
        (409, "Approval request is pending, not approved".into())
    );
    asking.decide(&id, "deny").await;
    let denied = asking.redeem(&asking.path, &body, &id).await;
    assert_eq!(
        error(&denied),
        (409, "Approval request is denied, not approved".into())
    );
    // Its time is the database's.
    let late = asking.ask(&asking.path, &body).await;
    asking.decide(&late, "approve").await;
    let over = "update ah5.t_approval_requests set expires_at = now() where id";
    asking.world.sql(&format!("{over} = '{late}'")).await;
    let expired = asking.redeem(&asking.path, &body, &late).await;
    assert_eq!(
        error(&expired),
        (410, "Approval request has expired".into())
    );
    // It is not this agent's, or there is none.
    let other = asking.world.owner.create_agent("other").await.unwrap();
    let foreign = asking.ask(&asking.path, &json!({"n": 2})).await;
    asking.decide(&foreign, "approve").await;
    let moved = "update ah5.t_approval_requests set agent_id";
    let moved = format!("{moved} = '{}' where id = '{foreign}'", other.id);
    asking.world.sql(&moved).await;
    let unknown = asking
        .redeem(&asking.path, &json!({"n": 2}), &foreign)
        .await;
    assert_eq!(error(&unknown), (404, "Approval request not found".into()));
    let proxied = asking.proxied("");
    let proxied = asking
        .world
        .send(proxied.header("x-ah5-approval-id", "x"))
        .await;
    assert_eq!(proxied.status, 400);
    assert!(asking.world.seen(&asking.path).await.is_empty());
}

#[tokio::test]
async fn the_same_question_is_asked_once_and_not_too_many_at_a_time() {
    let asking = Asking::open().await;
    let first = asking.ask(&asking.path, &json!({"n": 0, "m": 0})).await;
    assert_eq!(
        asking.ask(&asking.path, &json!({"m": 0, "n": 0})).await,
        first
    );
    // At the other replica too, in the other form of call.
    let proxied = asking.proxied("");
    let proxied = proxied.json(&json!({"n": 0, "m": 0}));
    let answer = asking.world.planes[1].send(proxied).await.unwrap();
    assert_eq!(asked(&answer), first);
    for n in 1..20 {
        assert_ne!(asking.ask(&asking.path, &json!({"n": n})).await, first);
    }
    let refused = asking
        .world
        .send(asking.post(&asking.path, &json!({"n": 20})))
        .await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(
        asking.ask(&asking.path, &json!({"n": 0, "m": 0})).await,
        first
    );
    // Whatever is decided makes room.
    asking.decide(&first, "deny").await;
    assert_ne!(
        asking.ask(&asking.path, &json!({"n": 0, "m": 0})).await,
        first
    );
    let rows = asking.world.audit("approval_requested", 24).await;
    let repeated = rows
        .iter()
        .filter(|row| row["metadata"]["repeated"] == true);
    assert_eq!(repeated.count(), 3);
}

#[tokio::test]
async fn a_claim_that_is_never_heard_of_again_has_an_unknown_outcome() {
    let asking = Asking::open().await;
    let body = json!({"n": 1});
    let id = asking.ask(&asking.path, &body).await;
    asking.decide(&id, "approve").await;
    let claimed = "update ah5.t_approval_requests set status = 'executing', claim_id = id, \
                   boot_id = id, claimed_at = now()";
    asking
        .world
        .sql(&format!("{claimed} where id = '{id}'"))
        .await;
    assert_eq!(
        asking.status(&id).await,
        ("consumed".into(), "executing".into())
    );
    let aged = "update ah5.t_approval_requests set claimed_at = now() - interval '6 minutes'";
    asking.world.sql(&format!("{aged} where id = '{id}'")).await;
    asking
        .world
        .until(|| async { asking.status(&id).await == ("consumed".into(), "unknown".into()) })
        .await;
    let again = asking.redeem(&asking.path, &body, &id).await;
    assert_eq!(
        error(&again),
        (409, "Approval request is consumed, not approved".into())
    );
    assert!(asking.world.seen(&asking.path).await.is_empty());
}
