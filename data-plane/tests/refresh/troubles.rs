//! What may pass: the account stays healthy, and its last good token is used while it lasts.

use std::time::Duration;

use ah5_testkit::client::{Call, Http};
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

/// In whichever process.
async fn counted(fixture: &Fixture, outcome: &str) -> u64 {
    let stack = &fixture.stack;
    let name = format!("ah5_token_refreshes_total{{outcome=\"{outcome}\"}} ");
    let mut sum = 0;
    for plane in stack.data_planes().chain([stack.control_plane()]) {
        let admin = Http::new(format!("http://{}", plane.admin.unwrap()));
        let shown = admin.send(Call::get("/metrics")).await.unwrap().text();
        let mut lines = shown.lines();
        let value = lines.find_map(|line| line.strip_prefix(&*name));
        sum += value.map_or(0, |value| value.parse().unwrap());
    }
    sum
}

#[tokio::test]
async fn operators_see_what_becomes_of_refreshes() {
    let fixture = Fixture::open(1).await;
    let good = fixture.account(3600).await;
    fixture.expire(&good).await;
    assert_eq!(fixture.read(&good).await.status, 200);
    let ended = fixture.account(3600).await;
    fixture.endpoint.end(&ended.first.refresh);
    fixture.expire(&ended).await;
    assert_eq!(fixture.read(&ended).await.status, 409);
    let unlucky = fixture.account(3600).await;
    fixture.endpoint.trouble([Trouble::Status(500, None)]);
    fixture.expire(&unlucky).await;
    assert_eq!(fixture.read(&unlucky).await.status, 503);
    for outcome in ["refreshed", "refused", "failed"] {
        assert_eq!(counted(&fixture, outcome).await, 1, "{outcome}");
    }
}
