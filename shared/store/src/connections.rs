//! `t_connections`: provider accounts. Their secrets are in `credentials`.

mod replace;
mod row;

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;

use ah5_contracts::id::{ConnectionId, OAuthAppId};

use crate::StoreError;
use crate::credentials::{self, Secrets};
use crate::tenant::Tenant;

pub use replace::{Renewed, Replacement, reauthorize, replace_credential, set_health};
pub use row::{Connection, destinations};

use row::{COLUMNS, read};

pub struct NewConnection<'a> {
    pub id: ConnectionId,
    pub provider: &'a str,
    pub service: &'a str,
    pub label: &'a str,
    pub base_url: &'a str,
    pub auth: &'a Value,
    pub granted_scopes: &'a [String],
    pub oauth: Option<NewOAuth<'a>>,
    pub mail: Option<&'a Value>,
    /// The credential, version 1, sealed for exactly this connection.
    pub sealed: &'a [u8],
}

/// What a connection by OAuth has besides.
#[derive(Clone, Copy)]
pub struct NewOAuth<'a> {
    pub app: Option<OAuthAppId>,
    pub token_url: &'a str,
    pub account: Option<&'a str>,
    pub asked_scopes: &'a [String],
    /// The refresh token, sealed as field `refresh` of the same version.
    pub sealed_refresh: Option<&'a [u8]>,
    pub expires_at: Option<Timestamp>,
}

/// # Errors
/// The database fails.
pub async fn insert(tenant: &Tenant<'_>, new: &NewConnection<'_>) -> Result<(), StoreError> {
    let workspace = tenant.workspace().uuid();
    let sql = "insert into ah5.t_connections
                   (id, workspace_id, provider, service, label, base_url, auth, granted_scopes,
                    oauth_app_id, token_url, account, asked_scopes, mail)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let id = new.id.uuid();
    let app = new.oauth.and_then(|oauth| oauth.app).map(OAuthAppId::uuid);
    let none: &[String] = &[];
    tenant
        .execute(
            sql,
            &[
                &id,
                &workspace,
                &new.provider,
                &new.service,
                &new.label,
                &new.base_url,
                new.auth,
                &new.granted_scopes,
                &app,
                &new.oauth.map(|oauth| oauth.token_url),
                &new.oauth.and_then(|oauth| oauth.account),
                &new.oauth.map_or(none, |oauth| oauth.asked_scopes),
                &new.mail,
            ],
        )
        .await?;
    let secrets = Secrets {
        sealed: new.sealed,
        sealed_refresh: new.oauth.and_then(|oauth| oauth.sealed_refresh),
        expires_at: new.oauth.and_then(|oauth| oauth.expires_at),
    };
    credentials::insert(tenant, new.id, &secrets).await
}

/// Everything but the revoked, oldest first.
///
/// # Errors
/// The database fails.
pub async fn list(tenant: &Tenant<'_>) -> Result<Vec<Connection>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from ah5.t_connections where status <> 'revoked' order by created_at, id"
    );
    Ok(tenant.query(&sql, &[]).await?.iter().map(read).collect())
}

/// What a connection is called.
pub struct Name {
    pub id: ConnectionId,
    pub label: String,
    pub provider: String,
    pub revoked: bool,
}

/// The names of all, the revoked included, oldest first.
///
/// # Errors
/// The database fails.
pub async fn names(tenant: &Tenant<'_>) -> Result<Vec<Name>, StoreError> {
    let sql = "select id, label, provider, status = 'revoked' from ah5.t_connections
               order by created_at, id";
    let name = |row: &Row| Name {
        id: ConnectionId::from_uuid(row.get(0)),
        label: row.get(1),
        provider: row.get(2),
        revoked: row.get(3),
    };
    Ok(tenant.query(sql, &[]).await?.iter().map(name).collect())
}

/// How many there are, without the revoked. Whoever counts like this before inserting is alone at that
/// until his transaction ends.
///
/// # Errors
/// The database fails.
pub async fn count_to_insert(tenant: &Tenant<'_>) -> Result<i64, StoreError> {
    let workspace = tenant.workspace().to_string();
    let lock = "select pg_advisory_xact_lock(hashtextextended('ah5.t_connections' || $1, 0))";
    tenant.execute(lock, &[&workspace]).await?;
    let sql = "select count(*) from ah5.t_connections where status <> 'revoked'";
    Ok(tenant.query_one(sql, &[]).await?.get(0))
}

/// The revoked included.
///
/// # Errors
/// The database fails.
pub async fn count(tenant: &Tenant<'_>) -> Result<i64, StoreError> {
    let sql = "select count(*) from ah5.t_connections";
    Ok(tenant.query_one(sql, &[]).await?.get(0))
}

/// The connection, locked until the transaction ends.
///
/// # Errors
/// The database fails.
pub async fn lock(tenant: &Tenant<'_>, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
    let sql = format!("select {COLUMNS} from ah5.t_connections where id = $1 for update");
    Ok(tenant
        .query_opt(&sql, &[&id.uuid()])
        .await?
        .as_ref()
        .map(read))
}

/// # Errors
/// The database fails.
pub async fn get(tenant: &Tenant<'_>, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
    let sql = format!("select {COLUMNS} from ah5.t_connections where id = $1");
    let row = tenant.query_opt(&sql, &[&id.uuid()]).await?;
    Ok(row.as_ref().map(read))
}

/// What is known of the account, for people to tell it by.
///
/// # Errors
/// The database fails.
pub async fn set_metadata(
    tenant: &Tenant<'_>,
    id: ConnectionId,
    metadata: &Value,
) -> Result<(), StoreError> {
    let sql = "update ah5.t_connections set metadata = $2 where id = $1";
    tenant.execute(sql, &[&id.uuid(), metadata]).await?;
    Ok(())
}

/// What people may see of the credential: cut short, and never the whole of it.
///
/// # Errors
/// The database fails.
pub async fn set_preview(
    tenant: &Tenant<'_>,
    id: ConnectionId,
    preview: &Value,
) -> Result<(), StoreError> {
    let sql = "update ah5.t_connections set preview = $2 where id = $1";
    tenant.execute(sql, &[&id.uuid(), preview]).await?;
    Ok(())
}

/// # Errors
/// The database fails.
pub async fn rename(tenant: &Tenant<'_>, id: ConnectionId, label: &str) -> Result<(), StoreError> {
    let sql = "update ah5.t_connections set label = $2, updated_at = now() where id = $1";
    tenant.execute(sql, &[&id.uuid(), &label]).await?;
    Ok(())
}

/// Whether the workspace has a connection of this service that is not revoked. Nobody else finds
/// out the same until this transaction ends, so that no two make the only one.
///
/// # Errors
/// The database fails.
pub async fn has_of_service(tenant: &Tenant<'_>, service: &str) -> Result<bool, StoreError> {
    let lock = "select pg_advisory_xact_lock(hashtextextended($1, $2))";
    let name = format!("{} {service}", tenant.workspace());
    tenant.execute(lock, &[&name, &ONLY_ONE]).await?;
    // A statement of its own: it sees what was committed while the lock was waited for.
    let sql = "select exists (select from ah5.t_connections
                              where service = $1 and status <> 'revoked')";
    Ok(tenant.query_one(sql, &[&service]).await?.get(0))
}

/// The connections of an OAuth client need a person from now on. How many there are that are not
/// revoked.
///
/// # Errors
/// The database fails.
pub async fn end_of_app(
    tenant: &Tenant<'_>,
    app: OAuthAppId,
    reason: &str,
) -> Result<u64, StoreError> {
    let sql = "update ah5.t_connections
               set status = 'needs_reauth', reauth_reason = $2, updated_at = now()
               where oauth_app_id = $1 and status <> 'revoked'";
    Ok(tenant.execute(sql, &[&app.uuid(), &reason]).await?)
}

/// Revokes the connection, deletes its credential and revokes its policies. What a provider granted is
/// to be revoked there, too.
///
/// # Errors
/// The database fails.
pub async fn revoke(tenant: &Tenant<'_>, id: ConnectionId) -> Result<(), StoreError> {
    let sql = "update ah5.t_connections set status = 'revoked', updated_at = now() where id = $1";
    tenant.execute(sql, &[&id.uuid()]).await?;
    crate::revocations::queue(tenant, id).await?;
    credentials::delete(tenant, id).await?;
    crate::policies::revoke_of_connection(tenant, id.uuid()).await
}

/// Tells these locks from others.
const ONLY_ONE: i64 = 0x636f_6e6e;
