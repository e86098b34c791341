//! What may pass: the account stays healthy, and its last good token is used while it lasts.

use std::time::Duration;

use ah5_testkit::simulator::{Gate, Trouble};
use tokio::time::Instant;

use crate::fixture::{Fixture, until};

#[tokio::test]
async fn what_may_pass_breaks_no_account() {
    let fixture = Fixture::open(1).await;
    for trouble in [
        Trouble::Status(500, None),
        Trouble::Status(429, Some(2)),
        Trouble::Malformed,
        Trouble::Reset,
        Trouble::Error("invalid_client"),
        Trouble::Error("server_error"),
    ] {
        let what = format!("{trouble:?}");
        let account = fixture.account(3600).await;
        let before = fixture.endpoint.counts().requests;
        fixture.endpoint.trouble([trouble]);
        fixture.expire(&account).await;
        for _ in 0..3 {
            let put_off = fixture.read(&account).await;
            if fixture.endpoint.counts().requests > before + 1 {
                // The pause was over: the second attempt went well.
                break;
            }
            assert_eq!(put_off.status, 503, "{what}: {}", put_off.text());
            assert!(put_off.headers.contains_key("retry-after"), "{what}");
            let state = fixture.state(&account.id).await;
            assert_eq!((&*state.status, state.version), ("healthy", 1), "{what}");
        }
        fixture.end_pause(&account.id).await;
        until(|| async { fixture.read(&account).await.status == 200 }).await;
        let state = fixture.state(&account.id).await;
        assert_eq!((&*state.status, state.version), ("healthy", 2), "{what}");
    }
    assert!(fixture.notices().await.is_empty());
}

#[tokio::test]
async fn while_the_old_token_is_good_no_call_waits_for_a_provider_that_hangs() {
    let fixture = Fixture::open(1).await;
    let account = fixture.account(3600).await;
    fixture.endpoint.gate(Gate::Before);
    let sql = "update ah5.t_connection_credentials
               set expires_at = now() + interval '50 seconds', updated_at = now() - interval '1 hour'";
    fixture.sql(sql).await;
    fixture.settled().await;
    let began = Instant::now();
    let answer = fixture.read(&account).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        began.elapsed() < Duration::from_secs(9),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(fixture.endpoint.counts().refreshed, 0);
    // The attempt is given up, and the next one goes well.
    until(|| async { fixture.endpoint.counts().under_way == 0 }).await;
    fixture.endpoint.gate(Gate::Open);
    until(|| async { fixture.state(&account.id).await.version == 2 }).await;
    assert_eq!(fixture.endpoint.counts().most_under_way, 1);
}
