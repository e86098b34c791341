//! `t_workspaces`, `t_workspace_members`, `t_workspace_keys`: the tenants.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;

use ah5_contracts::id::{UserId, WorkspaceId};
use ah5_contracts::role::Role;
use ah5_security::ring::Wrapped;

use crate::StoreError;
use crate::tenant::Tenant;

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
/// The database fails, or the user owns a workspace already.
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
    let member = "insert into ah5.t_workspace_members (workspace_id, user_id, role)
                  values ($1, $2, 'owner')";
    tenant.execute(member, &[&id, &owner]).await?;
    Ok(())
}

/// The user's workspaces, his own first.
///
/// # Errors
/// The database fails.
pub async fn of_member(
    client: &impl GenericClient,
    user: UserId,
) -> Result<Vec<(WorkspaceId, Role)>, StoreError> {
    let rows = client
        .query(
            "select workspace_id, role from ah5.member_workspaces($1)",
            &[&user.uuid()],
        )
        .await?;
    let member = |row: &tokio_postgres::Row| {
        // A role that this build doesn't know is no role.
        let role = row.get::<_, String>(1).parse().ok()?;
        Some((WorkspaceId::from_uuid(row.get(0)), role))
    };
    Ok(rows.iter().filter_map(member).collect())
}

/// # Errors
/// The database fails.
pub async fn current(tenant: &Tenant<'_>) -> Result<Option<Workspace>, StoreError> {
    let sql =
        "select id, name, owner_id, created_at, updated_at from ah5.t_workspaces where id = $1";
    let row = tenant.query_opt(sql, &[&tenant.workspace().uuid()]).await?;
    Ok(row.map(|row| Workspace {
        id: WorkspaceId::from_uuid(row.get(0)),
        name: row.get(1),
        owner: UserId::from_uuid(row.get(2)),
        created_at: row.get(3),
        updated_at: row.get(4),
    }))
}

/// The workspace's wrapped data key.
///
/// # Errors
/// The database fails.
pub async fn data_key(tenant: &Tenant<'_>) -> Result<Option<Wrapped>, StoreError> {
    let sql = "select ring_key_id, wrapped from ah5.t_workspace_keys where workspace_id = $1";
    let row = tenant.query_opt(sql, &[&tenant.workspace().uuid()]).await?;
    Ok(row.map(|row| Wrapped {
        ring_key_id: row.get(0),
        bytes: row.get(1),
    }))
}
