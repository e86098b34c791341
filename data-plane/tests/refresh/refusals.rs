//! Providers that refuse a credential although it should be good.

use ah5_testkit::simulator::{Body, Received};
use http::{Method, Response};

use crate::fixture::{Fixture, PROFILE, until};

impl Fixture {
    /// How often the provider was asked for this path.
    fn seen(&self, path: &str) -> usize {
        let journal = self.provider.journal();
        journal.iter().filter(|entry| entry.path() == path).count()
    }

    /// From now on this path has this answer, whoever asks.
    fn answers(&self, path: &str, status: u16) {
        self.provider.on(path, move |_: Received| async move {
            let mut answer = Response::new(Body::from("{}"));
            *answer.status_mut() = status.try_into().unwrap();
            answer
        });
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_the_call_sent_once_more() {
    let fixture = Fixture::open(1).await;
    let account = fixture.account(3600).await;
    assert_eq!(fixture.read(&account).await.status, 200);
    fixture.endpoint.end_access();
    let answer = fixture.read(&account).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(fixture.seen(PROFILE), 3);
    assert_eq!(fixture.endpoint.counts().refreshed, 1);
    assert_eq!(fixture.state(&account.id).await.version, 2);
    // By the installation's client, which data planes are set up with, too.
    let journal = fixture.provider.journal();
    let shown = journal
        .iter()
        .find(|entry| entry.path() == "/token")
        .unwrap();
    assert!(shown.contains("client_id=installation"));
}

#[tokio::test]
async fn what_may_do_something_twice_is_not_sent_again() {
    let fixture = Fixture::open(1).await;
    let account = fixture.account(3600).await;
    fixture.endpoint.end_access();
    let call = fixture.call(&account.id, Method::POST, PROFILE);
    let refused = fixture.planes[0].send(call).await.unwrap();
    assert_eq!(refused.status, 401, "{}", refused.text());
    // Whoever comes next finds a good token all the same.
    until(|| async { fixture.state(&account.id).await.version == 2 }).await;
    assert_eq!(fixture.seen(PROFILE), 1);
}

#[tokio::test]
async fn a_call_is_sent_twice_at_most_and_a_refusal_of_a_new_token_changes_nothing() {
    let fixture = Fixture::open(1).await;
    let account = fixture.account(3600).await;
    fixture.answers("/gmail/strange", 401);
    let read = async || {
        let call = fixture.call(&account.id, Method::GET, "/gmail/strange");
        fixture.planes[0].send(call).await.unwrap().status
    };
    assert_eq!(read().await, 401);
    assert_eq!(fixture.seen("/gmail/strange"), 2);
    fixture.settled().await;
    for _ in 0..5 {
        assert_eq!(read().await, 401);
    }
    assert_eq!(fixture.seen("/gmail/strange"), 7);
    assert_eq!(fixture.endpoint.counts().refreshed, 1);
    fixture.answers("/gmail/forbidden", 403);
    let call = fixture.call(&account.id, Method::GET, "/gmail/forbidden");
    assert_eq!(fixture.planes[0].send(call).await.unwrap().status, 403);
    let state = fixture.state(&account.id).await;
    assert_eq!((&*state.status, state.version), ("healthy", 2));
}

#[tokio::test]
async fn a_key_is_given_up_only_if_the_providers_own_probe_refuses_it() {
    let fixture = Fixture::open(1).await;
    fixture.answers("/v1/customers", 401);
    fixture.answers("/v1/balance", 200);
    let read = async |id: &str| {
        for _ in 0..5 {
            let call = fixture.call(id, Method::GET, "/v1/customers");
            assert_eq!(fixture.planes[0].send(call).await.unwrap().status, 401);
        }
    };
    let good = fixture.keyed().await;
    read(&good).await;
    until(|| async { fixture.seen("/v1/balance") == 1 }).await;
    let bad = fixture.keyed().await;
    fixture.answers("/v1/balance", 401);
    let call = fixture.call(&bad, Method::GET, "/v1/customers");
    assert_eq!(fixture.planes[0].send(call).await.unwrap().status, 401);
    until(|| async { fixture.state(&bad).await.status == "needs_reauth" }).await;
    let state = fixture.state(&bad).await;
    assert_eq!(state.reason.as_deref(), Some("credential_refused"));
    assert_eq!(fixture.state(&good).await.status, "healthy");
    assert_eq!(fixture.seen("/v1/balance"), 2);
}
