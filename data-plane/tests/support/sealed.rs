//! A connection written into the database as the routes write one: for what no route can bring about
//! without a provider that plays along.

use ah5_contracts::connection::Auth;
use ah5_contracts::id::{ConnectionId, WorkspaceId};
use ah5_providers::catalogue;
use ah5_security::ring::KeyRing;
use ah5_security::secret::SecretText;
use ah5_security::vault::SealContext;
use ah5_store::connections::{self, NewConnection, NewOAuth, destinations};
use ah5_store::database::Database;
use ah5_store::tenant::Tenant;
use ah5_store::workspaces;
use jiff::Timestamp;

use super::World;

/// By OAuth with the installation's client, if there is a token endpoint.
#[derive(Clone, Copy, Default)]
pub struct Sealed<'a> {
    pub service: &'a str,
    pub base_url: &'a str,
    pub secret: &'a str,
    pub token_url: Option<&'a str>,
    pub refresh: Option<&'a str>,
    /// Seconds from now.
    pub expires_in: Option<i64>,
}

/// The new connection's id.
pub async fn insert(world: &World, new: Sealed<'_>) -> String {
    let secrets = world.stack.folder().join("secrets");
    let read = |name: &str| std::fs::read_to_string(secrets.join(name)).unwrap();
    let workspace = workspace(world).await;
    let control = SecretText::new(read("ah5_control_login-database-url"));
    let pool = Database::parse(&control).unwrap().pool(1);
    let mut db = pool.get().await.unwrap();
    let tenant = Tenant::begin(&mut db, workspace).await.unwrap();
    let wrapped = workspaces::data_key(&tenant).await.unwrap().unwrap();
    let ring = KeyRing::load(&secrets.join("key-ring.json")).unwrap();
    let key = ring
        .unwrap(workspace, &wrapped.ring_key_id, &wrapped.bytes)
        .unwrap();
    let service = catalogue::find(new.service).unwrap();
    let auth = service.auth().unwrap_or(Auth::Bearer);
    let id = ConnectionId::random();
    let seal = |field, secret: &str| {
        let context = SealContext {
            workspace,
            connection: id,
            field,
            version: 1,
            service: &service.id,
            auth: &auth,
            destinations: &destinations(new.base_url, new.token_url, None, None),
        };
        key.seal(&context, &SecretText::new(secret.to_owned()))
    };
    let refresh = new.refresh.map(|refresh| seal("refresh", refresh));
    let expires_at = new
        .expires_in
        .map(|seconds| Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap());
    let oauth = new.token_url.map(|token_url| NewOAuth {
        app: None,
        token_url,
        account: None,
        asked_scopes: &[],
        sealed_refresh: refresh.as_deref(),
        expires_at,
    });
    let connection = NewConnection {
        id,
        provider: &service.provider,
        service: &service.id,
        label: "l",
        base_url: new.base_url,
        auth: &serde_json::to_value(&auth).unwrap(),
        granted_scopes: &[],
        oauth,
        mail: None,
        sealed: &seal("secret", new.secret),
    };
    connections::insert(&tenant, &connection).await.unwrap();
    tenant.commit().await.unwrap();
    id.to_string()
}

async fn workspace(world: &World) -> WorkspaceId {
    let secrets = world.stack.folder().join("secrets");
    let url = std::fs::read_to_string(secrets.join("migrate-database-url")).unwrap();
    let owner = Database::parse(&SecretText::new(url)).unwrap();
    let (client, _driver) = owner.connect().await.unwrap();
    let sql = "select workspace_id::text from ah5.t_connections where id::text = $1";
    let row = client.query_one(sql, &[&world.connection]).await.unwrap();
    row.get::<_, String>(0).parse().unwrap()
}
