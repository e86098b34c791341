//! `t_connections` and `t_connection_credentials`: provider accounts and their sealed secrets.

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;
use tokio_postgres::Row;

use ah5_contracts::connection::Mail;
use ah5_contracts::id::{ConnectionId, OAuthAppId};
use ah5_security::vault::Destinations;

use crate::StoreError;
use crate::tenant::Tenant;

pub struct Connection {
    pub id: ConnectionId,
    pub provider: String,
    pub service: String,
    pub label: String,
    pub status: String,
    pub base_url: String,
    pub auth: Value,
    /// Whose client was consented to; `None` is the installation's own, or there is no OAuth.
    pub oauth_app: Option<OAuthAppId>,
    pub token_url: Option<String>,
    pub mail: Option<Value>,
    /// The provider's own name of the account.
    pub account: Option<String>,
    pub asked_scopes: Vec<String>,
    pub granted_scopes: Vec<String>,
    pub reauth_reason: Option<String>,
    pub metadata: Value,
    /// What may be seen of the credential; `None` if there is nothing.
    pub preview: Option<Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

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
    let sql = "insert into ah5.t_connection_credentials
                   (connection_id, workspace_id, sealed, sealed_refresh, expires_at)
               values ($1, $2, $3, $4, $5)";
    let refresh = new.oauth.and_then(|oauth| oauth.sealed_refresh);
    let expires_at = new.oauth.and_then(|oauth| oauth.expires_at);
    tenant
        .execute(sql, &[&id, &workspace, &new.sealed, &refresh, &expires_at])
        .await?;
    Ok(())
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

/// A credential as it is kept, and which version of it this is.
pub struct Credential {
    pub sealed: Vec<u8>,
    pub sealed_refresh: Option<Vec<u8>>,
    pub expires_at: Option<Timestamp>,
    pub version: i64,
}

/// `None` once the connection is revoked.
///
/// # Errors
/// The database fails.
pub async fn credential(
    tenant: &Tenant<'_>,
    id: ConnectionId,
) -> Result<Option<Credential>, StoreError> {
    let sql = "select sealed, sealed_refresh, expires_at, version
               from ah5.t_connection_credentials where connection_id = $1";
    let row = tenant.query_opt(sql, &[&id.uuid()]).await?;
    Ok(row.map(|row| Credential {
        sealed: row.get(0),
        sealed_refresh: row.get(1),
        expires_at: row.get(2),
        version: row.get(3),
    }))
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

/// A credential that takes another's place, and what came with it.
pub struct Replacement<'a> {
    pub id: ConnectionId,
    /// Of the credential that is replaced; what is sealed is of the next version.
    pub version: i64,
    pub base_url: &'a str,
    pub auth: &'a Value,
    pub mail: Option<&'a Value>,
    pub metadata: &'a Value,
    pub preview: &'a Value,
    pub sealed: &'a [u8],
}

/// `false` if another credential has taken its place, or the connection was revoked: then the
/// transaction must not be committed.
///
/// # Errors
/// The database fails.
pub async fn replace_credential(
    tenant: &Tenant<'_>,
    new: &Replacement<'_>,
) -> Result<bool, StoreError> {
    let id = new.id.uuid();
    // First, as whoever revokes does: the row is locked from then on.
    let sql = "update ah5.t_connections
               set status = 'healthy', reauth_reason = null, base_url = $2, auth = $3, mail = $4,
                   metadata = $5, preview = $6, updated_at = now()
               where id = $1 and status <> 'revoked'";
    let (auth, mail) = (new.auth, new.mail);
    let row = tenant
        .execute(
            sql,
            &[&id, &new.base_url, auth, &mail, new.metadata, new.preview],
        )
        .await?;
    let sql = "update ah5.t_connection_credentials
               set sealed = $3, sealed_refresh = null, expires_at = null, version = version + 1,
                   updated_at = now()
               where connection_id = $1 and version = $2";
    let secret = tenant
        .execute(sql, &[&id, &new.version, &new.sealed])
        .await?;
    Ok(row == 1 && secret == 1)
}

/// Writes down what a credential of this version was found to be. `false` if nothing changed: it was
/// known, or the credential was replaced or revoked since.
///
/// # Errors
/// The database fails.
pub async fn set_health(
    tenant: &Tenant<'_>,
    id: ConnectionId,
    version: i64,
    reason: Option<&str>,
) -> Result<bool, StoreError> {
    let (from, to) = match reason {
        None => ("needs_reauth", "healthy"),
        Some(_) => ("healthy", "needs_reauth"),
    };
    // The row is locked before its credential is looked at: who replaces that locks it first, too.
    if lock(tenant, id).await?.is_none() {
        return Ok(false);
    }
    let sql = "update ah5.t_connections c
               set status = $3, reauth_reason = $4, updated_at = now()
               where id = $1 and status = $5
                 and exists (select from ah5.t_connection_credentials s
                             where s.connection_id = c.id and s.version = $2)";
    let rows = tenant
        .execute(sql, &[&id.uuid(), &version, &to, &reason, &from])
        .await?;
    Ok(rows == 1)
}

/// New tokens for a connection that a person has consented to anew.
pub struct Renewed<'a> {
    pub app: Option<OAuthAppId>,
    pub token_url: &'a str,
    pub account: Option<&'a str>,
    pub asked_scopes: &'a [String],
    pub granted_scopes: &'a [String],
    /// `None` leaves what is known.
    pub metadata: Option<&'a Value>,
    /// Sealed as the version after the one it replaces.
    pub sealed: &'a [u8],
    pub sealed_refresh: Option<&'a [u8]>,
    pub expires_at: Option<Timestamp>,
}

/// Puts new tokens in place of the credential of this version. `false` if it is not that one any more,
/// or the connection was revoked: then nothing was changed.
///
/// # Errors
/// The database fails.
pub async fn reauthorize(
    tenant: &Tenant<'_>,
    id: ConnectionId,
    version: i64,
    new: &Renewed<'_>,
) -> Result<bool, StoreError> {
    // First, as whoever revokes or refreshes does.
    if lock(tenant, id).await?.is_none() {
        return Ok(false);
    }
    let id = id.uuid();
    let sql = "update ah5.t_connection_credentials as k
               set sealed = $3, sealed_refresh = $4, expires_at = $5, version = version + 1,
                   updated_at = now()
               from ah5.t_connections as c
               where k.connection_id = $1 and k.version = $2 and c.id = $1
                 and c.status <> 'revoked'";
    let replaced = tenant
        .execute(
            sql,
            &[
                &id,
                &version,
                &new.sealed,
                &new.sealed_refresh,
                &new.expires_at,
            ],
        )
        .await?;
    if replaced == 0 {
        return Ok(false);
    }
    let sql = "update ah5.t_connections
               set status = 'healthy', reauth_reason = null, oauth_app_id = $2, token_url = $3,
                   account = coalesce($4, account), asked_scopes = $5, granted_scopes = $6,
                   metadata = coalesce($7, metadata), updated_at = now()
               where id = $1 and status <> 'revoked'";
    let app = new.app.map(OAuthAppId::uuid);
    tenant
        .execute(
            sql,
            &[
                &id,
                &app,
                &new.token_url,
                &new.account,
                &new.asked_scopes,
                &new.granted_scopes,
                &new.metadata,
            ],
        )
        .await?;
    Ok(true)
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
    let id = id.uuid();
    let status =
        "update ah5.t_connections set status = 'revoked', updated_at = now() where id = $1";
    tenant.execute(status, &[&id]).await?;
    crate::revocations::queue(tenant, ConnectionId::from_uuid(id)).await?;
    let secret = "delete from ah5.t_connection_credentials where connection_id = $1";
    tenant.execute(secret, &[&id]).await?;
    crate::policies::revoke_of_connection(tenant, id).await
}

// === impl Connection ===

impl Connection {
    /// What was asked for and not granted.
    #[must_use]
    pub fn missing_scopes(&self) -> Vec<&str> {
        let granted = |scope: &String| {
            let mut granted = self.granted_scopes.iter();
            granted.any(|it| it.eq_ignore_ascii_case(scope))
        };
        let missing = self.asked_scopes.iter().filter(|scope| !granted(scope));
        missing.map(String::as_str).collect()
    }

    /// What its secrets are bound to.
    #[must_use]
    pub fn destinations(&self) -> Destinations {
        destinations(
            &self.base_url,
            self.token_url.as_deref(),
            self.oauth_app,
            self.mail.as_ref(),
        )
    }
}

/// What a connection's secrets are bound to, from what its row says.
#[must_use]
pub fn destinations(
    base_url: &str,
    token_url: Option<&str>,
    oauth_app: Option<OAuthAppId>,
    mail: Option<&Value>,
) -> Destinations {
    let destinations = Destinations::new(base_url)
        .token_url(token_url)
        .oauth_app(oauth_app);
    match mail.map(Mail::deserialize) {
        None => destinations,
        Some(Ok(mail)) => destinations.mail(&mail.imap.bound(), &mail.smtp.bound()),
        // Nothing was ever sealed for it.
        Some(Err(_)) => destinations.mail("malformed", "malformed"),
    }
}

/// Tells these locks from others.
const ONLY_ONE: i64 = 0x636f_6e6e;

const COLUMNS: &str = "id, provider, service, label, status, base_url, auth, oauth_app_id, token_url, \
                       mail, account, asked_scopes, granted_scopes, reauth_reason, metadata, \
                       preview, created_at, updated_at";

fn read(row: &Row) -> Connection {
    Connection {
        id: ConnectionId::from_uuid(row.get("id")),
        provider: row.get("provider"),
        service: row.get("service"),
        label: row.get("label"),
        status: row.get("status"),
        base_url: row.get("base_url"),
        auth: row.get("auth"),
        oauth_app: row
            .get::<_, Option<_>>("oauth_app_id")
            .map(OAuthAppId::from_uuid),
        token_url: row.get("token_url"),
        mail: row.get("mail"),
        account: row.get("account"),
        asked_scopes: row.get("asked_scopes"),
        reauth_reason: row.get("reauth_reason"),
        granted_scopes: row.get("granted_scopes"),
        metadata: row.get("metadata"),
        preview: row.get("preview"),
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
    }
}
