//! `t_connection_credentials`: the sealed secret of each connection that is not revoked. Here it is
//! written, and read for use; `revocations`, `sealed` and `snapshot` carry it on as it is.

use jiff::Timestamp;

use ah5_contracts::id::ConnectionId;

use crate::StoreError;
use crate::connections;
use crate::tenant::Tenant;

/// A credential as it is kept, and which version of it this is.
pub struct Credential {
    pub sealed: Vec<u8>,
    pub sealed_refresh: Option<Vec<u8>>,
    pub expires_at: Option<Timestamp>,
    pub version: i64,
}

/// What is to be kept.
pub(crate) struct Secrets<'a> {
    pub sealed: &'a [u8],
    /// The refresh token, sealed as field `refresh` of the same version.
    pub sealed_refresh: Option<&'a [u8]>,
    pub expires_at: Option<Timestamp>,
}

/// `None` once the connection is revoked.
///
/// # Errors
/// The database fails.
pub async fn get(tenant: &Tenant<'_>, id: ConnectionId) -> Result<Option<Credential>, StoreError> {
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

/// The first of a connection: version 1.
pub(crate) async fn insert(
    tenant: &Tenant<'_>,
    id: ConnectionId,
    new: &Secrets<'_>,
) -> Result<(), StoreError> {
    let sql = "insert into ah5.t_connection_credentials
                   (connection_id, workspace_id, sealed, sealed_refresh, expires_at)
               values ($1, $2, $3, $4, $5)";
    let (id, workspace) = (id.uuid(), tenant.workspace().uuid());
    let (refresh, expires_at) = (&new.sealed_refresh, &new.expires_at);
    tenant
        .execute(sql, &[&id, &workspace, &new.sealed, refresh, expires_at])
        .await?;
    Ok(())
}

/// Puts secrets, sealed as the next version, in place of those of this version. `false` if another
/// has taken their place, or the connection was revoked: then nothing was changed.
pub(crate) async fn replace(
    tenant: &Tenant<'_>,
    id: ConnectionId,
    version: i64,
    new: &Secrets<'_>,
) -> Result<bool, StoreError> {
    // First the connection's row, as whoever revokes or refreshes does.
    let connection = connections::lock(tenant, id).await?;
    if connection.is_none_or(|connection| connection.status == "revoked") {
        return Ok(false);
    }
    let sql = "update ah5.t_connection_credentials
               set sealed = $3, sealed_refresh = $4, expires_at = $5, version = version + 1,
                   updated_at = now()
               where connection_id = $1 and version = $2";
    let (refresh, expires_at) = (&new.sealed_refresh, &new.expires_at);
    let rows = tenant
        .execute(
            sql,
            &[&id.uuid(), &version, &new.sealed, refresh, expires_at],
        )
        .await?;
    Ok(rows == 1)
}

/// Whether this is still the credential. It stays so while the connection's row is locked.
pub(crate) async fn is_current(
    tenant: &Tenant<'_>,
    id: ConnectionId,
    version: i64,
) -> Result<bool, StoreError> {
    let sql = "select exists (select from ah5.t_connection_credentials
                              where connection_id = $1 and version = $2)";
    Ok(tenant.query_one(sql, &[&id.uuid(), &version]).await?.get(0))
}

pub(crate) async fn delete(tenant: &Tenant<'_>, id: ConnectionId) -> Result<(), StoreError> {
    let sql = "delete from ah5.t_connection_credentials where connection_id = $1";
    tenant.execute(sql, &[&id.uuid()]).await?;
    Ok(())
}
