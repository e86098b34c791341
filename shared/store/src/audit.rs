//! `l_audit_events` and `t_audit_heads` as the control plane uses them: appended to in the very
//! transaction of a change, read by [`scan`], aged by the month. Data planes write through
//! [`crate::audit_spool`].

pub mod scan;

use deadpool_postgres::{GenericClient, Object};
use jiff::Timestamp;
use serde_json::Value;

use ah5_contracts::audit::AuditEvent;
use ah5_contracts::id::{AuditId, SpoolId};
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

/// Drops what is older than so many whole months before this one; returns the partitions' names.
/// Each is a transaction of its own, and none waits long for those who read or write.
///
/// # Errors
/// The database fails, or is too busy right now.
pub async fn drop_expired(client: &mut Object, months: u16) -> Result<Vec<String>, StoreError> {
    let mut dropped = Vec::new();
    while dropped.len() < MOST_AT_ONCE {
        let transaction = client.transaction().await?;
        // The chains of a month are read through once; that may be a lot.
        let patience = "set local statement_timeout = '10min'";
        transaction.batch_execute(patience).await?;
        let sql = "select ah5.drop_audit_partition($1)";
        let row = transaction.query_one(sql, &[&i32::from(months)]).await?;
        transaction.commit().await?;
        let Some(name) = row.get(0) else { break };
        dropped.push(name);
    }
    Ok(dropped)
}

const MOST_AT_ONCE: usize = 120;

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
