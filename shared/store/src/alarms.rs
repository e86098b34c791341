//! `t_alarms`, and what is counted of agents' calls: which of them are busier than they should be,
//! and when an alarm about one may sound again. Data planes count as they deliver audit rows.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use ah5_contracts::id::{AgentId, ConnectionId, WorkspaceId};

use crate::StoreError;
use crate::tenant::Tenant;

/// What an agent did in the last minutes.
#[derive(Clone, Debug)]
pub struct Busy {
    pub workspace: WorkspaceId,
    pub agent: AgentId,
    pub agent_name: String,
    /// One that it used last.
    pub connection: Option<ConnectionId>,
    /// In five minutes.
    pub completed: i64,
    /// In five minutes.
    pub denied: i64,
    /// In ten minutes.
    pub bytes: i64,
    /// It is hardly ever at work at this hour of the day.
    pub off_hours: bool,
    /// Rules that have sounded for it not long ago.
    pub quiet: Vec<String>,
}

/// Above which an agent is worth a look.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    pub completed: i64,
    pub denied: i64,
    pub bytes: i64,
}

/// Whether this transaction is the one that judges; until it is over no other is.
///
/// # Errors
/// The database fails.
pub async fn lock(client: &impl GenericClient) -> Result<bool, StoreError> {
    let sql = "select pg_try_advisory_xact_lock(hashtextextended('ah5.alarms', 0))";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

/// The agents, in whatever workspace, that did more than `most`.
///
/// # Errors
/// The database fails.
pub async fn busy(client: &impl GenericClient, most: Most) -> Result<Vec<Busy>, StoreError> {
    let sql = "select * from ah5.busy_agents($1, $2, $3)";
    let rows = client
        .query(sql, &[&most.completed, &most.denied, &most.bytes])
        .await?;
    Ok(rows.iter().map(read).collect())
}

/// Whether the rule may sound for the agent now. Then it may not again for so many minutes.
///
/// # Errors
/// The database fails. `Conflict` if the agent is gone.
pub async fn sound(
    tenant: &Tenant<'_>,
    agent: AgentId,
    rule: &str,
    minutes: i32,
) -> Result<bool, StoreError> {
    let sql = "
        insert into ah5.t_alarms as l (agent_id, rule, workspace_id, quiet_until)
        values ($1, $2, $3, now() + make_interval(mins => $4))
        on conflict (agent_id, rule) do update set quiet_until = excluded.quiet_until
            where l.quiet_until <= now()";
    let workspace = tenant.workspace().uuid();
    let changed = tenant
        .execute(sql, &[&agent.uuid(), &rule, &workspace, &minutes])
        .await?;
    Ok(changed == 1)
}

/// Keeps the counters short.
///
/// # Errors
/// The database fails.
pub async fn roll_up(client: &impl GenericClient) -> Result<(), StoreError> {
    client.execute("select ah5.roll_up_calls()", &[]).await?;
    Ok(())
}

fn read(row: &Row) -> Busy {
    Busy {
        workspace: WorkspaceId::from_uuid(row.get("workspace_id")),
        agent: AgentId::from_uuid(row.get("agent_id")),
        agent_name: row.get("agent_name"),
        connection: row
            .get::<_, Option<_>>("connection_id")
            .map(ConnectionId::from_uuid),
        completed: row.get("completed"),
        denied: row.get("denied"),
        bytes: row.get("bytes"),
        off_hours: row.get("off_hours"),
        quiet: row.get("quiet"),
    }
}
