//! Another credential in place of a connection's own, and what it was found to be worth.

use jiff::Timestamp;
use serde_json::Value;

use ah5_contracts::id::{ConnectionId, OAuthAppId};

use super::lock;
use crate::StoreError;
use crate::credentials::{self, Secrets};
use crate::tenant::Tenant;

/// A credential that a person entered, and what came with it.
pub struct Replacement<'a> {
    pub base_url: &'a str,
    pub auth: &'a Value,
    pub mail: Option<&'a Value>,
    pub metadata: &'a Value,
    pub preview: &'a Value,
    /// Sealed as the version after the one it replaces.
    pub sealed: &'a [u8],
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

/// Puts what was entered in place of the credential of this version. `false` if it is not that one
/// any more, or the connection was revoked: then nothing was changed.
///
/// # Errors
/// The database fails.
pub async fn replace_credential(
    tenant: &Tenant<'_>,
    id: ConnectionId,
    version: i64,
    new: &Replacement<'_>,
) -> Result<bool, StoreError> {
    let secrets = Secrets {
        sealed: new.sealed,
        sealed_refresh: None,
        expires_at: None,
    };
    if !credentials::replace(tenant, id, version, &secrets).await? {
        return Ok(false);
    }
    let sql = "update ah5.t_connections
               set status = 'healthy', reauth_reason = null, base_url = $2, auth = $3, mail = $4,
                   metadata = $5, preview = $6, updated_at = now()
               where id = $1";
    let id = id.uuid();
    let (auth, mail) = (new.auth, new.mail);
    tenant
        .execute(
            sql,
            &[&id, &new.base_url, auth, &mail, new.metadata, new.preview],
        )
        .await?;
    Ok(true)
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
    let secrets = Secrets {
        sealed: new.sealed,
        sealed_refresh: new.sealed_refresh,
        expires_at: new.expires_at,
    };
    if !credentials::replace(tenant, id, version, &secrets).await? {
        return Ok(false);
    }
    let sql = "update ah5.t_connections
               set status = 'healthy', reauth_reason = null, oauth_app_id = $2, token_url = $3,
                   account = coalesce($4, account), asked_scopes = $5, granted_scopes = $6,
                   metadata = coalesce($7, metadata), updated_at = now()
               where id = $1";
    let app = new.app.map(OAuthAppId::uuid);
    tenant
        .execute(
            sql,
            &[
                &id.uuid(),
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
    let locked = lock(tenant, id).await?;
    if locked.is_none() || !credentials::is_current(tenant, id, version).await? {
        return Ok(false);
    }
    let sql = "update ah5.t_connections
               set status = $2, reauth_reason = $3, updated_at = now()
               where id = $1 and status = $4";
    let rows = tenant
        .execute(sql, &[&id.uuid(), &to, &reason, &from])
        .await?;
    Ok(rows == 1)
}
