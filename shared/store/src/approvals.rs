//! `t_approval_requests` as people see it: listed, decided, and ended when their time is over. Data
//! planes ask and redeem through [`crate::redemption`].

use std::collections::HashMap;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::Row;

use ah5_contracts::id::{AgentId, ApprovalId, ConnectionId, PolicyId, UserId, WorkspaceId};

use crate::StoreError;
use crate::tenant::Tenant;

pub struct Approval {
    pub id: ApprovalId,
    pub agent: AgentId,
    pub connection: ConnectionId,
    pub policy: Option<PolicyId>,
    pub actor: String,
    pub rule_label: Option<String>,
    pub reason: String,
    pub method: String,
    /// Without its query.
    pub url: String,
    pub digest: Vec<u8>,
    pub pii_bypass: bool,
    pub full_fields: bool,
    pub kind: Kind,
    pub status: String,
    /// Nobody can decide or redeem it any more, whatever the status says yet.
    pub is_overdue: bool,
    pub decided_by: Option<UserId>,
    pub decided_at: Option<Timestamp>,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
}

/// What it is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Call,
    /// A call of a conversation with a language model, which may go on behind these items.
    Conversation {
        items: i32,
    },
    /// A policy's limit, for as long as it lasts.
    Limit {
        name: String,
        most: Option<i64>,
        used: Option<i64>,
    },
}

/// The newest of the workspace, or of one of its agents.
///
/// # Errors
/// The database fails.
pub async fn list(
    tenant: &Tenant<'_>,
    agent: Option<AgentId>,
    most: i64,
) -> Result<Vec<Approval>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from ah5.t_approval_requests where agent_id = $1 or $1 is null
         order by created_at desc, id limit $2"
    );
    let agent = agent.map(|id| id.uuid());
    let rows = tenant.query(&sql, &[&agent, &most]).await?;
    Ok(rows.iter().map(read).collect())
}

/// # Errors
/// The database fails.
pub async fn get(tenant: &Tenant<'_>, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
    let sql = format!("select {COLUMNS} from ah5.t_approval_requests where id = $1");
    let row = tenant.query_opt(&sql, &[&id.uuid()]).await?;
    Ok(row.as_ref().map(read))
}

/// The sealed request; `None` once it is over.
///
/// # Errors
/// The database fails.
pub async fn sealed(tenant: &Tenant<'_>, id: ApprovalId) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "select sealed from ah5.t_approval_requests where id = $1";
    let row = tenant.query_opt(sql, &[&id.uuid()]).await?;
    Ok(row.and_then(|row| row.get(0)))
}

/// The newest sealed requests that wait, of those that have no more bytes than this.
///
/// # Errors
/// The database fails.
pub async fn sealed_pending(
    tenant: &Tenant<'_>,
    most: i64,
    most_bytes: i32,
) -> Result<HashMap<ApprovalId, Vec<u8>>, StoreError> {
    let sql = "select id, sealed from ah5.t_approval_requests
               where status = 'pending' and length(sealed) <= $2
               order by created_at desc, id limit $1";
    let rows = tenant.query(sql, &[&most, &most_bytes]).await?;
    let sealed = rows.iter();
    let sealed = sealed.map(|row| (ApprovalId::from_uuid(row.get(0)), row.get(1)));
    Ok(sealed.collect())
}

/// Of any number of decisions at once the first stands; what lifts a limit can be taken back. `None` where there is nothing to decide.
///
/// # Errors
/// The database fails.
pub async fn decide(
    tenant: &Tenant<'_>,
    id: ApprovalId,
    approved: bool,
    by: UserId,
) -> Result<Option<Approval>, StoreError> {
    let sql = format!(
        "update ah5.t_approval_requests
         set status = case when $2 then 'approved' else 'denied' end,
             sealed = case when $2 then sealed end, decided_by = $3, decided_at = clock_timestamp()
         where id = $1 and expires_at > clock_timestamp()
           and (status = 'pending' or (status = 'approved' and kind = 'limit' and not $2))
         returning {COLUMNS}"
    );
    let row = tenant
        .query_opt(&sql, &[&id.uuid(), &approved, &by.uuid()])
        .await?;
    Ok(row.as_ref().map(read))
}

/// What is due to be ended, in whatever workspace.
///
/// # Errors
/// The database fails.
pub async fn overdue(
    client: &impl GenericClient,
    most: i32,
) -> Result<Vec<(WorkspaceId, ApprovalId)>, StoreError> {
    let sql = "select workspace_id, id from ah5.overdue_approvals($1)";
    let rows = client.query(sql, &[&most]).await?;
    Ok(rows.iter().map(place).collect())
}

/// What people have not been told of, in whatever workspace.
///
/// # Errors
/// The database fails.
pub async fn unannounced(
    client: &impl GenericClient,
    most: i32,
) -> Result<Vec<(WorkspaceId, ApprovalId)>, StoreError> {
    let sql = "select workspace_id, id from ah5.unannounced_approvals($1)";
    let rows = client.query(sql, &[&most]).await?;
    Ok(rows.iter().map(place).collect())
}

/// Notes that people are told of it in this transaction; `None` if they were, or need not be.
///
/// # Errors
/// The database fails.
pub async fn announce(tenant: &Tenant<'_>, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
    let sql = format!(
        "update ah5.t_approval_requests set announced_at = clock_timestamp()
         where id = $1 and status = 'pending' and announced_at is null returning {COLUMNS}"
    );
    let row = tenant.query_opt(&sql, &[&id.uuid()]).await?;
    Ok(row.as_ref().map(read))
}

/// Ends it if its time is over: what is pending expires, and of what is being executed nobody knows
/// the outcome any more. An approval that was not used stays one, but is no good and shows nothing.
///
/// # Errors
/// The database fails.
pub async fn end_overdue(
    tenant: &Tenant<'_>,
    id: ApprovalId,
) -> Result<Option<Approval>, StoreError> {
    let sql = format!(
        "update ah5.t_approval_requests
         set status = case status when 'pending' then 'expired' when 'executing' then 'outcome_unknown'
                      else status end,
             finished_at = case status when 'executing' then clock_timestamp() end, sealed = null
         where id = $1 and sealed is not null
           and case status when 'executing' then claimed_at < clock_timestamp() - interval '5 minutes'
               else expires_at <= clock_timestamp() end
         returning {COLUMNS}"
    );
    let row = tenant.query_opt(&sql, &[&id.uuid()]).await?;
    Ok(row.as_ref().map(read))
}

/// Takes back what is not redeemed yet in the workspaces that this user owns.
///
/// # Errors
/// The database fails.
pub async fn void_of_owner(client: &impl GenericClient, owner: UserId) -> Result<(), StoreError> {
    let sql = "select ah5.void_approvals_of_owner($1)";
    client.execute(sql, &[&owner.uuid()]).await?;
    Ok(())
}

/// Deletes what has long been over.
///
/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<(), StoreError> {
    client.execute("select ah5.prune_approvals()", &[]).await?;
    Ok(())
}

/// Whether this transaction is the one that ends what is overdue; until it is over no other is.
///
/// # Errors
/// The database fails.
pub async fn lock_sweep(client: &impl GenericClient) -> Result<bool, StoreError> {
    let sql = "select pg_try_advisory_xact_lock(hashtextextended('ah5.approvals', 0))";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

const COLUMNS: &str =
    "id, agent_id, connection_id, policy_id, actor, rule_label, reason, method, url,
    digest, pii_bypass, full_fields, items, limited, limit_most, limit_used, status, expires_at <= clock_timestamp() as is_overdue,
    decided_by, decided_at, expires_at, created_at";

fn place(row: &Row) -> (WorkspaceId, ApprovalId) {
    (
        WorkspaceId::from_uuid(row.get(0)),
        ApprovalId::from_uuid(row.get(1)),
    )
}

fn read(row: &Row) -> Approval {
    Approval {
        id: ApprovalId::from_uuid(row.get("id")),
        agent: AgentId::from_uuid(row.get("agent_id")),
        connection: ConnectionId::from_uuid(row.get("connection_id")),
        policy: row
            .get::<_, Option<_>>("policy_id")
            .map(PolicyId::from_uuid),
        actor: row.get("actor"),
        rule_label: row.get("rule_label"),
        reason: row.get("reason"),
        method: row.get("method"),
        url: row.get("url"),
        digest: row.get("digest"),
        pii_bypass: row.get("pii_bypass"),
        full_fields: row.get("full_fields"),
        kind: kind(row),
        status: row.get("status"),
        is_overdue: row.get("is_overdue"),
        decided_by: row.get::<_, Option<_>>("decided_by").map(UserId::from_uuid),
        decided_at: row.get("decided_at"),
        expires_at: row.get("expires_at"),
        created_at: row.get("created_at"),
    }
}

fn kind(row: &Row) -> Kind {
    match (row.get("items"), row.get("limited")) {
        (Some(items), _) => Kind::Conversation { items },
        (None, Some(name)) => Kind::Limit {
            name,
            most: row.get("limit_most"),
            used: row.get("limit_used"),
        },
        (None, None) => Kind::Call,
    }
}
