//! Testing a stored credential: a clear answer is written down, about the credential that was shown
//! and no other.

use serde_json::{Value, json};

use crate::fixture::{Fixture, GOOD, SLOW, SLOW_WRONG, with_status};
use crate::support::error;

#[tokio::test(flavor = "multi_thread")]
async fn only_a_clear_answer_changes_what_is_known() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let id = fixture.made("openai", GOOD).await;
    let provider_says = |status: u16| {
        fixture.provider.on("/v1/models", move |_| async move {
            with_status(status, &json!({}))
        });
    };
    let status = async || fixture.shown(&id).await["status"].clone();
    for code in [429, 500, 503] {
        provider_says(code);
        let unknown = fixture.test(&id).await;
        let text = "Could not reach openai API. Please try again later.";
        assert_eq!(
            (unknown.status.as_u16(), error(&unknown)),
            (400, text.into())
        );
        assert_eq!(status().await, "healthy", "{code}");
    }
    provider_says(401);
    let refused = fixture.test(&id).await;
    let expected = json!({
        "ok": false, "error": "OpenAI API key is invalid or expired (HTTP 401).",
        "hint": "Check your key at platform.openai.com.",
    });
    assert_eq!((refused.status.as_u16(), refused.json()), (400, expected));
    assert_eq!(status().await, "needs_reauth");
    assert_eq!(fixture.test(&id).await.status, 400);
    provider_says(503);
    fixture.test(&id).await;
    assert_eq!(status().await, "needs_reauth");
    provider_says(404);
    assert_eq!(fixture.test(&id).await.status, 200);
    assert_eq!(status().await, "healthy");
    // Once each, however often it is tested.
    assert_eq!(world.audit("action=connection_needs_reauth").await.len(), 1);
    assert_eq!(world.audit("action=connection_recovered").await.len(), 1);
    let unknown = "00000000-0000-4000-8000-000000000000";
    let expected = json!({"ok": false, "error": "Connection not found"});
    let tested = fixture.test(unknown).await;
    assert_eq!((tested.status.as_u16(), tested.json()), (404, expected));
}

/// As somebody who stores a credential that its provider then takes its time with.
async fn slow(fixture: &Fixture, key: &str) -> String {
    let made = async { fixture.made("openai", key).await };
    let release = async {
        fixture.until_held(1).await;
        fixture.gate.add_permits(1);
    };
    tokio::join!(made, release).0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_answer_revives_nothing_that_was_revoked_meanwhile() {
    let fixture = Fixture::open().await;
    let id = slow(&fixture, SLOW).await;
    let needs = "update ah5.t_connections set status = 'needs_reauth' where id";
    fixture.world.sql(&format!("{needs} = '{id}'")).await;
    let revoke = async {
        fixture.until_held(2).await;
        fixture.world.owner.revoke(&id).await.unwrap();
        fixture.gate.add_permits(1);
    };
    let (tested, ()) = tokio::join!(fixture.test(&id), revoke);
    assert_eq!(tested.status, 200);
    assert_eq!(fixture.shown(&id).await, Value::Null, "it is revoked");
    let revoked = fixture.world.audit("action=connection_recovered").await;
    assert!(revoked.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_old_credential_is_not_held_against_the_new() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let id = fixture.made("openai", GOOD).await;
    // The provider comes to refuse what it took before.
    let gate = std::sync::Arc::clone(&fixture.gate);
    fixture.provider.on("/v1/models", move |received| {
        let gate = std::sync::Arc::clone(&gate);
        async move {
            let shown = received.headers["authorization"]
                .to_str()
                .unwrap()
                .to_owned();
            if shown.ends_with(GOOD) {
                gate.acquire().await.unwrap().forget();
                return with_status(401, &json!({}));
            }
            with_status(200, &json!({}))
        }
    });
    let replace = async {
        let asked = |all: &[ah5_testkit::simulator::Entry]| all.len() >= 2;
        let patience = std::time::Duration::from_secs(60);
        fixture.provider.wait_for(patience, asked).await.unwrap();
        let path = format!("/v1/connections/{id}/credentials");
        let other = json!({"apiKey": format!("{GOOD}-2")});
        world.put(&path, &other).await.expect(200).unwrap();
        fixture.gate.add_permits(1);
    };
    let (tested, ()) = tokio::join!(fixture.test(&id), replace);
    assert_eq!(tested.status, 400, "the old one was refused");
    assert_eq!(fixture.shown(&id).await["status"], "healthy");
    assert!(
        world
            .audit("action=connection_needs_reauth")
            .await
            .is_empty()
    );
    assert_eq!(SLOW_WRONG.len() - SLOW.len(), 6);
}

/// The stored token is shown as it is; one that has run out is not shown to anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_by_consent_is_tested_by_its_token() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    // Sealed for GitHub's place by the custom service, which takes any.
    let body = json!({"service": "custom-http", "apiKey": GOOD,
                      "baseUrl": "https://api.github.com/", "auth": {"kind": "bearer"}});
    let id = crate::fixture::id(&fixture.connect("api-key", &body).await);
    let becomes = "update ah5.t_connections set provider = 'github', service = 'github' where id";
    world.sql(&format!("{becomes} = '{id}'")).await;
    // What was sealed for one service opens for no other.
    assert_eq!(fixture.test(&id).await.status, 500);
    assert_eq!(fixture.provider.connections(), 0);
    let path = format!("/v1/connections/{id}/credentials");
    let refused = world.put(&path, &json!({"apiKey": GOOD})).await;
    let text = "This connection uses OAuth reauthorization instead of inline credential updates";
    assert_eq!(
        (refused.status.as_u16(), error(&refused)),
        (409, text.into())
    );
}
