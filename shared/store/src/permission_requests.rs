//! `t_permission_requests`: what agents ask to be allowed. A request is resolved once.

use jiff::Timestamp;
use tokio_postgres::Row;

use ah5_contracts::id::{AgentId, ConnectionId, PermissionRequestId, UserId};

use crate::StoreError;
use crate::tenant::Tenant;

pub struct PermissionRequest {
    pub id: PermissionRequestId,
    pub agent: AgentId,
    pub agent_name: String,
    pub action_template: String,
    pub policy_tier: Option<String>,
    pub reason: String,
    /// `pending`, `approved`, `denied` or `expired`.
    pub status: String,
    pub connection: Option<ConnectionId>,
    pub resolved_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// What an agent asks for.
pub struct Asked<'a> {
    pub agent: AgentId,
    pub action_template: &'a str,
    pub policy_tier: Option<&'a str>,
    pub reason: &'a str,
}

/// How a person resolves it.
#[derive(Clone, Copy)]
pub enum Resolution {
    Approved(ConnectionId),
    Denied,
}

/// The constraint by which one agent has one pending request for one thing.
pub const ONE_PENDING: &str = "t_permission_requests_pending";

/// # Errors
/// `Conflict` with [`ONE_PENDING`] if the agent is waiting for the same already.
pub async fn insert(
    tenant: &Tenant<'_>,
    id: PermissionRequestId,
    asked: &Asked<'_>,
) -> Result<Timestamp, StoreError> {
    let sql = "insert into ah5.t_permission_requests
                   (id, workspace_id, agent_id, action_template_id, policy_tier, reason)
               values ($1, $2, $3, $4, $5, $6) returning created_at";
    let (workspace, agent) = (tenant.workspace().uuid(), asked.agent.uuid());
    let (template, tier) = (&asked.action_template, &asked.policy_tier);
    let row = tenant
        .query_one(
            sql,
            &[
                &id.uuid(),
                &workspace,
                &agent,
                template,
                tier,
                &asked.reason,
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// Oldest first, at most [`MAX_LISTED`] of the newest.
///
/// # Errors
/// The database fails.
pub async fn list(
    tenant: &Tenant<'_>,
    pending_only: bool,
) -> Result<Vec<PermissionRequest>, StoreError> {
    let sql = format!(
        "{SELECT} where r.status = 'pending' or not $1 order by r.created_at desc, r.id limit $2"
    );
    let rows = tenant.query(&sql, &[&pending_only, &MAX_LISTED]).await?;
    Ok(rows.iter().rev().map(read).collect())
}

/// # Errors
/// The database fails.
pub async fn pending_of(
    tenant: &Tenant<'_>,
    agent: AgentId,
) -> Result<Vec<PermissionRequest>, StoreError> {
    let sql = format!(
        "{SELECT} where r.agent_id = $1 and r.status = 'pending' order by r.created_at, r.id"
    );
    let rows = tenant.query(&sql, &[&agent.uuid()]).await?;
    Ok(rows.iter().map(read).collect())
}

/// # Errors
/// The database fails.
pub async fn get(
    tenant: &Tenant<'_>,
    id: PermissionRequestId,
) -> Result<Option<PermissionRequest>, StoreError> {
    let sql = format!("{SELECT} where r.id = $1");
    let row = tenant.query_opt(&sql, &[&id.uuid()]).await?;
    Ok(row.as_ref().map(read))
}

/// Whether it was still pending; what is resolved stays as it is.
///
/// # Errors
/// The database fails.
pub async fn resolve(
    tenant: &Tenant<'_>,
    id: PermissionRequestId,
    resolution: Resolution,
    by: Option<UserId>,
) -> Result<bool, StoreError> {
    let (status, connection) = match resolution {
        Resolution::Approved(connection) => ("approved", Some(connection.uuid())),
        Resolution::Denied => ("denied", None),
    };
    let sql = "update ah5.t_permission_requests
               set status = $2, connection_id = $3, resolved_by = $4, resolved_at = now()
               where id = $1 and status = 'pending'";
    let by = by.map(UserId::uuid);
    let changed = tenant
        .execute(sql, &[&id.uuid(), &status, &connection, &by])
        .await?;
    Ok(changed == 1)
}

pub const MAX_LISTED: i64 = 1000;
const SELECT: &str = "
    select r.*, a.name as agent_name from ah5.t_permission_requests r
    join ah5.t_agents a on a.id = r.agent_id and a.workspace_id = r.workspace_id";

fn read(row: &Row) -> PermissionRequest {
    let connection: Option<uuid::Uuid> = row.get("connection_id");
    PermissionRequest {
        id: PermissionRequestId::from_uuid(row.get("id")),
        agent: AgentId::from_uuid(row.get("agent_id")),
        agent_name: row.get("agent_name"),
        action_template: row.get("action_template_id"),
        policy_tier: row.get("policy_tier"),
        reason: row.get("reason"),
        status: row.get("status"),
        connection: connection.map(ConnectionId::from_uuid),
        resolved_at: row.get("resolved_at"),
        created_at: row.get("created_at"),
    }
}
