//! `t_workspaces`, `t_workspace_keys`: the tenants.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::Row;

use ah5_contracts::id::{UserId, WorkspaceId};
use ah5_contracts::role::Role;
use ah5_security::ring::Wrapped;

use crate::StoreError;
use crate::tenant::Tenant;
use crate::{data_keys, members};

pub struct Workspace {
    pub id: WorkspaceId,
    pub name: String,
    pub owner: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Makes the workspace that `tenant` is in, with its owner and its data key.
///
/// # Errors
/// The database fails.
pub async fn insert(
    tenant: &Tenant<'_>,
    owner: UserId,
    name: &str,
    key: &Wrapped,
) -> Result<(), StoreError> {
    let (id, owner) = (tenant.workspace().uuid(), owner.uuid());
    let workspace = "insert into ah5.t_workspaces (id, name, owner_id) values ($1, $2, $3)";
    tenant.execute(workspace, &[&id, &name, &owner]).await?;
    let wrapped = "insert into ah5.t_workspace_keys (workspace_id, ring_key_id, wrapped)
                   values ($1, $2, $3)";
    tenant
        .execute(wrapped, &[&id, &key.ring_key_id, &key.bytes])
        .await?;
    members::insert(tenant, UserId::from_uuid(owner), Role::Owner).await
}

/// # Errors
/// The database fails.
pub async fn current(tenant: &Tenant<'_>) -> Result<Option<Workspace>, StoreError> {
    let sql =
        "select id, name, owner_id, created_at, updated_at from ah5.t_workspaces where id = $1";
    let row = tenant.query_opt(sql, &[&tenant.workspace().uuid()]).await?;
    Ok(row.as_ref().map(read))
}

/// # Errors
/// The database fails.
pub async fn rename(tenant: &Tenant<'_>, name: &str) -> Result<Option<Workspace>, StoreError> {
    let sql = "update ah5.t_workspaces set name = $2, updated_at = now() where id = $1
               returning id, name, owner_id, created_at, updated_at";
    let id = tenant.workspace().uuid();
    let row = tenant.query_opt(sql, &[&id, &name]).await?;
    Ok(row.as_ref().map(read))
}

/// Hands the workspace over; the roles of both are the caller's to change.
///
/// # Errors
/// The database fails.
pub async fn set_owner(tenant: &Tenant<'_>, owner: UserId) -> Result<(), StoreError> {
    let sql = "update ah5.t_workspaces set owner_id = $2, updated_at = now() where id = $1";
    let id = tenant.workspace().uuid();
    tenant.execute(sql, &[&id, &owner.uuid()]).await?;
    Ok(())
}

/// Some workspaces, in the order of their ids, from after this one on.
///
/// # Errors
/// The database fails.
pub async fn ids(
    client: &impl GenericClient,
    after: WorkspaceId,
    most: i32,
) -> Result<Vec<WorkspaceId>, StoreError> {
    let sql = "select ah5.workspace_ids($1, $2)";
    let rows = client.query(sql, &[&after.uuid(), &most]).await?;
    let id = |row: &Row| WorkspaceId::from_uuid(row.get(0));
    Ok(rows.iter().map(id).collect())
}

/// The workspace's wrapped data key, to look at. Whoever opens or seals uses [`crate::data_keys`].
///
/// # Errors
/// The database fails.
pub async fn data_key(tenant: &Tenant<'_>) -> Result<Option<Wrapped>, StoreError> {
    let keys = data_keys::get(tenant).await?;
    Ok(keys.map(|keys| keys.current))
}

fn read(row: &Row) -> Workspace {
    Workspace {
        id: WorkspaceId::from_uuid(row.get("id")),
        name: row.get("name"),
        owner: UserId::from_uuid(row.get("owner_id")),
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
    }
}
