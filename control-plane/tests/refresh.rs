//! Refreshing against a real provider that rotates refresh tokens: `oidc-provider`, as the client that a
//! workspace has registered there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use ah5_contracts::connection::Auth;
use ah5_contracts::id::{ConnectionId, OAuthAppId, WorkspaceId};
use ah5_security::ring::KeyRing;
use ah5_security::secret::SecretText;
use ah5_security::vault::{DataKey, Destinations, OAuthAppContext, SealContext};
use ah5_store::connections::{self, NewConnection, NewOAuth};
use ah5_store::database::Database;
use ah5_store::tenant::Tenant;
use ah5_store::workspaces;
use ah5_testkit::client::{Call, Http};
use jiff::Timestamp;
use serde_json::json;
use support::servers::{CLIENT_ID, CLIENT_SECRET, OpenId};
use support::{World, at_database, control_plane};

const BASE: &str = "https://api.example.com/";

#[tokio::test]
async fn tokens_rotate_at_a_real_provider_and_a_second_use_ends_the_grant() {
    let provider = OpenId::start(&json!({"ann": {}}), &["http://localhost/callback".into()]);
    let stack = control_plane().env("SSRF_ALLOWLIST_HOSTS", provider.host());
    let world = World::at(Arc::new(stack.start().unwrap())).await;
    let at_provider = Http::new(&*provider.issuer);
    let minted = at_provider.send(Call::get("/mint?ann")).await.unwrap();
    let first = minted.text();
    let id = connect(&world, &provider, &first).await;
    // Its token had expired when it came, and so it is made again and again.
    for version in 2..=4 {
        assert_eq!(reaches(&world, &id, version).await, "healthy");
        let expire =
            "update ah5.t_connection_credentials set expires_at = now() where connection_id";
        world.sql(&format!("{expire} = '{id}'")).await;
    }
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", &first);
    let pair = format!("{CLIENT_ID}:{CLIENT_SECRET}");
    let replayed = Call::post("/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", format!("Basic {}", base64(&pair)))
        .body(form.finish());
    let refused = at_provider
        .send(replayed)
        .await
        .unwrap()
        .expect(400)
        .unwrap();
    assert_eq!(refused["error"], "invalid_grant");
    let expire = "update ah5.t_connection_credentials set expires_at = now()";
    world.sql(expire).await;
    let sql = "select reauth_reason from ah5.t_connections where status = 'needs_reauth'";
    for _ in 0..600 {
        let db = at_database(&world.stack).await;
        if let Some(row) = db.query_opt(sql, &[]).await.unwrap() {
            let reason: String = row.get(0);
            assert!(reason == "invalid_grant", "{reason}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the grant has not ended: {}", world.log());
}

/// The connection's status as soon as its credential is of this version.
async fn reaches(world: &World, id: &str, version: i64) -> String {
    let sql = "select c.status from ah5.t_connections c
               join ah5.t_connection_credentials s on s.connection_id = c.id
               where c.id::text = $1 and s.version >= $2";
    for _ in 0..600 {
        let db = at_database(&world.stack).await;
        if let Some(row) = db.query_opt(sql, &[&id, &version]).await.unwrap() {
            return row.get(0);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("there is no version {version}: {}", world.log());
}

/// The rows as the consent's callback writes them.
async fn connect(world: &World, provider: &OpenId, refresh: &str) -> String {
    let secrets = world.stack.folder().join("secrets");
    let read = |name: &str| std::fs::read_to_string(secrets.join(name)).unwrap();
    let db = at_database(&world.stack).await;
    let sql = "select id::text from ah5.t_workspaces order by created_at desc limit 1";
    let row = db.query_one(sql, &[]).await.unwrap();
    let workspace: WorkspaceId = row.get::<_, String>(0).parse().unwrap();
    let control = SecretText::new(read("ah5_control_login-database-url"));
    let pool = Database::parse(&control).unwrap().pool(1);
    let mut db = pool.get().await.unwrap();
    let tenant = Tenant::begin(&mut db, workspace).await.unwrap();
    let wrapped = workspaces::data_key(&tenant).await.unwrap().unwrap();
    let ring = KeyRing::load(&secrets.join("key-ring.json")).unwrap();
    let key = ring.unwrap(workspace, &wrapped.ring_key_id, &wrapped.bytes);
    let key = key.unwrap();
    let token_url = format!("{}/token", provider.issuer);
    let app = register(&tenant, &key, &token_url).await;
    let id = ConnectionId::random();
    let destinations = Destinations::new(BASE)
        .token_url(Some(&token_url))
        .oauth_app(Some(app));
    let seal = |field, secret: &str| {
        let context = SealContext {
            workspace,
            connection: id,
            field,
            version: 1,
            service: "custom-http",
            auth: &Auth::Bearer,
            destinations: &destinations,
        };
        key.seal(&context, &SecretText::new(secret.to_owned()))
    };
    let connection = NewConnection {
        id,
        provider: "custom",
        service: "custom-http",
        label: "l",
        base_url: BASE,
        auth: &json!({"kind": "bearer"}),
        granted_scopes: &[],
        oauth: Some(NewOAuth {
            app: Some(app),
            token_url: &token_url,
            account: None,
            asked_scopes: &[],
            sealed_refresh: Some(&seal("refresh", refresh)),
            expires_at: Some(Timestamp::now()),
        }),
        mail: None,
        sealed: &seal("secret", "expired-access-token"),
    };
    connections::insert(&tenant, &connection).await.unwrap();
    tenant.commit().await.unwrap();
    id.to_string()
}

async fn register(tenant: &Tenant<'_>, key: &DataKey, token_url: &str) -> OAuthAppId {
    let app = OAuthAppId::random();
    let context = OAuthAppContext {
        workspace: tenant.workspace(),
        app,
        version: 1,
        provider: "custom",
        client_id: CLIENT_ID,
        token_url,
    };
    let sealed = key.seal_oauth_app(&context, &SecretText::new(CLIENT_SECRET.to_owned()));
    let endpoints = json!({
        "authorize_url": token_url.replace("/token", "/auth"), "token_url": token_url,
        "pkce": true, "refresh": "rotates", "client_auth": "basic",
    });
    let sql = "insert into ah5.t_workspace_oauth_apps
                   (id, workspace_id, provider, client_id, sealed_secret, endpoints, label)
               values ($1, $2, 'custom', $3, $4, $5, 'l')";
    let workspace = tenant.workspace().uuid();
    tenant
        .execute(
            sql,
            &[&app.uuid(), &workspace, &CLIENT_ID, &sealed, &endpoints],
        )
        .await
        .unwrap();
    app
}

fn base64(text: &str) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(text)
}
