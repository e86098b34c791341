//! A stored row as the events that readers are shown. A call that was sent on is one row and two
//! events: that it was requested and how it ended.

use serde::Serialize;
use serde_json::{Map, Value, json};

use ah5_contracts::audit::{Action, Verdict};
use ah5_contracts::id::{AgentId, AuditId, ConnectionId};
use ah5_store::audit::scan::Listed;

use crate::app::time;

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// As `audit_id`; exports leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<AuditId>,
    pub audit_id: AuditId,
    pub timestamp: String,
    pub actor: String,
    pub agent_id: Option<AgentId>,
    pub connection_id: Option<ConnectionId>,
    pub action: String,
    pub decision: String,
    pub metadata: Map<String, Value>,
}

// === impl Event ===

impl Event {
    /// Newest first: the end, then the intent. With `action`, only the events of that name.
    pub fn of(row: &Listed, action: Option<&str>) -> impl Iterator<Item = Self> {
        let wanted = |event: &Self| action.is_none_or(|action| event.action == action);
        let event = Self::stored(row);
        let intent = Self::intent(row, &event);
        [Some(event), intent]
            .into_iter()
            .flatten()
            .filter(wanted)
            .collect::<Vec<_>>()
            .into_iter()
    }

    fn stored(row: &Listed) -> Self {
        let mut metadata = match &row.details {
            Value::Object(details) => details.clone(),
            _ => Map::new(),
        };
        for (name, value) in before(row).into_iter().chain(after(row)) {
            if !value.is_null() {
                metadata.entry(name).or_insert(value);
            }
        }
        Self {
            id: Some(row.audit_id),
            audit_id: row.audit_id,
            timestamp: time(row.ts),
            actor: actor(row),
            agent_id: row.agent,
            connection_id: row.connection,
            action: row.action.clone(),
            decision: row.decision.clone(),
            metadata,
        }
    }

    fn intent(row: &Listed, end: &Self) -> Option<Self> {
        // One whose policy demands it has a row of its own for that.
        let has_own = row.details["intentId"].is_string();
        if has_own || row.action != Action::ExecutionCompleted.as_str() {
            return None;
        }
        let id = row.audit_id.of_intent()?;
        let known = before(row)
            .into_iter()
            .filter(|(_, value)| !value.is_null());
        Some(Self {
            id: Some(id),
            audit_id: id,
            action: Action::ExecutionRequested.as_str().to_owned(),
            decision: Verdict::Allowed.as_str().to_owned(),
            metadata: known
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            ..end.clone()
        })
    }
}

type Fact = (&'static str, Value);

// What is known when a call is let through.
fn before(row: &Listed) -> [Fact; 5] {
    [
        ("method", json!(row.method)),
        ("host", json!(row.host)),
        ("policyId", json!(row.policy)),
        ("rule", json!(row.rule)),
        ("spoolId", json!(row.spool)),
    ]
}

// What is known when it has ended.
fn after(row: &Listed) -> [Fact; 4] {
    let micros = row.timings.iter().map(|step| i64::from(*step)).sum::<i64>();
    let duration = (!row.timings.is_empty()).then_some(micros / 1000);
    [
        ("responseStatus", json!(row.upstream_status)),
        ("requestSize", json!(row.bytes_in)),
        ("dataSize", json!(row.bytes_out)),
        ("durationMs", json!(duration)),
    ]
}

fn actor(row: &Listed) -> String {
    match row.actor_kind.as_str() {
        "agent" => format!("agent:{}", row.actor_id),
        "system" => "system".to_owned(),
        _ => row.actor_id.clone(),
    }
}
