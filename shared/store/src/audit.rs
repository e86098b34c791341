//! `l_audit_events` and `t_audit_heads` as the control plane uses them: appended to in the very
//! transaction of a change, and listed for people. Data planes write through [`crate::audit_spool`].

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use ah5_contracts::audit::AuditEvent;
use ah5_contracts::id::{AgentId, AuditId, ConnectionId, SpoolId};
use ah5_security::audit::{AuditKey, Chain};

use crate::StoreError;
use crate::tenant::Tenant;

/// Appends to the workspace's chain of this writer; the chain is locked until the end of `tenant`.
///
/// # Errors
/// The database fails.
pub async fn append(
    tenant: &Tenant<'_>,
    key: &AuditKey,
    spool: SpoolId,
    event: AuditEvent,
) -> Result<AuditId, StoreError> {
    let (workspace, writer) = (tenant.workspace().uuid(), spool.uuid());
    let head = "
        insert into ah5.t_audit_heads as h (workspace_id, spool_id, seq, hash)
        values ($1, $2, 0, $3)
        on conflict (workspace_id, spool_id) do update set seq = h.seq returning seq, hash";
    let row = tenant
        .query_one(head, &[&workspace, &writer, &[0_u8; 32].as_slice()])
        .await?;
    let hash: Vec<u8> = row.get(1);
    let hash = hash
        .try_into()
        .map_err(|_| StoreError::Bug("a chain head is malformed".into()))?;
    let row = Chain::resume(spool, row.get(0), hash).append(key, event);
    insert(tenant, &row).await?;
    let moved = "update ah5.t_audit_heads set seq = $3, hash = $4
                 where workspace_id = $1 and spool_id = $2";
    let link = &row.link;
    tenant
        .execute(
            moved,
            &[&workspace, &writer, &link.seq, &link.hash.as_slice()],
        )
        .await?;
    Ok(row.event.audit_id)
}

/// Which rows to list. Newest first.
#[derive(Default)]
pub struct Filter {
    pub agent: Option<AgentId>,
    pub connection: Option<ConnectionId>,
    pub action: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Rows older than this one.
    pub before: Option<AuditId>,
    pub limit: i64,
}

pub struct Listed {
    pub audit_id: AuditId,
    pub ts: Timestamp,
    pub actor_kind: String,
    pub actor_id: String,
    pub agent: Option<AgentId>,
    pub connection: Option<ConnectionId>,
    pub policy: Option<Uuid>,
    pub rule: Option<String>,
    pub action: String,
    pub decision: String,
    pub method: Option<String>,
    pub host: Option<String>,
    pub upstream_status: Option<i16>,
    pub bytes_in: Option<i64>,
    pub bytes_out: Option<i64>,
    pub details: Value,
    pub spool: SpoolId,
}

/// # Errors
/// The database fails.
pub async fn list(tenant: &Tenant<'_>, filter: &Filter) -> Result<Vec<Listed>, StoreError> {
    let rows = tenant
        .query(
            LIST,
            &[
                &tenant.workspace().uuid(),
                &filter.agent.map(|id| id.uuid()),
                &filter.connection.map(|id| id.uuid()),
                &filter.action,
                &filter.from,
                &filter.to,
                &filter.before.map(|id| id.uuid()),
                &filter.limit,
            ],
        )
        .await?;
    let listed = |row: tokio_postgres::Row| Listed {
        audit_id: AuditId::from_uuid(row.get(0)),
        ts: row.get(1),
        actor_kind: row.get(2),
        actor_id: row.get(3),
        agent: row.get::<_, Option<_>>(4).map(AgentId::from_uuid),
        connection: row.get::<_, Option<_>>(5).map(ConnectionId::from_uuid),
        policy: row.get(6),
        rule: row.get(7),
        action: row.get(8),
        decision: row.get(9),
        method: row.get(10),
        host: row.get(11),
        upstream_status: row.get(12),
        bytes_in: row.get(13),
        bytes_out: row.get(14),
        details: row.get(15),
        spool: SpoolId::from_uuid(row.get(16)),
    };
    Ok(rows.into_iter().map(listed).collect())
}

/// Makes the log's partitions of this month and the three after it.
///
/// # Errors
/// The database fails.
pub async fn ensure_partitions(client: &impl GenericClient) -> Result<(), StoreError> {
    client
        .execute("select ah5.ensure_audit_partitions()", &[])
        .await?;
    Ok(())
}

// An unknown cursor is ignored, as clients expect.
const LIST: &str = "
    select audit_id, ts, actor_kind, actor_id, agent_id, connection_id, policy_id, rule, action,
           decision, method, host, upstream_status, bytes_in, bytes_out, details,
           spool_id
    from ah5.v_audit_events
    where workspace_id = $1
      and ($2::uuid is null or agent_id = $2)
      and ($3::uuid is null or connection_id = $3)
      and ($4::text is null or action = $4)
      and ($5::timestamptz is null or ts >= $5)
      and ($6::timestamptz is null or ts <= $6)
      and ($7::uuid is null
           or not exists (select 1 from ah5.v_audit_events
                          where audit_id = $7 and workspace_id = $1)
           or (ts, audit_id) < (select ts, audit_id from ah5.v_audit_events
                                where audit_id = $7 and workspace_id = $1))
    order by ts desc, audit_id desc limit $8";

async fn insert(
    tenant: &Tenant<'_>,
    row: &ah5_contracts::audit::AuditRow,
) -> Result<(), StoreError> {
    let sql = "
        insert into ah5.l_audit_events (audit_id, ts, workspace_id, actor_kind, actor_id, agent_id,
            connection_id, policy_id, policy_version, rule, action, decision, timings, details,
            spool_id, seq, prev_hash, hash, mac)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";
    let (event, link) = (&row.event, &row.link);
    let bug = |error: &dyn std::error::Error| StoreError::Bug(error.to_string());
    let ts = Timestamp::from_microsecond(event.ts).map_err(|e| bug(&e))?;
    let details: Value = serde_json::from_str(&event.details).map_err(|e| bug(&e))?;
    tenant
        .execute(
            sql,
            &[
                &event.audit_id.uuid(),
                &ts,
                &event.workspace.uuid(),
                &event.actor_kind.as_str(),
                &event.actor_id,
                &event.agent.map(|id| id.uuid()),
                &event.connection.map(|id| id.uuid()),
                &event.policy.map(|id| id.uuid()),
                &event.policy_version,
                &event.rule,
                &event.action,
                &event.decision.as_str(),
                &event.timings,
                &details,
                &link.spool.uuid(),
                &link.seq,
                &link.prev_hash.as_slice(),
                &link.hash.as_slice(),
                &link.mac.as_slice(),
            ],
        )
        .await?;
    Ok(())
}
