//! Another credential in the place of one: tried like the first, and never where something was
//! revoked.

use serde_json::{Value, json};

use crate::fixture::{DOWN, Fixture, GOOD, PERSON, SITE, SLOW, WRONG, body, nothing_leaked};
use crate::support::{at_database, error};

async fn sealed(fixture: &Fixture, id: &str) -> Option<(Vec<u8>, i64)> {
    let client = at_database(&fixture.world.stack).await;
    let sql = format!(
        "select sealed, version from ah5.t_connection_credentials where connection_id = '{id}'"
    );
    let row = client.query_opt(&sql, &[]).await.unwrap();
    row.map(|row| (row.get(0), row.get(1)))
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_takes_the_place_of_one_once_it_works() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let id = fixture.made("openai", GOOD).await;
    let before = sealed(&fixture, &id).await.unwrap();
    let path = format!("/v1/connections/{id}/credentials");
    for (body, text) in [
        (json!({}), "apiKey is required"),
        (
            json!({"apiKey": WRONG}),
            "OpenAI API key is invalid. Check your key at platform.openai.com.",
        ),
        (
            json!({"apiKey": DOWN}),
            "Could not reach openai API to validate the key. Please try again.",
        ),
    ] {
        let refused = world.put(&path, &body).await;
        assert_eq!(
            (refused.status.as_u16(), error(&refused)),
            (400, text.into())
        );
    }
    assert_eq!(sealed(&fixture, &id).await.unwrap(), before);
    let other = format!("{GOOD}-other");
    let put = world.put(&path, &json!({"apiKey": other})).await;
    let put = put.expect(200).unwrap();
    assert_eq!(put["message"], "OpenAI credential updated successfully");
    let after = sealed(&fixture, &id).await.unwrap();
    assert_ne!(after.0, before.0);
    assert_eq!(after.1, before.1 + 1);
    let shown = fixture.shown(&id).await;
    assert_eq!(shown["credentialPreview"]["primaryMasked"], "plan...ther");
    let path = format!("/v1/connections/{id}/reauth");
    let again = world.post(&path, &json!({"apiKey": GOOD})).await;
    let again = again.expect(200).unwrap();
    assert_eq!(again["message"], "OpenAI reconnected successfully");
    // It is the new one that is shown to the provider, and it opens.
    assert_eq!(fixture.test(&id).await.status, 200);
    for action in ["connection_credential_replaced", "connection_reauthorized"] {
        let rows = world.audit(&format!("action={action}")).await;
        assert_eq!(rows.len(), 1, "{action}");
    }
    nothing_leaked(world, &[GOOD, WRONG, &other]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_with_a_key_is_entered_and_checked_again() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let jira = fixture.made("jira", GOOD).await;
    let path = format!("/v1/connections/{jira}/credentials");
    let heard = fixture.provider.connections();
    for (body, text) in [
        (json!({"apiKey": GOOD}), "email is required"),
        (
            json!({"apiKey": GOOD, "email": PERSON}),
            "siteUrl is required",
        ),
        (
            json!({"apiKey": GOOD, "email": PERSON, "siteUrl": "evil.example/.atlassian.net"}),
            "Jira site URL must end with .atlassian.net (Jira Cloud only)",
        ),
    ] {
        let refused = world.put(&path, &body).await;
        assert_eq!(
            (refused.status.as_u16(), error(&refused)),
            (400, text.into())
        );
    }
    assert_eq!(fixture.provider.connections(), heard);
    let body = json!({"apiKey": GOOD, "email": "bob@acme.example", "siteUrl": SITE});
    world.put(&path, &body).await.expect(200).unwrap();
    let shown = fixture.shown(&jira).await;
    assert_eq!(shown["metadata"]["email"], "bob@acme.example");
    assert_eq!(fixture.test(&jira).await.status, 200);
    let trello = fixture.made("trello", GOOD).await;
    let path = format!("/v1/connections/{trello}/reauth");
    let refused = world.post(&path, &json!({"apiKey": GOOD})).await;
    assert_eq!(
        error(&refused),
        "appKey (Trello Power-Up API key) is required"
    );

    // A custom service's stays where it was, unless somebody says otherwise.
    let custom = world.connect().await;
    let path = format!("/v1/connections/{custom}/credentials");
    let put = world
        .put(&path, &json!({"apiKey": "planted-custom-0123456789"}))
        .await;
    put.expect(200).unwrap();
    assert_eq!(
        fixture.shown(&custom).await["baseUrl"],
        crate::support::BASE_URL
    );
    assert_eq!(
        error(&fixture.test(&custom).await),
        "No test implemented for service: custom-http"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_while_a_credential_is_tried_stays_revoked() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let id = fixture.made("openai", GOOD).await;
    let (put, reauth) = (
        format!("/v1/connections/{id}/credentials"),
        format!("/v1/connections/{id}/reauth"),
    );
    let body = json!({"apiKey": SLOW});
    let trying = async { tokio::join!(world.put(&put, &body), world.post(&reauth, &body)) };
    let revoking = async {
        fixture.until_held(2).await;
        world.owner.revoke(&id).await.unwrap();
        fixture.gate.add_permits(2);
    };
    let ((put_answer, reauth_answer), ()) = tokio::join!(trying, revoking);
    assert_eq!(
        (put_answer.status.as_u16(), reauth_answer.status.as_u16()),
        (409, 409)
    );
    assert_eq!(fixture.shown(&id).await, Value::Null);
    assert!(sealed(&fixture, &id).await.is_none());
    let refused = world.put(&put, &body).await;
    assert_eq!(error(&refused), "Cannot update a revoked connection");
    let refused = world.post(&reauth, &body).await;
    assert_eq!(error(&refused), "Cannot reauth a revoked connection");
    let tested = fixture.test(&id).await;
    let expected = json!({"ok": false, "error": "Connection is revoked",
                          "hint": "Create a new connection."});
    assert_eq!((tested.status.as_u16(), tested.json()), (400, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_replace_the_same_credential_one_loses() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let id = fixture.made("openai", GOOD).await;
    let path = format!("/v1/connections/{id}/credentials");
    let body = json!({"apiKey": SLOW});
    let trying = async { tokio::join!(world.put(&path, &body), world.put(&path, &body)) };
    let release = async {
        fixture.until_held(2).await;
        fixture.gate.add_permits(2);
    };
    let ((one, other), ()) = tokio::join!(trying, release);
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(sealed(&fixture, &id).await.unwrap().1, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_renamed_be_it_revoked_and_foreign_ones_are_unknown() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let id = fixture.made("notion", GOOD).await;
    let path = format!("/v1/connections/{id}/label");
    for (body, text) in [
        (json!({}), "body must have required property 'label'"),
        (
            json!({"label": ""}),
            "body/label must NOT have fewer than 1 characters",
        ),
        (
            json!({"label": "  "}),
            "label is required and must be a non-empty string",
        ),
    ] {
        assert_eq!(error(&world.put(&path, &body).await), text);
    }
    let put = world.put(&path, &json!({"label": " Notes "})).await;
    let expected = json!({"connection": {"id": id, "label": "Notes"}});
    assert_eq!(put.expect(200).unwrap(), expected);
    world.owner.revoke(&id).await.unwrap();
    world
        .put(&path, &json!({"label": "Old notes"}))
        .await
        .expect(200)
        .unwrap();
    assert_eq!(world.audit("action=connection_renamed").await.len(), 2);
    let stranger = world.stranger().await;
    let foreign = stranger
        .put(&path, &json!({"label": "mine"}))
        .await
        .unwrap();
    assert_eq!(
        (foreign.status.as_u16(), error(&foreign)),
        (404, "Connection not found".into())
    );
    for body in [body("notion", GOOD)] {
        let path = format!("/v1/connections/{id}/credentials");
        assert_eq!(stranger.put(&path, &body).await.unwrap().status, 404);
    }
}
