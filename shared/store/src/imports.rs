//! `t_imports`: which workspaces an import made, and of which source.

use crate::StoreError;
use crate::tenant::Tenant;

/// The digest of the source that this workspace came from.
///
/// # Errors
/// The database fails.
pub async fn source(tenant: &Tenant<'_>) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "select source from ah5.t_imports where workspace_id = $1";
    let row = tenant.query_opt(sql, &[&tenant.workspace().uuid()]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// # Errors
/// The database fails.
pub async fn insert(tenant: &Tenant<'_>, source: &[u8]) -> Result<(), StoreError> {
    let sql = "insert into ah5.t_imports (workspace_id, source) values ($1, $2)";
    let workspace = tenant.workspace().uuid();
    tenant.execute(sql, &[&workspace, &source]).await?;
    Ok(())
}
