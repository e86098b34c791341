//! Reading the log of one workspace, newest first. The log is read along its one index in steps of
//! bounded length, whatever is looked for: a filter that matches nothing costs many short steps, never
//! one long statement.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use ah5_contracts::id::{AgentId, AuditId, ConnectionId, PolicyId, SpoolId};

use crate::StoreError;
use crate::tenant::Tenant;

/// Which rows to read.
#[derive(Clone, Default)]
pub struct Filter {
    pub agent: Option<AgentId>,
    pub connection: Option<ConnectionId>,
    /// As stored: any of these words.
    pub actions: Option<Vec<String>>,
    pub from: Option<Timestamp>,
}

/// A place in the log: before all rows that are older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    ts: Timestamp,
    id: Uuid,
}

pub struct Step {
    /// Newest first.
    pub rows: Vec<Listed>,
    /// Where to go on; nothing once the log has been read to its end.
    pub next: Option<Position>,
}

pub struct Listed {
    pub audit_id: AuditId,
    pub ts: Timestamp,
    pub actor_kind: String,
    pub actor_id: String,
    pub agent: Option<AgentId>,
    pub connection: Option<ConnectionId>,
    pub policy: Option<PolicyId>,
    pub rule: Option<String>,
    pub action: String,
    pub decision: String,
    pub method: Option<String>,
    pub host: Option<String>,
    pub upstream_status: Option<i16>,
    pub bytes_in: Option<i64>,
    pub bytes_out: Option<i64>,
    /// Microseconds by step.
    pub timings: Vec<i32>,
    pub details: Value,
    pub spool: SpoolId,
}

/// At most `limit` rows below `start`, out of the next `length` of the log. May find none and yet not
/// be at the end: see [`Step::next`].
///
/// # Errors
/// The database fails.
pub async fn step(
    tenant: &Tenant<'_>,
    filter: &Filter,
    start: Position,
    limit: usize,
    length: usize,
) -> Result<Step, StoreError> {
    // With nothing to leave out, every row that is read is wanted.
    let length = if filter.takes_all() { limit } else { length };
    let rows = tenant
        .query(
            STEP,
            &[
                &filter.from.unwrap_or(YEAR_1).max(YEAR_1),
                &start.ts.max(YEAR_1),
                &start.id,
                &i64::try_from(length).unwrap_or(i64::MAX),
                &filter.agent.map(|id| id.uuid()),
                &filter.connection.map(|id| id.uuid()),
                &filter.actions,
                &i64::try_from(limit).unwrap_or(i64::MAX),
            ],
        )
        .await?;
    let read: usize = rows
        .first()
        .map_or(0, |row| row.get::<_, i64>("read"))
        .try_into()
        .unwrap_or_default();
    let last = rows.first().and_then(last_read);
    let rows: Vec<Listed> = rows.iter().filter_map(listed).collect();
    let next = match rows.last() {
        Some(row) if rows.len() == limit => Some(row.position()),
        _ => last.filter(|_| read == length),
    };
    Ok(Step { rows, next })
}

/// Where the row of this id stands, if the workspace has it.
///
/// # Errors
/// The database fails.
pub async fn find(tenant: &Tenant<'_>, id: AuditId) -> Result<Option<Position>, StoreError> {
    // Rows are found by time; ids that tell none are none of ours.
    let Some(made) = made(id) else {
        return Ok(None);
    };
    let window = [made.saturating_sub(SLACK), made.saturating_add(SLACK)];
    let [Ok(low), Ok(high)] = window else {
        return Ok(None);
    };
    let sql = "select ts from ah5.v_audit_events where ts >= $1 and ts < $2 and audit_id = $3";
    let row = tenant.query_opt(sql, &[&low, &high, &id.uuid()]).await?;
    Ok(row.map(|row| Position {
        ts: row.get(0),
        id: id.uuid(),
    }))
}

pub struct Count {
    pub rows: i64,
    /// How many of them are calls that were sent on.
    pub calls: i64,
}

/// Counts what came since then; stops at `most` rows.
///
/// # Errors
/// The database fails.
pub async fn count(tenant: &Tenant<'_>, since: Timestamp, most: i64) -> Result<Count, StoreError> {
    let row = tenant.query_one(COUNT, &[&since, &most]).await?;
    Ok(Count {
        rows: row.get(0),
        calls: row.get(1),
    })
}

// === impl Filter ===

impl Filter {
    const fn takes_all(&self) -> bool {
        self.agent.is_none() && self.connection.is_none() && self.actions.is_none()
    }
}

// === impl Position ===

impl Position {
    /// Before everything.
    #[must_use]
    pub const fn top() -> Self {
        Self::at(Timestamp::MAX)
    }

    /// Before everything that came at that time or earlier.
    #[must_use]
    pub const fn at(ts: Timestamp) -> Self {
        Self {
            ts,
            id: Uuid::max(),
        }
    }

    /// Before the row that this position was behind.
    #[must_use]
    pub fn before_its_row(self) -> Self {
        Self {
            id: Uuid::from_u128(self.id.as_u128().saturating_add(1)),
            ..self
        }
    }

    /// The row that it is behind.
    #[must_use]
    pub const fn row(self) -> AuditId {
        AuditId::from_uuid(self.id)
    }
}

// === impl Listed ===

impl Listed {
    /// Behind this row.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position {
            ts: self.ts,
            id: self.audit_id.uuid(),
        }
    }
}

fn last_read(row: &Row) -> Option<Position> {
    let ts = row.get::<_, Option<_>>("last_ts")?;
    let id = row.get::<_, Option<_>>("last_id")?;
    Some(Position { ts, id })
}

// A step that finds nothing is one row without an event.
fn listed(row: &Row) -> Option<Listed> {
    Some(Listed {
        audit_id: AuditId::from_uuid(row.get::<_, Option<_>>("audit_id")?),
        ts: row.get("ts"),
        actor_kind: row.get("actor_kind"),
        actor_id: row.get("actor_id"),
        agent: row.get::<_, Option<_>>("agent_id").map(AgentId::from_uuid),
        connection: row
            .get::<_, Option<_>>("connection_id")
            .map(ConnectionId::from_uuid),
        policy: row
            .get::<_, Option<_>>("policy_id")
            .map(PolicyId::from_uuid),
        rule: row.get("rule"),
        action: row.get("action"),
        decision: row.get("decision"),
        method: row.get("method"),
        host: row.get("host"),
        upstream_status: row.get("upstream_status"),
        bytes_in: row.get("bytes_in"),
        bytes_out: row.get("bytes_out"),
        timings: row.get("timings"),
        details: row.get("details"),
        spool: SpoolId::from_uuid(row.get("spool_id")),
    })
}

fn made(id: AuditId) -> Option<Timestamp> {
    let id = id.uuid();
    if id.get_version_num() != 7 {
        return None;
    }
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    let (seconds, nanoseconds) = (seconds.try_into().ok()?, nanoseconds.try_into().ok()?);
    Timestamp::new(seconds, nanoseconds).ok()
}

/// How far a row's time may be from that of its id.
const SLACK: SignedDuration = SignedDuration::from_secs(1);
// No row is older, and Postgres knows no time before 4713 BC.
const YEAR_1: Timestamp = Timestamp::constant(-62_135_596_800, 0);

// The inner query has no other condition than the index can serve, so its limit bounds the work; the
// plain bound on `ts` is for the planner, which skips no partition by a comparison of rows.
const STEP: &str = "
    with page as materialized (
        select * from ah5.v_audit_events
        where ts >= $1 and ts <= $2 and (ts, audit_id) < ($2, $3)
        order by ts desc, audit_id desc limit $4),
    hits as (
        select * from page
        where ($5::uuid is null or agent_id = $5)
          and ($6::uuid is null or connection_id = $6)
          and ($7::text[] is null or action = any ($7))
        order by ts desc, audit_id desc limit $8),
    range as (
        select (select count(*) from page) as read, last.ts as last_ts, last.audit_id as last_id
        from (values (1)) one
        left join (select ts, audit_id from page order by ts, audit_id limit 1) last on true)
    select range.read, range.last_ts, range.last_id, hits.audit_id, hits.ts, hits.actor_kind,
           hits.actor_id, hits.agent_id, hits.connection_id, hits.policy_id, hits.rule, hits.action,
           hits.decision, hits.method, hits.host, hits.upstream_status, hits.bytes_in,
           hits.bytes_out, hits.timings, hits.details, hits.spool_id
    from range left join hits on true
    order by hits.ts desc, hits.audit_id desc";

const COUNT: &str = "
    select count(*), count(*) filter (where action = 'execution_completed' and intent is null)
    from (select action, details->>'intentId' as intent from ah5.v_audit_events where ts >= $1
          order by ts desc, audit_id desc limit $2) today";
