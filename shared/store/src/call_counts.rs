//! What a batch of audit rows adds to the counters of agents' calls, by which it is noticed that one
//! behaves unlike itself. Added up here, so that the database gets one line an agent and minute,
//! however many rows there are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::Transaction;
use uuid::Uuid;

use ah5_contracts::audit::{Action, AuditEvent, Verdict};
use ah5_contracts::id::SpoolId;

use crate::StoreError;

/// By agent and minute.
#[derive(Default)]
pub struct CallCounts(BTreeMap<(Uuid, i64), Counts>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    workspace: Uuid,
    connection: Option<Uuid>,
    calls: i64,
    completed: i64,
    denied: i64,
    bytes: i64,
}

// === impl CallCounts ===

impl CallCounts {
    pub fn of<'a>(events: impl Iterator<Item = &'a AuditEvent>) -> Self {
        let mut counts = Self::default();
        events.for_each(|event| counts.add(event));
        counts
    }

    fn add(&mut self, event: &AuditEvent) {
        let Some(agent) = event.agent else { return };
        // How the call ends is told by a row of its own.
        if event.action == Action::ExecutionRequested.as_str() {
            return;
        }
        let minute = event.ts.div_euclid(MINUTE);
        let counts = self.0.entry((agent.uuid(), minute)).or_default();
        counts.workspace = event.workspace.uuid();
        counts.connection = event.connection.map(|id| id.uuid()).or(counts.connection);
        counts.calls += 1;
        counts.completed += i64::from(event.action == Action::ExecutionCompleted.as_str());
        counts.denied += i64::from(event.decision == Verdict::Denied);
        // A number that can't be must not keep the rows out.
        counts.bytes += event.bytes_out.unwrap_or(0).clamp(0, MOST_BYTES);
    }

    /// As one of the last steps of the delivery, since others may wait for these rows.
    pub async fn write(&self, tx: &Transaction<'_>, spool: SpoolId) -> Result<(), StoreError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let column = |of: fn(&Counts) -> i64| -> Vec<i64> { self.0.values().map(of).collect() };
        let agents: Vec<Uuid> = self.0.keys().map(|(agent, _)| *agent).collect();
        let minutes: Vec<Timestamp> = self.0.keys().map(|(_, minute)| time(*minute)).collect();
        let workspaces: Vec<Uuid> = self.0.values().map(|counts| counts.workspace).collect();
        let connections: Vec<Option<Uuid>> =
            self.0.values().map(|counts| counts.connection).collect();
        let sql = "select ah5.count_calls($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        tx.execute(
            sql,
            &[
                &spool.uuid(),
                &workspaces,
                &agents,
                &connections,
                &minutes,
                &column(|counts| counts.calls),
                &column(|counts| counts.completed),
                &column(|counts| counts.denied),
                &column(|counts| counts.bytes),
            ],
        )
        .await?;
        Ok(())
    }
}

/// Microseconds.
const MINUTE: i64 = 60_000_000;
/// Of one call: a tebibyte.
const MOST_BYTES: i64 = 1 << 40;

/// What is out of all bounds is so long ago that it isn't counted.
fn time(minute: i64) -> Timestamp {
    Timestamp::from_microsecond(minute.saturating_mul(MINUTE)).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use ah5_contracts::audit::ActorKind;
    use ah5_contracts::id::{AgentId, AuditId, WorkspaceId};

    use super::*;

    fn event(agent: Option<AgentId>, ts: i64, action: Action, decision: Verdict) -> AuditEvent {
        AuditEvent {
            audit_id: AuditId::now(),
            ts,
            workspace: WorkspaceId::random(),
            actor_kind: ActorKind::Agent,
            actor_id: String::new(),
            agent,
            connection: None,
            policy: None,
            policy_version: None,
            rule: None,
            action: action.as_str().to_owned(),
            decision,
            method: None,
            host: None,
            path_digest: None,
            upstream_status: None,
            bytes_in: None,
            bytes_out: Some(7),
            timings: Vec::new(),
            details: "{}".into(),
        }
    }

    #[test]
    fn rows_are_added_up_by_agent_and_minute() {
        let (one, other) = (Some(AgentId::random()), Some(AgentId::random()));
        let (done, denied) = (Action::ExecutionCompleted, Action::ExecutionDenied);
        let events = [
            event(one, 0, done, Verdict::Allowed),
            event(one, MINUTE - 1, done, Verdict::Error),
            event(one, MINUTE, denied, Verdict::Denied),
            event(other, 1, Action::ApprovalRequested, Verdict::Allowed),
            event(None, 1, done, Verdict::Allowed),
        ];
        let counts = CallCounts::of(events.iter());
        let sums: Vec<_> = counts
            .0
            .iter()
            .map(|((agent, minute), it)| {
                let first = Some(*agent) == one.map(AgentId::uuid);
                (first, *minute, it.calls, it.completed, it.denied, it.bytes)
            })
            .collect();
        let mut wanted = vec![
            (true, 0, 2, 2, 0, 14),
            (true, 1, 1, 0, 1, 7),
            (false, 0, 1, 0, 0, 7),
        ];
        wanted.sort_by_key(|sum| sums.iter().position(|it| it == sum));
        assert_eq!(sums, wanted);
    }
}
