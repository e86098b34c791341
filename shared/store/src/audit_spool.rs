//! Takes audit rows over from a data plane's spool, each exactly once: one transaction locks the
//! spool's cursor, copies what lies behind it, moves it on.

use bytes::Bytes;
use futures_util::pin_mut;
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Transaction};

use ah5_contracts::audit::AuditRow;
use ah5_contracts::id::SpoolId;

use crate::StoreError;
use crate::call_counts::CallCounts;
use crate::database::Database;

/// One record of a spool, in its order of writing.
pub struct SpoolRecord {
    /// From 1, dense within the spool.
    pub spool_seq: i64,
    pub row: AuditRow,
}

/// Why a batch was not stored; none of it is then.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Some record holds what no retry will make acceptable.
    #[error("a record was refused: {0}")]
    Refused(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A connection for a spool alone. The server gives up on a lost one in seconds, since it would
/// hold the cursor; a commit means that the rows are on disk, whatever the server's default.
///
/// # Errors
/// The database can't be reached.
pub async fn connect(database: &Database) -> Result<(Client, JoinHandle<()>), StoreError> {
    let (client, driver) = database.connect().await?;
    client.batch_execute(SESSION).await?;
    Ok((client, driver))
}

/// Stores what is not stored yet and returns the cursor.
///
/// # Errors
/// The database fails, or refuses a record; then none of the batch is stored.
pub async fn copy_batch(
    client: &mut Client,
    spool: SpoolId,
    records: &[SpoolRecord],
) -> Result<i64, CopyError> {
    let tx = client.transaction().await?;
    let acked = lock(&tx, spool).await?;
    let fresh: Vec<&SpoolRecord> = records.iter().filter(|r| r.spool_seq > acked).collect();
    let Some(last) = fresh.last() else {
        return Ok(acked);
    };
    copy(&tx, &fresh).await?;
    let counts = CallCounts::of(fresh.iter().map(|record| &record.row.event));
    counts.write(&tx, spool).await?;
    advance(&tx, spool, last.spool_seq).await?;
    tx.commit().await?;
    Ok(last.spool_seq)
}

/// Sets a record aside that Postgres refuses, and moves past it.
///
/// # Errors
/// The database fails.
pub async fn quarantine(
    client: &mut Client,
    spool: SpoolId,
    spool_seq: i64,
    record: &[u8],
    why: &str,
) -> Result<(), StoreError> {
    let tx = client.transaction().await?;
    if lock(&tx, spool).await? < spool_seq {
        let sql = "insert into ah5.t_audit_quarantine (spool_id, spool_seq, record, why)
                   values ($1, $2, $3, $4)";
        tx.execute(sql, &[&spool.uuid(), &spool_seq, &record, &why])
            .await?;
        advance(&tx, spool, spool_seq).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn lock(tx: &Transaction<'_>, spool: SpoolId) -> Result<i64, StoreError> {
    Ok(tx
        .query_one("select ah5.spool_lock($1)", &[&spool.uuid()])
        .await?
        .get(0))
}

async fn advance(tx: &Transaction<'_>, spool: SpoolId, seq: i64) -> Result<(), StoreError> {
    tx.execute("select ah5.spool_advance($1, $2)", &[&spool.uuid(), &seq])
        .await?;
    Ok(())
}

async fn copy(tx: &Transaction<'_>, records: &[&SpoolRecord]) -> Result<(), CopyError> {
    let sink = tx.copy_in::<_, Bytes>(COPY).await?;
    let writer = BinaryCopyInWriter::new(sink, &TYPES);
    pin_mut!(writer);
    for record in records {
        let columns = Columns::of(&record.row)?;
        writer.as_mut().write(&columns.refs(&record.row)).await?;
    }
    writer.finish().await?;
    Ok(())
}

// === impl CopyError ===

impl From<tokio_postgres::Error> for CopyError {
    fn from(error: tokio_postgres::Error) -> Self {
        // Class 22 is a value that can't be stored, 23 one that may not; anything else, a missing
        // right for example, would refuse every record alike.
        match error.as_db_error() {
            Some(db) if matches!(db.code().code().get(..2), Some("22" | "23")) => {
                Self::Refused(format!("{} ({})", db.message(), db.code().code()))
            }
            _ => Self::Store(error.into()),
        }
    }
}

// Values in the forms that Postgres' types want.
struct Columns {
    audit_id: uuid::Uuid,
    ts: Timestamp,
    workspace: uuid::Uuid,
    actor_kind: &'static str,
    agent: Option<uuid::Uuid>,
    connection: Option<uuid::Uuid>,
    policy: Option<uuid::Uuid>,
    decision: &'static str,
    details: serde_json::Value,
    spool: uuid::Uuid,
    prev_hash: Vec<u8>,
    hash: Vec<u8>,
    mac: Vec<u8>,
}

impl Columns {
    fn of(row: &AuditRow) -> Result<Self, CopyError> {
        let event = &row.event;
        Ok(Self {
            audit_id: event.audit_id.uuid(),
            ts: Timestamp::from_microsecond(event.ts)
                .map_err(|error| CopyError::Refused(error.to_string()))?,
            workspace: event.workspace.uuid(),
            actor_kind: event.actor_kind.as_str(),
            agent: event.agent.map(|id| id.uuid()),
            connection: event.connection.map(|id| id.uuid()),
            policy: event.policy.map(|id| id.uuid()),
            decision: event.decision.as_str(),
            details: serde_json::from_str(&event.details)
                .map_err(|error| CopyError::Refused(error.to_string()))?,
            spool: row.link.spool.uuid(),
            prev_hash: row.link.prev_hash.to_vec(),
            hash: row.link.hash.to_vec(),
            mac: row.link.mac.to_vec(),
        })
    }

    fn refs<'a>(&'a self, row: &'a AuditRow) -> [&'a (dyn ToSql + Sync); 25] {
        let event = &row.event;
        [
            &self.audit_id,
            &self.ts,
            &self.workspace,
            &self.actor_kind,
            &event.actor_id,
            &self.agent,
            &self.connection,
            &self.policy,
            &event.policy_version,
            &event.rule,
            &event.action,
            &self.decision,
            &event.method,
            &event.host,
            &event.path_digest,
            &event.upstream_status,
            &event.bytes_in,
            &event.bytes_out,
            &event.timings,
            &self.details,
            &self.spool,
            &row.link.seq,
            &self.prev_hash,
            &self.hash,
            &self.mac,
        ]
    }
}

const SESSION: &str = "
    set statement_timeout = '10s';
    set idle_in_transaction_session_timeout = '10s';
    set tcp_keepalives_idle = 5;
    set tcp_keepalives_interval = 2;
    set tcp_keepalives_count = 3;
    select set_config('synchronous_commit', 'on', false)
        where current_setting('synchronous_commit') = 'off'";

const COPY: &str = "copy ah5.l_audit_events (audit_id, ts, workspace_id, actor_kind, actor_id,
    agent_id, connection_id, policy_id, policy_version, rule, action, decision, method, host,
    path_digest, upstream_status, bytes_in, bytes_out, timings, details, spool_id, seq, prev_hash,
    hash, mac) from stdin (format binary)";

const TYPES: [Type; 25] = [
    Type::UUID,
    Type::TIMESTAMPTZ,
    Type::UUID,
    Type::TEXT,
    Type::TEXT,
    Type::UUID,
    Type::UUID,
    Type::UUID,
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::BYTEA,
    Type::INT2,
    Type::INT8,
    Type::INT8,
    Type::INT4_ARRAY,
    Type::JSONB,
    Type::UUID,
    Type::INT8,
    Type::BYTEA,
    Type::BYTEA,
    Type::BYTEA,
];
