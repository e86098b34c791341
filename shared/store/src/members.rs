//! `t_workspace_members`: who belongs to a workspace, and as what.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;

use ah5_contracts::id::{UserId, WorkspaceId};
use ah5_contracts::role::Role;

use crate::StoreError;
use crate::tenant::Tenant;

pub struct Member {
    pub user: UserId,
    pub name: String,
    pub email: String,
    pub role: String,
    pub joined_at: Timestamp,
}

/// One of a user's workspaces.
pub struct Membership {
    pub workspace: WorkspaceId,
    pub name: String,
    pub role: Role,
    pub owned: bool,
}

/// The user's workspaces, those of his own first.
///
/// # Errors
/// The database fails.
pub async fn of_user(
    client: &impl GenericClient,
    user: UserId,
) -> Result<Vec<Membership>, StoreError> {
    let sql = "select workspace_id, role, owned, name from ah5.member_workspaces($1)";
    let rows = client.query(sql, &[&user.uuid()]).await?;
    let membership = |row: &tokio_postgres::Row| {
        Some(Membership {
            workspace: WorkspaceId::from_uuid(row.get(0)),
            // A role that this build doesn't know is no role.
            role: row.get::<_, String>(1).parse().ok()?,
            owned: row.get(2),
            name: row.get(3),
        })
    };
    Ok(rows.iter().filter_map(membership).collect())
}

/// # Errors
/// The database fails.
pub async fn list(tenant: &Tenant<'_>) -> Result<Vec<Member>, StoreError> {
    let sql = "select m.user_id, u.name, u.email, m.role, m.created_at
               from ah5.t_workspace_members m join ah5.t_users u on u.id = m.user_id
               order by m.created_at, m.user_id";
    let rows = tenant.query(sql, &[]).await?;
    let member = |row: &tokio_postgres::Row| Member {
        user: UserId::from_uuid(row.get(0)),
        name: row.get(1),
        email: row.get(2),
        role: row.get(3),
        joined_at: row.get(4),
    };
    Ok(rows.iter().map(member).collect())
}

/// The member's role, locked against change until this transaction ends.
///
/// # Errors
/// The database fails.
pub async fn lock(tenant: &Tenant<'_>, user: UserId) -> Result<Option<Role>, StoreError> {
    let sql = "select role from ah5.t_workspace_members where user_id = $1 for update";
    let row = tenant.query_opt(sql, &[&user.uuid()]).await?;
    Ok(row.and_then(|row| row.get::<_, String>(0).parse().ok()))
}

/// # Errors
/// `Conflict("t_workspace_members_pkey")` if the user is a member already.
pub async fn insert(tenant: &Tenant<'_>, user: UserId, role: Role) -> Result<(), StoreError> {
    let sql = "insert into ah5.t_workspace_members (workspace_id, user_id, role)
               values ($1, $2, $3)";
    let workspace = tenant.workspace().uuid();
    tenant
        .execute(sql, &[&workspace, &user.uuid(), &role.as_str()])
        .await?;
    Ok(())
}

/// # Errors
/// The database fails.
pub async fn set_role(tenant: &Tenant<'_>, user: UserId, role: Role) -> Result<(), StoreError> {
    let sql = "update ah5.t_workspace_members set role = $2 where user_id = $1";
    tenant.execute(sql, &[&user.uuid(), &role.as_str()]).await?;
    Ok(())
}

/// Takes the member's personal tokens along.
///
/// # Errors
/// The database fails.
pub async fn remove(tenant: &Tenant<'_>, user: UserId) -> Result<(), StoreError> {
    let sql = "delete from ah5.t_workspace_members where user_id = $1";
    tenant.execute(sql, &[&user.uuid()]).await?;
    Ok(())
}
