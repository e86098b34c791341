//! A workspace with one of everything that is sealed, and the keys to look at it.

use ah5_contracts::connection::{Auth, Mail};
use ah5_contracts::id::{ApprovalId, ConnectionId, OAuthAppId, WorkspaceId};
use ah5_security::ring::KeyRing;
use ah5_security::secret::SecretText;
use ah5_security::vault::{ChannelContext, DataKey, OAuthAppContext, RequestContext, SealContext};
use ah5_store::connections::{self, NewConnection, NewOAuth};
use ah5_store::credentials;
use ah5_store::data_keys;
use ah5_store::database::Database;
use ah5_store::tenant::Tenant;
use deadpool_postgres::Pool;
use serde::Deserialize as _;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{self, World};

pub const REFRESH: &str = "planted-refresh-secret-0123456789";
pub const CLIENT: &str = "planted-client-secret-0123456789";
pub const SIGNING: &str = "planted-signing-secret-0123456789";
pub const TOKEN_URL: &str = "https://login.example.com/token";

pub struct Vault {
    pub world: World,
    pub workspace: WorkspaceId,
    pub app: OAuthAppId,
    pool: Pool,
}

/// A connection that has all there is to be bound to.
pub struct Bound {
    pub id: ConnectionId,
    auth: Auth,
    base: String,
}

// === impl Vault ===

impl Vault {
    pub async fn of(world: World) -> Self {
        let secrets = world.stack.folder().join("secrets");
        let url = std::fs::read_to_string(secrets.join("ah5_control_login-database-url")).unwrap();
        let pool = Database::parse(&SecretText::new(url)).unwrap().pool(2);
        let current = world.owner.get("/v1/workspaces/current").await.unwrap();
        let current = current.expect(200).unwrap();
        let id = current["id"].as_str().unwrap();
        let vault = Self {
            workspace: id.parse().unwrap(),
            app: OAuthAppId::random(),
            pool,
            world,
        };
        vault.make_app(vault.app).await;
        vault
    }

    pub fn ring(&self) -> KeyRing {
        KeyRing::load(&self.ring_file()).unwrap()
    }

    pub fn ring_file(&self) -> std::path::PathBuf {
        self.world.stack.folder().join("secrets/key-ring.json")
    }

    /// As it is stored now; None once it is gone or another ring's.
    pub async fn key(&self) -> Option<DataKey> {
        let mut db = self.pool.get().await.unwrap();
        let tenant = Tenant::begin(&mut db, self.workspace).await.unwrap();
        let stored = data_keys::get(&tenant).await.unwrap()?;
        let (ring, previous) = (self.ring(), stored.previous.as_ref());
        ring.unwrap_pair(self.workspace, &stored.current, previous)
            .ok()
    }

    pub async fn make_app(&self, id: OAuthAppId) {
        let context = self.app_context(id);
        let key = self.key().await.unwrap();
        let sealed = key.seal_oauth_app(&context, &SecretText::new(CLIENT.into()));
        let mut db = self.pool.get().await.unwrap();
        let tenant = Tenant::begin(&mut db, self.workspace).await.unwrap();
        let endpoints = json!({
            "provider": "custom", "authorize_url": "https://login.example.com/authorize",
            "token_url": TOKEN_URL, "pkce": true, "refresh": "rotates",
        });
        let sql = "insert into ah5.t_workspace_oauth_apps
                       (id, workspace_id, provider, client_id, sealed_secret, endpoints, label)
                   values ($1, $2, 'custom', 'client', $3, $4, 'l')";
        let workspace = self.workspace.uuid();
        tenant
            .execute(sql, &[&id.uuid(), &workspace, &sealed, &endpoints])
            .await
            .unwrap();
        tenant.commit().await.unwrap();
    }

    fn app_context(&self, app: OAuthAppId) -> OAuthAppContext<'static> {
        OAuthAppContext {
            workspace: self.workspace,
            app,
            version: 1,
            provider: "custom",
            client_id: "client",
            token_url: TOKEN_URL,
        }
    }

    /// A signed webhook, as its route stores one.
    pub async fn make_channel(&self) {
        let key = self.key().await.unwrap();
        let sealed = key.seal_channel(&self.channel_context(), &SecretText::new(SIGNING.into()));
        let mut db = self.pool.get().await.unwrap();
        let tenant = Tenant::begin(&mut db, self.workspace).await.unwrap();
        let sql = "insert into ah5.t_notification_channels
                       (id, workspace_id, channel_type, config, sealed, enabled)
                   values (gen_random_uuid(), $1, 'webhook', $2, $3, false)";
        let config = json!({"url": HOOK});
        let workspace = self.workspace.uuid();
        tenant
            .execute(sql, &[&workspace, &config, &sealed])
            .await
            .unwrap();
        tenant.commit().await.unwrap();
    }

    fn channel_context(&self) -> ChannelContext<'static> {
        ChannelContext {
            workspace: self.workspace,
            channel_type: "webhook",
            destination: HOOK,
        }
    }

    pub async fn connect(&self) -> Bound {
        let auth = Auth::Header {
            name: "x-key".into(),
        };
        let bound = Bound {
            id: ConnectionId::random(),
            auth,
            base: self.world.url("/v2"),
        };
        let key = self.key().await.unwrap();
        let seal = |field, text: &str| {
            let destinations = bound.destinations(self.app);
            let context = SealContext {
                workspace: self.workspace,
                connection: bound.id,
                field,
                version: 1,
                service: "custom-http",
                auth: &bound.auth,
                destinations: &destinations,
            };
            key.seal(&context, &SecretText::new(text.to_owned()))
        };
        let new = NewConnection {
            id: bound.id,
            provider: "custom",
            service: "custom-http",
            label: "l",
            base_url: &bound.base,
            auth: &serde_json::to_value(&bound.auth).unwrap(),
            granted_scopes: &[],
            oauth: Some(NewOAuth {
                app: Some(self.app),
                token_url: TOKEN_URL,
                account: None,
                asked_scopes: &[],
                sealed_refresh: Some(&seal("refresh", REFRESH)),
                expires_at: None,
            }),
            mail: Some(&mail()),
            sealed: &seal("secret", support::SECRET),
        };
        let mut db = self.pool.get().await.unwrap();
        let tenant = Tenant::begin(&mut db, self.workspace).await.unwrap();
        connections::insert(&tenant, &new).await.unwrap();
        tenant.commit().await.unwrap();
        bound
    }

    /// What the connection's credential is under this key: secret and refresh token.
    pub async fn open(&self, key: &DataKey, bound: &Bound) -> Option<(String, String)> {
        let mut db = self.pool.get().await.unwrap();
        let tenant = Tenant::begin(&mut db, self.workspace).await.unwrap();
        let row = credentials::get(&tenant, bound.id).await.unwrap()?;
        let open = |field, sealed: &[u8]| {
            let destinations = bound.destinations(self.app);
            let context = SealContext {
                workspace: self.workspace,
                connection: bound.id,
                field,
                version: row.version,
                service: "custom-http",
                auth: &bound.auth,
                destinations: &destinations,
            };
            let opened = key.open(&context, sealed).ok()?;
            Some(opened.expose().to_owned())
        };
        let refresh = row.sealed_refresh.as_ref()?;
        Some((open("secret", &row.sealed)?, open("refresh", refresh)?))
    }

    /// The client's secret and the channel's.
    pub async fn open_others(&self, key: &DataKey) -> Option<(String, String)> {
        let db = self.pool.get().await.unwrap();
        drop(db);
        let mut db = self.pool.get().await.unwrap();
        let tenant = Tenant::begin(&mut db, self.workspace).await.unwrap();
        let sql = "select sealed_secret from ah5.t_workspace_oauth_apps where id = $1";
        let app = tenant.query_opt(sql, &[&self.app.uuid()]).await.unwrap()?;
        let app: Vec<u8> = app.get(0);
        let sql = "select sealed from ah5.t_notification_channels where channel_type = 'webhook'";
        let channel: Vec<u8> = tenant.query_opt(sql, &[]).await.unwrap()?.get(0);
        let app = key.open_oauth_app(&self.app_context(self.app), &app).ok()?;
        let channel = key.open_channel(&self.channel_context(), &channel).ok()?;
        Some((app.expose().to_owned(), channel.expose().to_owned()))
    }

    /// The request of an approval that waits.
    pub async fn open_request(&self, key: &DataKey, id: &str) -> Option<String> {
        let mut db = self.pool.get().await.unwrap();
        let tenant = Tenant::begin(&mut db, self.workspace).await.unwrap();
        let id: Uuid = id.parse().unwrap();
        let sql = "select digest, sealed from ah5.t_approval_requests where id = $1";
        let row = tenant.query_one(sql, &[&id]).await.unwrap();
        let (digest, sealed): (Vec<u8>, Vec<u8>) = (row.get(0), row.get(1));
        let context = RequestContext {
            workspace: self.workspace,
            approval: ApprovalId::from_uuid(id),
            digest: &digest,
        };
        let opened = key.open_request(&context, &sealed).ok()?;
        Some(opened.expose().to_owned())
    }

    /// Runs a command, which has to end well.
    pub fn operate(&self, arguments: &[&str]) -> String {
        let (code, said) = self.try_operate(arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}");
        said
    }

    pub fn try_operate(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.world.stack.operate(arguments, "").unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(said).unwrap(),
        )
    }
}

// === impl Bound ===

impl Bound {
    fn destinations(&self, app: OAuthAppId) -> ah5_security::vault::Destinations {
        connections::destinations(&self.base, Some(TOKEN_URL), Some(app), Some(&mail()))
    }
}

pub fn mail() -> Value {
    let mail = json!({
        "imap": {"host": "imap.example.com", "port": 993, "security": "tls", "username": "a"},
        "smtp": {"host": "smtp.example.com", "port": 465, "security": "tls", "username": "a"},
    });
    Mail::deserialize(&mail).unwrap();
    mail
}

const HOOK: &str = "https://hook.example.com/in";
