//! A person consents, and comes back to where they began.

use serde_json::json;

use crate::fixture::{Fixture, connection_of, error, parameter};
use crate::support;

#[tokio::test]
async fn an_account_is_connected_by_consent() {
    let fixture = Fixture::open().await;
    let started = fixture.start(&["openid", "email", "read"]).await;
    assert_eq!(started["client"], "workspace");
    let url = started["authorizationUrl"].as_str().unwrap();
    let of = |name: &str| parameter(url, name);
    let origin = crate::fixture::ORIGIN;
    let redirect = format!("{origin}/v1/oauth/custom-{}/callback", fixture.app);
    assert_eq!(of("redirect_uri"), Some(redirect));
    assert_eq!(of("code_challenge_method").as_deref(), Some("S256"));
    assert_eq!(of("state").unwrap().len(), 43);
    let path = fixture.consent(url, "ann").await;
    let id = connection_of(&fixture.ends(&path).await);

    let shown = fixture.shown(&id).await;
    assert_eq!(shown["status"], "healthy");
    assert_eq!(shown["label"], "Theirs");
    assert_eq!(shown["service"], "custom-oauth");
    assert_eq!(shown["missingScopes"], json!([]));
    assert_eq!(shown["grantedScopes"], json!(["openid", "email", "read"]));
    let account = "select count(*) from ah5.t_connections where account = 'ann' and id";
    assert_eq!(fixture.count(&format!("{account} = '{id}'")).await, 1);
    let refresh = "select count(*) from ah5.t_connection_credentials
                   where sealed_refresh is not null and expires_at > now() and connection_id";
    assert_eq!(fixture.count(&format!("{refresh} = '{id}'")).await, 1);
    let trail = fixture.world.audit("action=connection_created").await;
    assert_eq!(trail[0]["connectionId"], id);
    // No secret of it is ever written down in the clear.
    let code = parameter(&path, "code").unwrap();
    assert!(!fixture.world.log().contains(&code));
}

#[tokio::test]
async fn what_was_not_granted_is_told() {
    let fixture = Fixture::open().await;
    let started = fixture.start(&["openid", "read", "write"]).await;
    let url = started["authorizationUrl"].as_str().unwrap();
    let path = fixture.consent_to(url, "ann", Some("openid read")).await;
    let id = connection_of(&fixture.ends(&path).await);
    let shown = fixture.shown(&id).await;
    assert_eq!(shown["grantedScopes"], json!(["openid", "read"]));
    assert_eq!(shown["missingScopes"], json!(["write"]));
}

#[tokio::test]
async fn a_new_consent_of_the_same_account_replaces_the_old_tokens() {
    let fixture = Fixture::open().await;
    let id = fixture.connect(&["openid", "read"], "ann").await;
    let needs =
        "update ah5.t_connections set status = 'needs_reauth', reauth_reason = 'x' where id";
    fixture.world.sql(&format!("{needs} = '{id}'")).await;
    assert_eq!(fixture.version(&id).await, 1);
    let reauth = format!("/v1/connections/{id}/reauth");

    // Another account is sent away, and nothing has changed.
    let begun = fixture
        .world
        .post(&reauth, &json!({}))
        .await
        .expect(200)
        .unwrap();
    let url = begun["authorizationUrl"].as_str().unwrap();
    let path = fixture.consent(url, "bob").await;
    let other = "This is another account than the one that was connected";
    assert_eq!(fixture.ends(&path).await, error(other));
    assert_eq!(fixture.version(&id).await, 1);
    assert_eq!(fixture.shown(&id).await["status"], "needs_reauth");
    // Nobody has the tokens of that account, and they are taken back.
    taken_back(&fixture, &id, 1).await;

    let begun = fixture
        .world
        .post(&reauth, &json!({}))
        .await
        .expect(200)
        .unwrap();
    let url = begun["authorizationUrl"].as_str().unwrap();
    let path = fixture.consent(url, "ann").await;
    assert_eq!(connection_of(&fixture.ends(&path).await), id);
    assert_eq!(fixture.version(&id).await, 2);
    let shown = fixture.shown(&id).await;
    assert_eq!(
        (&shown["status"], &shown["reauthReason"]),
        (&json!("healthy"), &json!(null))
    );
    assert_eq!(fixture.connections().await, 1);
    let trail = fixture.world.audit("action=connection_reauthorized").await;
    assert_eq!(trail[0]["connectionId"], id);
}

/// So many unwanted tokens of the connection were revoked at the provider.
async fn taken_back(fixture: &Fixture, id: &str, count: i64) {
    let sql = format!(
        "select count(*) from ah5.t_revocations
         where connection_id = '{id}' and version = 0 and result = 'revoked'"
    );
    for _ in 0..500 {
        if fixture.count(&sql).await == count {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{count} tokens are not taken back");
}

/// A provider may end the whole grant of an account with one token of it.
#[tokio::test]
async fn what_another_connection_has_is_not_taken_back_with_an_unwanted_token() {
    let fixture = Fixture::open().await;
    let ann = fixture.connect(&["openid", "read"], "ann").await;
    fixture.connect(&["openid", "read"], "bob").await;
    let reauth = format!("/v1/connections/{ann}/reauth");
    let begun = fixture.world.post(&reauth, &json!({})).await;
    let url = begun.expect(200).unwrap()["authorizationUrl"].clone();
    let path = fixture.consent(url.as_str().unwrap(), "bob").await;
    let other = "This is another account than the one that was connected";
    assert_eq!(fixture.ends(&path).await, error(other));
    let sql = format!("select count(*) from ah5.t_revocations where connection_id = '{ann}'");
    assert_eq!(fixture.count(&sql).await, 0);
}

#[tokio::test]
async fn a_workspace_that_is_full_begins_no_consent_and_redeems_none() {
    let fixture = Fixture::open().await;
    let begun = fixture.way_back(&["openid"], "ann").await;
    let full = format!(
        "insert into ah5.t_connections
             (id, workspace_id, provider, service, label, base_url, auth, granted_scopes)
         select gen_random_uuid(), workspace_id, 'custom', 'custom-http', 'l',
                'https://h.example/', '{{\"kind\": \"bearer\"}}', '{{}}'
         from ah5.t_workspace_oauth_apps, generate_series(1, 500) where id = '{}'",
        fixture.app
    );
    fixture.world.sql(&full).await;
    let why = "This workspace has 500 connections, and may have no more";
    assert_eq!(fixture.ends(&begun).await, error(why));
    let device = "/v1/connections/device/start";
    for path in ["/v1/connections/start", device] {
        let refused = fixture.world.post(path, &fixture.body(&["openid"])).await;
        assert_eq!(
            (refused.status.as_u16(), support::error(&refused)),
            (409, why.into())
        );
    }
    // Of revoked ones there may be any number.
    let revoked = "update ah5.t_connections set status = 'revoked' where id =
                       (select id from ah5.t_connections where status <> 'revoked'
                          and workspace_id = (select workspace_id from ah5.t_workspace_oauth_apps
                                              where id = '{}') limit 1)";
    fixture
        .world
        .sql(&revoked.replace("{}", &fixture.app))
        .await;
    fixture.connect(&["openid"], "ann").await;
    let refused = fixture.world.post(device, &fixture.body(&["openid"])).await;
    assert_eq!(refused.status, 409);
}

#[tokio::test]
async fn a_revoked_connection_never_comes_back() {
    let fixture = Fixture::open().await;
    let id = fixture.connect(&["openid"], "ann").await;
    let reauth = format!("/v1/connections/{id}/reauth");
    let begun = fixture
        .world
        .post(&reauth, &json!({}))
        .await
        .expect(200)
        .unwrap();
    let url = begun["authorizationUrl"].as_str().unwrap();
    let path = fixture.consent(url, "ann").await;
    let revoke = format!("/v1/connections/{id}/revoke");
    fixture
        .world
        .post(&revoke, &json!({}))
        .await
        .expect(200)
        .unwrap();
    assert_eq!(
        fixture.ends(&path).await,
        error("Connection has been revoked")
    );
    taken_back(&fixture, &id, 1).await;
    let alive = "select count(*) from ah5.t_connections where status <> 'revoked' and id";
    assert_eq!(fixture.count(&format!("{alive} = '{id}'")).await, 0);
    let answer = fixture.world.post(&reauth, &json!({})).await;
    assert_eq!(answer.status, 409);
    assert_eq!(
        support::error(&answer),
        "Cannot reauth a revoked connection"
    );
}

#[tokio::test]
async fn starting_is_refused_in_words_that_clients_know() {
    let fixture = Fixture::open().await;
    let missing = "No OAuth credentials available for provider \"google\". Add your own OAuth app in \
                   Settings → Apps.";
    for (body, text) in [
        (json!({}), "body must have required property 'service'"),
        (
            json!({"service": "slack"}),
            "Slack Bot uses bot tokens, not OAuth. Use POST /connections/bot-token instead.",
        ),
        (
            json!({"service": "openai"}),
            "scopes must not be empty for OAuth connections",
        ),
        (
            json!({"service": "google-gmail", "scopes": []}),
            "scopes must not be empty for OAuth connections",
        ),
        (json!({"service": "google-gmail"}), missing),
    ] {
        let answer = fixture.world.post("/v1/connections/start", &body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(support::error(&answer), text, "{body}");
    }
    let keyed = json!({"service": "openai"});
    let answer = fixture.world.post("/v1/connections/start", &keyed).await;
    let hint = "OpenAI takes a key: POST /v1/connections/api-key.";
    assert_eq!(answer.json()["hint"], hint);
    let unknown = json!({"service": "nowhere"});
    let answer = fixture.world.post("/v1/connections/start", &unknown).await;
    let text = support::error(&answer);
    assert!(
        text.starts_with("Invalid service. Must be one of: "),
        "{text}"
    );
    assert!(text.contains(", google-gmail, "), "{text}");
}

#[tokio::test]
async fn coming_back_is_refused_in_words_that_clients_know() {
    let fixture = Fixture::open().await;
    let at = "/v1/connections/callback";
    for (query, text) in [
        ("error=access_denied", "access_denied"),
        ("error=x&error_description=No%20way%0A", "No way"),
        ("", "Missing code or state parameter"),
        ("code=x", "Missing code or state parameter"),
        ("code=x&code=y&state=z", "Missing code or state parameter"),
        ("code=x&state=z", "Invalid or expired state parameter"),
    ] {
        let ended = fixture.ends(&format!("{at}?{query}")).await;
        assert_eq!(ended, error(text), "{query}");
    }
    let path = fixture.way_back(&["openid"], "ann").await;
    let late = "update ah5.t_pending_connections set expires_at = now() - interval '1 second'";
    fixture
        .world
        .sql(&format!("{late} where oauth_app_id = '{}'", fixture.app))
        .await;
    assert_eq!(
        fixture.ends(&path).await,
        error("Connection request expired")
    );
    assert_eq!(
        fixture.ends(&path).await,
        error("Invalid or expired state parameter")
    );
    let spoiled = fixture.way_back(&["openid"], "ann").await;
    let spoiled = crate::fixture::with_parameter(&spoiled, "code", Some("made-up-code"));
    let ended = fixture.ends(&spoiled).await;
    assert!(
        ended.starts_with(&error("grant request is invalid")),
        "{ended}"
    );
    assert_eq!(fixture.connections().await, 0);
}
