//! Grants that end: at the provider, or here.

use ah5_testkit::simulator::{Gate, Trouble};
use futures_util::future::{join, join_all};
use serde_json::json;

use crate::fixture::{Fixture, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_the_provider_has_ended_needs_a_person_who_is_told_once() {
    let fixture = Fixture::open(2).await;
    let account = fixture.account(3600).await;
    fixture.endpoint.end(&account.first.refresh);
    fixture.expire(&account).await;
    let calls = (0..40).map(|number| fixture.read_at(number % 2, &account));
    for refused in join_all(calls).await {
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(refused.contains("Connection requires reauthentication"));
    }
    assert_eq!(fixture.endpoint.counts().requests, 1);
    let state = fixture.state(&account.id).await;
    assert_eq!(state.status, "needs_reauth");
    assert_eq!(state.reason.as_deref(), Some("invalid_grant"));
    let event = fixture.audited("connection_needs_reauth").await;
    assert!(event.to_string().contains("invalid_grant"), "{event}");
    until(|| async { !fixture.notices().await.is_empty() }).await;
    let notices = fixture.notices().await;
    assert_eq!(notices.len(), 1);
    let text = notices[0].to_string();
    assert!(
        text.contains("Mail of Ann") && !text.contains("planted"),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_revoked_during_a_refresh_stays_revoked_and_is_taken_back_at_the_provider() {
    let fixture = Fixture::open(1).await;
    let account = fixture.account(3600).await;
    fixture.endpoint.gate(Gate::After);
    fixture.expire(&account).await;
    let call = fixture.read(&account);
    let revoke = async {
        until(|| async { fixture.endpoint.counts().refreshed == 1 }).await;
        let path = format!("/v1/connections/{}/revoke", account.id);
        let revoked = fixture.owner.post(&path, &json!({})).await.unwrap();
        revoked.expect(200).unwrap();
        fixture.endpoint.gate(Gate::Open);
    };
    let (refused, ()) = join(call, revoke).await;
    assert!(
        [403, 409].contains(&refused.status.as_u16()),
        "{}",
        refused.text()
    );
    // Both what the connection had then and what came too late.
    until(|| async { fixture.endpoint.counts().revoked == 2 }).await;
    assert!(fixture.endpoint.has_ended(&account.first.refresh));
    let state = fixture.state(&account.id).await;
    assert_eq!((&*state.status, state.version), ("revoked", 0));
    let kept = "select count(*) from ah5.t_revocations where sealed is not null";
    until(|| async { fixture.number(kept).await == 0 }).await;
    let event = fixture.audited("connection_revoked_upstream").await;
    assert!(event.to_string().contains("revoked"), "{event}");
}

#[tokio::test]
async fn a_provider_that_does_not_take_a_revocation_is_asked_again() {
    let fixture = Fixture::open(0).await;
    let account = fixture.account(3600).await;
    fixture
        .endpoint
        .trouble_revoking([Trouble::Status(503, None), Trouble::Reset]);
    let path = format!("/v1/connections/{}/revoke", account.id);
    fixture
        .owner
        .post(&path, &json!({}))
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    for requests in 1..=3 {
        until(|| async { fixture.endpoint.counts().revoked == requests }).await;
        let sql = "update ah5.t_revocations set next_attempt_at = now() where attempts";
        let waits = format!(
            "select count(*) from ah5.t_revocations where attempts = {requests}
            and (result is not null or next_attempt_at < now() + interval '30 seconds')"
        );
        until(|| async { fixture.number(&waits).await == 1 }).await;
        fixture
            .sql(&format!("{sql} = {requests} and result is null"))
            .await;
    }
    assert!(fixture.endpoint.has_ended(&account.first.refresh));
    let event = fixture.audited("connection_revoked_upstream").await;
    assert!(event.to_string().contains("\"revoked\""), "{event}");
}
