//! Everything of a workspace that is sealed under its data key, some rows at a time: for a change of
//! keys, and for its end.

use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use ah5_contracts::id::{ApprovalId, ConnectionId, OAuthAppId, PendingConnectionId, UserId};
use ah5_security::vault::Destinations;

use crate::StoreError;
use crate::connections::destinations;
use crate::tenant::Tenant;

pub struct Credential {
    pub connection: ConnectionId,
    pub service: String,
    pub auth: Value,
    pub destinations: Destinations,
    pub version: i64,
    pub sealed: Vec<u8>,
    pub sealed_refresh: Option<Vec<u8>>,
}

pub struct OAuthApp {
    pub id: OAuthAppId,
    pub provider: String,
    pub client_id: String,
    pub version: i64,
    pub tenant: Option<String>,
    /// Of a provider that is not in the catalogue.
    pub endpoints: Option<Value>,
    pub sealed: Vec<u8>,
}

/// Of a connection that is revoked here.
pub struct Token {
    pub id: Uuid,
    pub connection: ConnectionId,
    pub service: String,
    pub auth: Value,
    pub destinations: Destinations,
    pub version: i64,
    pub is_refresh: bool,
    pub sealed: Vec<u8>,
}

pub struct Pending {
    pub id: PendingConnectionId,
    pub user: UserId,
    pub service: String,
    pub base_url: String,
    pub app: Option<OAuthAppId>,
    pub reauth: Option<ConnectionId>,
    pub token_url: String,
    pub sealed_secret: Vec<u8>,
    pub sealed_code: Option<Vec<u8>>,
    pub asks_first: bool,
}

pub struct Channel {
    pub id: Uuid,
    pub channel_type: String,
    pub config: Value,
    pub sealed: Vec<u8>,
}

pub struct Approval {
    pub id: ApprovalId,
    pub digest: Vec<u8>,
    pub sealed: Vec<u8>,
}

/// What the end of a workspace's secrets has ended.
pub struct Ended {
    pub connections: u64,
    pub agents: u64,
    pub oauth_apps: u64,
    pub channels: u64,
    pub approvals: u64,
}

/// Those after this one, in the order of their ids, locked.
///
/// # Errors
/// The database fails.
pub async fn credentials(tenant: &Tenant<'_>, after: Uuid) -> Result<Vec<Credential>, StoreError> {
    let sql = "select c.id, c.service, c.auth, c.base_url, c.token_url, c.oauth_app_id, c.mail,
                      k.version, k.sealed, k.sealed_refresh
               from ah5.t_connection_credentials k join ah5.t_connections c on c.id = k.connection_id
               where c.id > $1 order by c.id limit $2 for update of k";
    let read = |row: &Row| Credential {
        connection: ConnectionId::from_uuid(row.get(0)),
        service: row.get(1),
        auth: row.get(2),
        destinations: destinations(
            row.get(3),
            row.get(4),
            row.get::<_, Option<_>>(5).map(OAuthAppId::from_uuid),
            row.get::<_, Option<Value>>(6).as_ref(),
        ),
        version: row.get(7),
        sealed: row.get(8),
        sealed_refresh: row.get(9),
    };
    some(tenant, sql, after, read).await
}

/// The version stays: it is the same credential.
///
/// # Errors
/// The database fails.
pub async fn put_credential(tenant: &Tenant<'_>, new: &Credential) -> Result<(), StoreError> {
    let sql = "update ah5.t_connection_credentials set sealed = $2, sealed_refresh = $3
               where connection_id = $1 and version = $4";
    put(
        tenant,
        sql,
        &[
            &new.connection.uuid(),
            &new.sealed,
            &new.sealed_refresh,
            &new.version,
        ],
    )
    .await
}

/// As [`credentials`].
///
/// # Errors
/// The database fails.
pub async fn oauth_apps(tenant: &Tenant<'_>, after: Uuid) -> Result<Vec<OAuthApp>, StoreError> {
    let sql = "select id, provider, client_id, version, tenant_id, endpoints, sealed_secret
               from ah5.t_workspace_oauth_apps where id > $1 and sealed_secret is not null
               order by id limit $2 for update";
    let read = |row: &Row| OAuthApp {
        id: OAuthAppId::from_uuid(row.get(0)),
        provider: row.get(1),
        client_id: row.get(2),
        version: row.get(3),
        tenant: row.get(4),
        endpoints: row.get(5),
        sealed: row.get(6),
    };
    some(tenant, sql, after, read).await
}

/// # Errors
/// The database fails.
pub async fn put_oauth_app(
    tenant: &Tenant<'_>,
    id: OAuthAppId,
    sealed: &[u8],
) -> Result<(), StoreError> {
    let sql = "update ah5.t_workspace_oauth_apps set sealed_secret = $2 where id = $1";
    put(tenant, sql, &[&id.uuid(), &sealed]).await
}

/// A client with its secret, version 1, sealed for exactly this app.
pub struct NewOAuthApp<'a> {
    pub id: OAuthAppId,
    pub provider: &'a str,
    pub client_id: &'a str,
    pub tenant: Option<&'a str>,
    pub label: &'a str,
    pub sealed: &'a [u8],
}

/// False where the workspace has one of this provider.
///
/// # Errors
/// The database fails.
pub async fn insert_oauth_app(
    tenant: &Tenant<'_>,
    new: &NewOAuthApp<'_>,
) -> Result<bool, StoreError> {
    let sql = "insert into ah5.t_workspace_oauth_apps
                   (id, workspace_id, provider, client_id, tenant_id, label, sealed_secret)
               select $1, $2, $3, $4, $5, $6, $7
               where not exists (select from ah5.t_workspace_oauth_apps where provider = $3)";
    let (id, workspace) = (new.id.uuid(), tenant.workspace().uuid());
    let made = tenant
        .execute(
            sql,
            &[
                &id,
                &workspace,
                &new.provider,
                &new.client_id,
                &new.tenant,
                &new.label,
                &new.sealed,
            ],
        )
        .await?;
    Ok(made > 0)
}

/// # Errors
/// The database fails.
pub async fn oauth_app_ids(tenant: &Tenant<'_>) -> Result<Vec<Uuid>, StoreError> {
    let sql = "select id from ah5.t_workspace_oauth_apps";
    let rows = tenant.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// As [`credentials`]: tokens that wait to be revoked at their providers.
///
/// # Errors
/// The database fails.
pub async fn revocations(tenant: &Tenant<'_>, after: Uuid) -> Result<Vec<Token>, StoreError> {
    let sql = "select id, connection_id, service, auth, base_url, token_url, oauth_app_id, version,
                      is_refresh, sealed
               from ah5.t_revocations where id > $1 and sealed is not null
               order by id limit $2 for no key update";
    let read = |row: &Row| Token {
        id: row.get(0),
        connection: ConnectionId::from_uuid(row.get(1)),
        service: row.get(2),
        auth: row.get(3),
        destinations: destinations(
            row.get(4),
            row.get(5),
            row.get::<_, Option<_>>(6).map(OAuthAppId::from_uuid),
            None,
        ),
        version: row.get(7),
        is_refresh: row.get(8),
        sealed: row.get(9),
    };
    some(tenant, sql, after, read).await
}

/// # Errors
/// The database fails.
pub async fn put_revocation(
    tenant: &Tenant<'_>,
    id: Uuid,
    sealed: &[u8],
) -> Result<(), StoreError> {
    let sql = "update ah5.t_revocations set sealed = $2 where id = $1 and sealed is not null";
    put(tenant, sql, &[&id, &sealed]).await
}

/// As [`credentials`]: consents under way.
///
/// # Errors
/// The database fails.
pub async fn pending(tenant: &Tenant<'_>, after: Uuid) -> Result<Vec<Pending>, StoreError> {
    let sql = "select id, token_url, sealed_secret, sealed_code, user_id, service, base_url,
                      oauth_app_id, reauth_connection_id, asks_first
               from ah5.t_pending_connections
               where id > $1 order by id limit $2 for no key update";
    let read = |row: &Row| Pending {
        id: PendingConnectionId::from_uuid(row.get(0)),
        token_url: row.get(1),
        sealed_secret: row.get(2),
        sealed_code: row.get(3),
        user: UserId::from_uuid(row.get(4)),
        service: row.get(5),
        base_url: row.get(6),
        app: row.get::<_, Option<_>>(7).map(OAuthAppId::from_uuid),
        reauth: row.get::<_, Option<_>>(8).map(ConnectionId::from_uuid),
        asks_first: row.get(9),
    };
    some(tenant, sql, after, read).await
}

/// # Errors
/// The database fails.
pub async fn put_pending(tenant: &Tenant<'_>, new: &Pending) -> Result<(), StoreError> {
    let sql = "update ah5.t_pending_connections set sealed_secret = $2, sealed_code = $3
               where id = $1";
    let id = new.id.uuid();
    put(tenant, sql, &[&id, &new.sealed_secret, &new.sealed_code]).await
}

/// As [`credentials`].
///
/// # Errors
/// The database fails.
pub async fn channels(tenant: &Tenant<'_>, after: Uuid) -> Result<Vec<Channel>, StoreError> {
    let sql = "select id, channel_type, config, sealed from ah5.t_notification_channels
               where id > $1 and sealed is not null order by id limit $2 for no key update";
    let read = |row: &Row| Channel {
        id: row.get(0),
        channel_type: row.get(1),
        config: row.get(2),
        sealed: row.get(3),
    };
    some(tenant, sql, after, read).await
}

/// # Errors
/// The database fails.
pub async fn put_channel(tenant: &Tenant<'_>, id: Uuid, sealed: &[u8]) -> Result<(), StoreError> {
    let sql = "update ah5.t_notification_channels set sealed = $2 where id = $1";
    put(tenant, sql, &[&id, &sealed]).await
}

/// As [`credentials`].
///
/// # Errors
/// The database fails.
pub async fn approvals(tenant: &Tenant<'_>, after: Uuid) -> Result<Vec<Approval>, StoreError> {
    let sql = "select id, digest, sealed from ah5.t_approval_requests
               where id > $1 and sealed is not null order by id limit $2 for no key update";
    let read = |row: &Row| Approval {
        id: ApprovalId::from_uuid(row.get(0)),
        digest: row.get(1),
        sealed: row.get(2),
    };
    some(tenant, sql, after, read).await
}

/// # Errors
/// The database fails.
pub async fn put_approval(
    tenant: &Tenant<'_>,
    id: ApprovalId,
    sealed: &[u8],
) -> Result<(), StoreError> {
    let sql = "update ah5.t_approval_requests set sealed = $2 where id = $1 and sealed is not null";
    put(tenant, sql, &[&id.uuid(), &sealed]).await
}

/// How many agents and connections there are to end.
///
/// # Errors
/// The database fails.
pub async fn count(tenant: &Tenant<'_>) -> Result<(i64, i64), StoreError> {
    let sql = "select (select count(*) from ah5.t_agents where status <> 'disabled'),
                      (select count(*) from ah5.t_connections where status <> 'revoked')";
    let row = tenant.query_one(sql, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

/// Ends what lives by the workspace's secrets, and deletes them. Without the data key they are
/// noise; this keeps nobody waiting for what can't work any more.
///
/// # Errors
/// The database fails.
pub async fn end_all(tenant: &Tenant<'_>) -> Result<Ended, StoreError> {
    let run = async |sql: &str| tenant.execute(sql, &[]).await;
    // Connections before their credentials, as whoever else writes both.
    let connections = run(
        "update ah5.t_connections set status = 'revoked', updated_at = now()
         where status <> 'revoked'",
    )
    .await?;
    run("delete from ah5.t_connection_credentials").await?;
    run("delete from ah5.t_pending_connections").await?;
    run(
        "update ah5.t_policies set status = 'revoked', version = version + 1, updated_at = now()
         where status <> 'revoked'",
    )
    .await?;
    Ok(Ended {
        connections,
        agents: run(
            "update ah5.t_agents set status = 'disabled', disabled_at = now(),
                            epoch = epoch + 1, updated_at = now() where status <> 'disabled'",
        )
        .await?,
        channels: run("delete from ah5.t_notification_channels where sealed is not null").await?,
        oauth_apps: run("delete from ah5.t_workspace_oauth_apps").await?,
        approvals: run("update ah5.t_approval_requests
                        set status = case status when 'executing' then 'outcome_unknown'
                                     else 'denied' end,
                            sealed = null, decided_at = coalesce(decided_at, now())
                        where sealed is not null")
        .await?,
    })
}

async fn some<T>(
    tenant: &Tenant<'_>,
    sql: &str,
    after: Uuid,
    read: impl Fn(&Row) -> T,
) -> Result<Vec<T>, StoreError> {
    let rows = tenant.query(sql, &[&after, &AT_ONCE]).await?;
    Ok(rows.iter().map(read).collect())
}

async fn put(
    tenant: &Tenant<'_>,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<(), StoreError> {
    tenant.execute(sql, values).await?;
    Ok(())
}

/// Rows of one kind that are locked at a time.
pub const AT_ONCE: i64 = 200;
