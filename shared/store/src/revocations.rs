//! `t_revocations`: tokens on their way to be revoked at their providers. Put in by whoever revokes
//! or replaces a credential, in the same transaction and with the seal that it had, so that nothing
//! need be opened for it.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use ah5_contracts::id::{ConnectionId, OAuthAppId, WorkspaceId};
use ah5_security::vault::Destinations;

use crate::StoreError;
use crate::connections::destinations;
use crate::tenant::Tenant;

/// A token that the caller alone may revoke until its lease ends.
pub struct Revocation {
    pub id: Uuid,
    pub connection: ConnectionId,
    pub provider: String,
    pub service: String,
    pub auth: Value,
    pub base_url: String,
    pub token_url: String,
    pub oauth_app: Option<OAuthAppId>,
    pub version: i64,
    pub is_refresh: bool,
    pub sealed: Vec<u8>,
    /// This one included.
    pub attempts: i32,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was tried for as long as it makes sense.
    Failed,
    Revoked,
    /// The provider has no way to do it.
    Unsupported,
}

/// Puts the connection's credential into the queue, if it is one of OAuth: its refresh token, with
/// which the whole grant goes, else its access token. Before the credential is deleted or replaced,
/// and in the same transaction.
///
/// # Errors
/// The database fails.
pub async fn queue(tenant: &Tenant<'_>, connection: ConnectionId) -> Result<(), StoreError> {
    let sql = "
        insert into ah5.t_revocations (workspace_id, connection_id, provider, service, auth, base_url,
                                       token_url, oauth_app_id, version, is_refresh, sealed)
        select c.workspace_id, c.id, c.provider, c.service, c.auth, c.base_url, c.token_url,
               c.oauth_app_id, s.version, s.sealed_refresh is not null,
               coalesce(s.sealed_refresh, s.sealed)
        from ah5.t_connections c
        join ah5.t_connection_credentials s on s.connection_id = c.id
        where c.id = $1 and c.token_url is not null";
    tenant.execute(sql, &[&connection.uuid()]).await?;
    Ok(())
}

/// A new token that no connection takes.
pub struct Unwanted<'a> {
    pub auth: &'a Value,
    pub token_url: &'a str,
    pub oauth_app: Option<OAuthAppId>,
    /// Whose it is, in the provider's words.
    pub account: &'a str,
    pub is_refresh: bool,
    /// Sealed for the connection, as of [`UNWANTED`].
    pub sealed: &'a [u8],
}

/// Puts a token into the queue that came for this connection and is not its own. Not while another
/// connection is of the same account and client: a provider may take back what that one has, too.
///
/// # Errors
/// The database fails.
pub async fn queue_unwanted(
    tenant: &Tenant<'_>,
    connection: ConnectionId,
    token: &Unwanted<'_>,
) -> Result<(), StoreError> {
    let sql = "
        insert into ah5.t_revocations (workspace_id, connection_id, provider, service, auth, base_url,
                                       token_url, oauth_app_id, version, is_refresh, sealed)
        select c.workspace_id, c.id, c.provider, c.service, $2, c.base_url, $3, $4, $5, $6, $7
        from ah5.t_connections c
        where c.id = $1 and not exists (
            select from ah5.t_connections o
            where o.status <> 'revoked' and o.provider = c.provider and o.account = $8
              and o.oauth_app_id is not distinct from $4)";
    let app = token.oauth_app.map(OAuthAppId::uuid);
    tenant
        .execute(
            sql,
            &[
                &connection.uuid(),
                token.auth,
                &token.token_url,
                &app,
                &UNWANTED,
                &token.is_refresh,
                &token.sealed,
                &token.account,
            ],
        )
        .await?;
    Ok(())
}

/// The version that such a token is sealed for: no credential ever has it, so that the token does not
/// open as one.
pub const UNWANTED: i64 = 0;

/// Takes what is due, in whatever workspace.
///
/// # Errors
/// The database fails.
pub async fn claim(
    client: &impl GenericClient,
    most: i32,
    lease_seconds: i32,
) -> Result<Vec<(WorkspaceId, Uuid)>, StoreError> {
    let sql = "select workspace_id, id from ah5.claim_revocations($1, $2)";
    let rows = client.query(sql, &[&most, &lease_seconds]).await?;
    let claimed = rows
        .iter()
        .map(|row| (WorkspaceId::from_uuid(row.get(0)), row.get(1)));
    Ok(claimed.collect())
}

/// `None` once it is over.
///
/// # Errors
/// The database fails.
pub async fn get(tenant: &Tenant<'_>, id: Uuid) -> Result<Option<Revocation>, StoreError> {
    let sql = "select connection_id, provider, service, auth, base_url, token_url, oauth_app_id,
                      version, is_refresh, sealed, attempts, created_at
               from ah5.t_revocations where id = $1 and result is null";
    let row = tenant.query_opt(sql, &[&id]).await?;
    Ok(row.map(|row| Revocation {
        id,
        connection: ConnectionId::from_uuid(row.get(0)),
        provider: row.get(1),
        service: row.get(2),
        auth: row.get(3),
        base_url: row.get(4),
        token_url: row.get(5),
        oauth_app: row.get::<_, Option<_>>(6).map(OAuthAppId::from_uuid),
        version: row.get(7),
        is_refresh: row.get(8),
        sealed: row.get(9),
        attempts: row.get(10),
        created_at: row.get(11),
    }))
}

/// Ends it and deletes the token. False if it was over, or somebody else has it by now.
///
/// # Errors
/// The database fails.
pub async fn settle(
    tenant: &Tenant<'_>,
    revocation: &Revocation,
    ended: Ended,
) -> Result<bool, StoreError> {
    let sql = "update ah5.t_revocations set result = $3, sealed = null, finished_at = now()
               where id = $1 and attempts = $2 and result is null";
    let settled = tenant
        .execute(
            sql,
            &[&revocation.id, &revocation.attempts, &ended.as_str()],
        )
        .await?;
    Ok(settled == 1)
}

/// It is tried again after so many seconds.
///
/// # Errors
/// The database fails.
pub async fn put_off(
    tenant: &Tenant<'_>,
    revocation: &Revocation,
    seconds: i32,
) -> Result<(), StoreError> {
    let sql = "update ah5.t_revocations
               set next_attempt_at = clock_timestamp() + make_interval(secs => $3)
               where id = $1 and attempts = $2 and result is null";
    let seconds = f64::from(seconds);
    tenant
        .execute(sql, &[&revocation.id, &revocation.attempts, &seconds])
        .await?;
    Ok(())
}

/// Drops what was over a month ago.
///
/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<(), StoreError> {
    client
        .execute("select ah5.prune_revocations()", &[])
        .await?;
    Ok(())
}

// === impl Revocation ===

impl Revocation {
    /// What its seal is bound to.
    #[must_use]
    pub fn destinations(&self) -> Destinations {
        destinations(&self.base_url, Some(&self.token_url), self.oauth_app, None)
    }
}

// === impl Ended ===

impl Ended {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Revoked => "revoked",
            Self::Unsupported => "unsupported",
        }
    }
}
