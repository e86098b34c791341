//! `t_invitations`: addresses that may join a workspace.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::Row;

use ah5_contracts::id::{InvitationId, UserId, WorkspaceId};
use ah5_contracts::role::Role;

use crate::StoreError;
use crate::tenant::Tenant;

pub struct Invitation {
    pub id: InvitationId,
    pub email: String,
    pub role: String,
    pub invited_by: UserId,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
}

/// As the invited see it.
pub struct OpenInvitation {
    pub id: InvitationId,
    pub workspace: WorkspaceId,
    pub workspace_name: String,
    pub role: String,
    pub expires_at: Timestamp,
}

/// A new invitation takes the place of an older one to the same address.
///
/// # Errors
/// The database fails.
pub async fn put(
    tenant: &Tenant<'_>,
    email: &str,
    role: Role,
    by: UserId,
    days: i32,
) -> Result<Invitation, StoreError> {
    let sql = format!(
        "insert into ah5.t_invitations (id, workspace_id, email, role, invited_by, expires_at)
         values ($1, $2, $3, $4, $5, now() + make_interval(days => $6))
         on conflict (workspace_id, email) do update
         set id = excluded.id, role = excluded.role, invited_by = excluded.invited_by,
             expires_at = excluded.expires_at, created_at = now()
         returning {COLUMNS}"
    );
    let (id, workspace) = (InvitationId::random().uuid(), tenant.workspace().uuid());
    let row = tenant
        .query_one(
            &sql,
            &[&id, &workspace, &email, &role.as_str(), &by.uuid(), &days],
        )
        .await?;
    Ok(read(&row))
}

/// Those in force, oldest first.
///
/// # Errors
/// The database fails.
pub async fn list(tenant: &Tenant<'_>) -> Result<Vec<Invitation>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from ah5.t_invitations where expires_at > now() order by created_at, id"
    );
    Ok(tenant.query(&sql, &[]).await?.iter().map(read).collect())
}

/// Those to this address, in whatever workspace.
///
/// # Errors
/// The database fails.
pub async fn open_for(
    client: &impl GenericClient,
    email: &str,
) -> Result<Vec<OpenInvitation>, StoreError> {
    let sql = "select id, workspace_id, workspace_name, role, expires_at
               from ah5.open_invitations($1)";
    let rows = client.query(sql, &[&email]).await?;
    let open = |row: &Row| OpenInvitation {
        id: InvitationId::from_uuid(row.get(0)),
        workspace: WorkspaceId::from_uuid(row.get(1)),
        workspace_name: row.get(2),
        role: row.get(3),
        expires_at: row.get(4),
    };
    Ok(rows.iter().map(open).collect())
}

/// Takes the invitation away, and returns it if it was in force.
///
/// # Errors
/// The database fails.
pub async fn take(tenant: &Tenant<'_>, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
    let sql = format!(
        "delete from ah5.t_invitations where id = $1 returning {COLUMNS}, expires_at > now() as live"
    );
    let row = tenant.query_opt(&sql, &[&id.uuid()]).await?;
    Ok(row.filter(|row| row.get("live")).as_ref().map(read))
}

const COLUMNS: &str = "id, email, role, invited_by, expires_at, created_at";

fn read(row: &Row) -> Invitation {
    Invitation {
        id: InvitationId::from_uuid(row.get("id")),
        email: row.get("email"),
        role: row.get("role"),
        invited_by: UserId::from_uuid(row.get("invited_by")),
        expires_at: row.get("expires_at"),
        created_at: row.get("created_at"),
    }
}
