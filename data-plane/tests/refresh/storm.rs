//! Many at once.

use ah5_testkit::simulator::Gate;

use crate::fixture::{Fixture, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_on_an_expired_token_refresh_it_once() {
    let fixture = Fixture::open(2).await;
    let account = fixture.account(3600).await;
    assert_eq!(fixture.read(&account).await.status, 200);
    // Three processes may refresh: both data planes, and the control plane ahead of time. Whoever it is
    // waits for the provider until all others wait, too.
    fixture.endpoint.gate(Gate::After);
    fixture.endpoint.end_access();
    fixture.expire(&account).await;
    let calls = (0..1000).map(|number| fixture.read_at(number % 2, &account));
    let release = async {
        until(|| async { fixture.endpoint.counts().under_way == 1 }).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        fixture.endpoint.gate(Gate::Open);
    };
    let (answers, ()) =
        futures_util::future::join(futures_util::future::join_all(calls), release).await;
    let refused = answers.iter().find(|answer| answer.status != 200);
    assert!(
        refused.is_none(),
        "{:?}",
        refused.map(|it| (it.status, it.text()))
    );
    let counts = fixture.endpoint.counts();
    assert_eq!(
        (counts.requests, counts.refreshed, counts.most_under_way),
        (1, 1, 1)
    );
    let state = fixture.state(&account.id).await;
    assert_eq!((&*state.status, state.version), ("healthy", 2));
}

#[tokio::test]
async fn grants_rotate_apart_from_each_other_for_as_long_as_they_are_used() {
    let fixture = Fixture::open(2).await;
    let (one, other) = (fixture.account(3600).await, fixture.account(3600).await);
    for round in 1..=4 {
        for account in [&one, &other] {
            fixture.expire(account).await;
            for plane in 0..2 {
                assert_eq!(fixture.read_at(plane, account).await.status, 200, "{round}");
            }
            let state = fixture.state(&account.id).await;
            assert_eq!((&*state.status, state.version), ("healthy", 1 + round));
        }
    }
    let counts = fixture.endpoint.counts();
    assert_eq!((counts.refreshed, counts.replayed), (8, 0));
}

#[tokio::test]
async fn what_expires_is_renewed_before_anybody_calls() {
    let fixture = Fixture::open(0).await;
    // A minute of an hour is left.
    let account = fixture.account(60).await;
    let sql = "update ah5.t_connection_credentials set updated_at = now() - interval '59 minutes'";
    fixture.sql(sql).await;
    until(|| async { fixture.state(&account.id).await.version == 2 }).await;
    assert_eq!(fixture.endpoint.counts().refreshed, 1);
    assert_eq!(fixture.state(&account.id).await.status, "healthy");
}
