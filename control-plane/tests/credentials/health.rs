//! Testing a stored credential: a clear answer is written down, about the credential that was shown
//! and no other.

use std::time::Duration;

use ah5_contracts::connection::Auth;
use ah5_contracts::id::{ConnectionId, WorkspaceId};
use ah5_security::ring::KeyRing;
use ah5_security::secret::SecretText;
use ah5_security::vault::{Destinations, SealContext};
use serde_json::{Value, json};

use crate::fixture::{Fixture, GOOD, SLOW, with_status};
use crate::support::{at_database, error};

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
    // What is no answer to the question heals nothing, and is no refusal.
    for code in [503, 404, 302] {
        provider_says(code);
        assert_eq!(fixture.test(&id).await.status, 400, "{code}");
        assert_eq!(status().await, "needs_reauth", "{code}");
    }
    provider_says(404);
    let body = json!({"service": "openai", "apiKey": format!("{GOOD}-2")});
    let unclear = fixture.connect("api-key", &body).await;
    let text = "openai API answered HTTP 404, which says nothing of the credential.";
    assert_eq!(
        (unclear.status.as_u16(), error(&unclear)),
        (400, text.into())
    );
    provider_says(200);
    assert_eq!(fixture.test(&id).await.status, 200);
    assert_eq!(status().await, "healthy");
    // Once each, however often it is tested; the first by whoever sees it in the database.
    let mut told = Vec::new();
    for _ in 0..500 {
        told = world.audit("action=connection_needs_reauth").await;
        if !told.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(told.len(), 1);
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
        let patience = Duration::from_secs(60);
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
}

/// What was sealed for one service opens for no other, whatever the row says.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_service_was_changed_is_not_tested() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let body = json!({"service": "custom-http", "apiKey": GOOD,
                      "baseUrl": "https://api.github.com/", "auth": {"kind": "bearer"}});
    let id = crate::fixture::id(&fixture.connect("api-key", &body).await);
    let becomes = "update ah5.t_connections set provider = 'github', service = 'github' where id";
    world.sql(&format!("{becomes} = '{id}'")).await;
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

/// The stored token is shown to the provider as it is; one that has run out says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_by_consent_is_tested_by_its_token() {
    let fixture = Fixture::open().await;
    let id = by_consent(
        &fixture,
        "google-contacts",
        "https://people.googleapis.com/",
    )
    .await;
    let tested = fixture.test(&id).await;
    let expected = json!({"ok": true, "provider": "google", "detail": "Connected as Ann"});
    assert_eq!(tested.json(), expected);
    fixture
        .provider
        .on("/v1/people/me", |_| async { with_status(403, &json!({})) });
    let detail = "Google Contacts token is valid (API returned HTTP 403)";
    assert_eq!(fixture.test(&id).await.json()["detail"], detail);
    fixture
        .provider
        .on("/v1/people/me", |_| async { with_status(404, &json!({})) });
    assert_eq!(fixture.test(&id).await.status, 400, "nobody has looked");
    let heard = fixture.provider.journal().len();
    let runs_out = "update ah5.t_connection_credentials set expires_at = now() - interval '1 s'";
    fixture
        .world
        .sql(&format!("{runs_out} where connection_id = '{id}'"))
        .await;
    let expired = fixture.test(&id).await;
    let text = "No refresh token available.";
    assert_eq!(
        (expired.status.as_u16(), error(&expired)),
        (400, text.into())
    );
    assert_eq!(fixture.provider.journal().len(), heard);
    assert_eq!(fixture.shown(&id).await["status"], "healthy");
    let gives = "update ah5.t_connection_credentials set expires_at = null";
    fixture
        .world
        .sql(&format!("{gives} where connection_id = '{id}'"))
        .await;
    fixture
        .provider
        .on("/v1/people/me", |_| async { with_status(401, &json!({})) });
    let refused = fixture.test(&id).await.json();
    let text = "Google Contacts token is invalid after refresh (HTTP 401).";
    assert_eq!(refused["error"], text);
    assert_eq!(refused["hint"], "Click 'Reconnect' to re-authorize.");
    assert_eq!(fixture.shown(&id).await["status"], "needs_reauth");
}

/// As a consent leaves it: sealed for this very service, without a refresh token.
async fn by_consent(fixture: &Fixture, service: &str, base_url: &str) -> String {
    let world = &fixture.world;
    let id = world.connect_to(service, "google", &[]).await;
    let client = at_database(&world.stack).await;
    let sql = "select k.workspace_id, k.ring_key_id, k.wrapped from ah5.t_workspace_keys k
               join ah5.t_connections c on c.workspace_id = k.workspace_id where c.id = $1";
    let uuid: uuid::Uuid = id.parse().unwrap();
    let row = client.query_one(sql, &[&uuid]).await.unwrap();
    let workspace = WorkspaceId::from_uuid(row.get(0));
    let ring = KeyRing::load(&world.stack.folder().join("secrets/key-ring.json")).unwrap();
    let wrapped: Vec<u8> = row.get(2);
    let key = ring.unwrap(workspace, row.get(1), &wrapped).unwrap();
    let context = SealContext {
        workspace,
        connection: ConnectionId::from_uuid(uuid),
        field: "secret",
        version: 1,
        service,
        auth: &Auth::Bearer,
        destinations: &Destinations::new(base_url),
    };
    let sealed = key.seal(&context, &SecretText::new(GOOD.to_owned()));
    let sql = "update ah5.t_connection_credentials set sealed = $2 where connection_id = $1";
    client.execute(sql, &[&uuid, &sealed]).await.unwrap();
    let sql = "update ah5.t_connections set base_url = $2 where id = $1";
    client.execute(sql, &[&uuid, &base_url]).await.unwrap();
    id
}
