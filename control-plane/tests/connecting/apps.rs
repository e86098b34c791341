//! OAuth clients of a workspace's own.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::fixture::{Fixture, Pair, endpoints};
use crate::support::servers::CLIENT_SECRET;
use crate::support::{World, error};

const APPS: &str = "/v1/workspace-oauth-apps";

fn google(id: &str) -> Value {
    json!({
        "provider": "google", "clientId": id, "clientSecret": CLIENT_SECRET, "label": "Ours",
        "tenantId": "ignored",
    })
}

#[tokio::test]
async fn a_client_is_set_up_replaced_and_deleted() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let made = world.post(APPS, &google("one")).await.expect(201).unwrap();
    assert_eq!(
        (&made["clientId"], &made["tenantId"]),
        (&json!("one"), &json!(null))
    );
    let replaced = world.post(APPS, &google("two")).await.expect(200).unwrap();
    assert_eq!(
        (&replaced["id"], &replaced["clientId"]),
        (&made["id"], &json!("two"))
    );
    let listed = world.get(APPS).await;
    assert!(!listed.contains(CLIENT_SECRET));
    let listed = listed.expect(200).unwrap();
    assert_eq!(listed["apps"].as_array().unwrap().len(), 2);
    let callback = format!("{}/api/connections/callback", crate::fixture::ORIGIN);
    assert_eq!(listed["callbackUrl"], callback);
    let status = world
        .get("/v1/capabilities/services")
        .await
        .expect(200)
        .unwrap();
    let bya = json!({"available": true, "source": "bya"});
    assert_eq!(status["oauthStatus"]["google"], bya);
    assert_eq!(status["oauthStatus"]["microsoft"]["available"], false);

    let path = format!("{APPS}/{}", made["id"].as_str().unwrap());
    let gone = world
        .owner
        .delete(&path)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    assert_eq!(gone, json!({"deleted": true, "affectedConnections": 0}));
    let again = world.owner.delete(&path).await.unwrap();
    assert_eq!(
        (again.status.as_u16(), &*error(&again)),
        (404, "OAuth app not found")
    );
    assert_eq!(world.audit("action=oauth_app_saved").await.len(), 3);
    assert_eq!(world.audit("action=oauth_app_deleted").await.len(), 1);
    let told = world.get("/v1/notifications").await;
    assert!(told.contains("An OAuth app was set up") && told.contains("An OAuth app was deleted"));
}

#[tokio::test]
async fn a_connection_never_goes_over_to_another_client_by_itself() {
    let fixture = Fixture::open().await;
    let id = fixture.connect(&["openid"], "ann").await;
    let described = |client: &str| {
        json!({
            "provider": "custom", "id": fixture.app, "clientId": client, "label": "Own",
            "clientSecret": CLIENT_SECRET, "endpoints": endpoints(&fixture.pair.provider.issuer),
        })
    };
    let at_provider = async || {
        let seen = fixture.world.get("/v1/workspaces/current/panic").await;
        let seen = seen.expect(200).unwrap();
        let mut all = seen["connections"].as_array().unwrap().iter();
        all.find(|it| it["id"] == *id).unwrap()["atProvider"].clone()
    };
    assert_eq!(at_provider().await, "queued");
    // As its provider is described, it has no way to be told.
    let mut without = described("connections");
    let endpoints = without["endpoints"].as_object_mut().unwrap();
    endpoints.remove("revoke_url");
    fixture
        .world
        .post(APPS, &without)
        .await
        .expect(200)
        .unwrap();
    assert_eq!(at_provider().await, "by_hand");
    // Another secret changes nothing for the connection.
    fixture
        .world
        .post(APPS, &described("connections"))
        .await
        .expect(200)
        .unwrap();
    assert_eq!(fixture.shown(&id).await["status"], "healthy");
    fixture
        .world
        .post(APPS, &described("another"))
        .await
        .expect(200)
        .unwrap();
    let shown = fixture.shown(&id).await;
    assert_eq!(shown["reauthReason"], "oauth_app_changed");
    assert_eq!(shown["status"], "needs_reauth");

    let path = format!("{APPS}/{}", fixture.app);
    let gone = fixture
        .world
        .owner
        .delete(&path)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    assert_eq!(gone["affectedConnections"], 1);
    let shown = fixture.shown(&id).await;
    assert_eq!(shown["reauthReason"], "oauth_app_deleted");
    let reauth = format!("/v1/connections/{id}/reauth");
    let refused = fixture.world.post(&reauth, &json!({})).await;
    assert_eq!(refused.status, 409);
    assert_eq!(
        error(&refused),
        "The OAuth app of this connection was deleted"
    );
    let hint = refused.json()["hint"].clone();
    assert!(
        hint.as_str()
            .unwrap()
            .starts_with("Connect the account anew")
    );

    // Its token can be taken back by nobody: that is said, and not tried for days.
    assert_eq!(at_provider().await, "by_hand");
    fixture.world.owner.revoke(&id).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let told = loop {
        let query = "action=connection_revoked_upstream";
        let told = fixture.world.audit(query).await;
        if !told.is_empty() || Instant::now() > deadline {
            break told;
        }
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(told[0]["metadata"]["result"], "failed", "{}", told[0]);
}

/// Neither another session, nor a token of any kind.
#[tokio::test]
async fn only_who_has_just_proved_himself_sets_up_a_client() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let made = json!({"name": "all", "scopes": ["*", "connections:write"]});
    let made = world.post("/v1/tokens", &made).await.expect(200).unwrap();
    let token = made["plainToken"].as_str().unwrap();
    let call = ah5_testkit::client::Call::post(APPS).json(&google("x"));
    assert_eq!(world.send(call.bearer(token)).await.status, 403);
    let stale = format!(
        "update ah5.t_sessions set authenticated_at = now() - interval '6 minutes'
         where user_id = (select id from ah5.t_users where email = '{}')",
        world.owner.email
    );
    world.sql(&stale).await;
    let refused = world.post(APPS, &google("x")).await;
    assert_eq!(refused.json()["reason"], "reauthentication_required");
    let path = format!("{APPS}/{}", fixture.app);
    assert_eq!(world.owner.delete(&path).await.unwrap().status, 403);
}

#[tokio::test]
async fn a_described_provider_leads_neither_inside_nor_to_ourselves() {
    let fixture = Fixture::open().await;
    let issuer = fixture.pair.provider.issuer.clone();
    let try_with = async |name: &str, value: Value| {
        let mut described = endpoints(&issuer);
        described[name] = value;
        let body = json!({
            "provider": "custom", "clientId": "c", "clientSecret": CLIENT_SECRET, "label": "Own",
            "endpoints": described,
        });
        fixture.world.post(APPS, &body).await
    };
    for name in [
        "authorize_url",
        "token_url",
        "revoke_url",
        "device_url",
        "issuer",
    ] {
        for url in [
            "http://id.example/x",
            "https://127.0.0.1/x",
            "https://10.0.0.1/x",
            "https://169.254.169.254/latest",
            "https://[::1]/x",
            "https://localhost/x",
            "http://localhost:8080/x",
            "https://id.example/x?a=b",
            "javascript:alert(1)",
        ] {
            let refused = try_with(name, url.into()).await;
            assert_eq!(refused.status, 400, "{name} {url}: {}", refused.text());
        }
    }
    // Tokens and secret are shown there: to whom they are sealed for, and to nobody else.
    for name in ["revoke_url", "device_url"] {
        let refused = try_with(name, "https://evil.example/x".into()).await;
        let text = format!("body/endpoints {name} must be of the same origin as token_url");
        assert_eq!((refused.status.as_u16(), error(&refused)), (400, text));
    }
    for (name, value) in [
        (
            "authorize_parameters",
            json!({"redirect_uri": "https://evil.example"}),
        ),
        ("client_auth", json!("none")),
        ("unheard_of", json!(1)),
        ("reports_every_consent", json!(true)),
    ] {
        assert_eq!(try_with(name, value).await.status, 400, "{name}");
    }
    for base in [
        "http://api.example/",
        "https://192.168.1.1/",
        "http://localhost:8080/",
        "https://api.example/?a=b",
    ] {
        let mut body = fixture.body(&["openid"]);
        body["baseUrl"] = base.into();
        let refused = fixture.world.post("/v1/connections/start", &body).await;
        assert_eq!(refused.status, 400, "{base}");
        assert!(
            error(&refused).starts_with("body/baseUrl "),
            "{}",
            error(&refused)
        );
    }
    // A name that leads inside is found out when it is called: nothing arrives.
    let mut described = endpoints(&issuer);
    for name in ["token_url", "revoke_url", "device_url"] {
        described[name] = "https://localtest.invalid/token".into();
    }
    let app = crate::fixture::describe(&fixture.world, &described).await;
    let mut body = fixture.body(&["openid"]);
    body["oauthAppId"] = app.into();
    let started = fixture.world.post("/v1/connections/start", &body).await;
    let url = started.expect(200).unwrap()["authorizationUrl"].clone();
    let path = fixture.consent(url.as_str().unwrap(), "ann").await;
    assert!(fixture.ends(&path).await.contains("?error="));
    assert_eq!(fixture.connections().await, 0);
}

#[tokio::test]
async fn one_workspaces_client_is_nobody_elses() {
    let fixture = Fixture::open().await;
    let stranger = Fixture {
        world: World::at(std::sync::Arc::clone(&fixture.world.stack)).await,
        pair: std::sync::Arc::clone(&fixture.pair),
        app: fixture.app.clone(),
    };
    let refused = stranger
        .world
        .post("/v1/connections/start", &stranger.body(&["openid"]))
        .await;
    assert_eq!(
        (refused.status.as_u16(), &*error(&refused)),
        (404, "OAuth app not found")
    );
}

/// The operator's word on who may use the installation's own.
#[tokio::test]
async fn the_installations_client_is_lent_to_whom_the_operator_says() {
    for (setting, status) in [("all", 200), ("none", 400)] {
        let pair = Pair::start(&json!({}), |builder| {
            builder
                .env("GOOGLE_CLIENT_ID", "installation-client")
                .env("GOOGLE_CLIENT_SECRET", CLIENT_SECRET)
                .env("OAUTH_INSTALLATION_CLIENTS", setting)
        });
        let fixture = Fixture::of(std::sync::Arc::new(pair)).await;
        let body = json!({"service": "google-gmail"});
        let started = fixture.world.post("/v1/connections/start", &body).await;
        assert_eq!(started.status, status, "{setting}");
        let services = fixture.world.get("/v1/capabilities/services").await.json();
        let available = services["oauthStatus"]["google"]["available"] == true;
        assert_eq!(available, status == 200);
        if status == 200 {
            assert_eq!(started.json()["client"], "installation");
            fixture
                .world
                .post(APPS, &google("own"))
                .await
                .expect(201)
                .unwrap();
            let started = fixture
                .world
                .post("/v1/connections/start", &body)
                .await
                .json();
            assert_eq!(started["client"], "workspace");
            let url = started["authorizationUrl"].as_str().unwrap();
            assert!(url.contains("client_id=own&"), "{url}");
            let foreign = json!({"service": "google-gmail", "scopes": ["https://www.googleapis.com/auth/drive"]});
            let refused = fixture.world.post("/v1/connections/start", &foreign).await;
            assert_eq!(refused.status, 400, "{}", refused.text());
        }
    }
}
