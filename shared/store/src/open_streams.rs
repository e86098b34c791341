//! `t_open_streams`: how many answers each data plane has under way for an agent, as of its last
//! report.

use tokio_postgres::GenericClient;
use uuid::Uuid;

use ah5_contracts::id::{AgentId, ReplicaId};

use crate::StoreError;
use crate::tenant::Tenant;

/// A data plane's whole report: agents that it doesn't name have nothing under way there.
///
/// # Errors
/// The database fails.
pub async fn report(
    client: &impl GenericClient,
    replica: ReplicaId,
    open: &[(AgentId, i32)],
) -> Result<(), StoreError> {
    let (agents, counts): (Vec<Uuid>, Vec<i32>) =
        open.iter().map(|(id, count)| (id.uuid(), *count)).unzip();
    let sql = "select ah5.report_open_streams($1, $2, $3)";
    client
        .execute(sql, &[&replica.uuid(), &agents, &counts])
        .await?;
    Ok(())
}

/// Of all data planes that still report.
///
/// # Errors
/// The database fails.
pub async fn count(tenant: &Tenant<'_>, agent: AgentId) -> Result<i64, StoreError> {
    let sql = "select coalesce(sum(open), 0)::bigint from ah5.t_open_streams
               where agent_id = $1 and reported_at > now() - interval '10 seconds'";
    Ok(tenant.query_one(sql, &[&agent.uuid()]).await?.get(0))
}
