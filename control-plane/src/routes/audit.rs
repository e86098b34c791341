//! The audit trail, newest first.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use ah5_store::audit::{self, Filter, Listed};
use ah5_store::tenant::Tenant;

use crate::app::{App, time};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    agent_id: Option<String>,
    connection_id: Option<String>,
    action: Option<String>,
    date_from: Option<String>,
    date_to: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

pub async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    params: Result<Query<Params>, QueryRejection>,
) -> AppResult {
    let Query(params) = params.map_err(|_| AppError::bad_request("querystring must be object"))?;
    let filter = params.filter()?;
    let limit = usize::try_from(filter.limit).unwrap_or_default();
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    // One more than asked for tells whether there is a next page.
    let asked = Filter {
        limit: filter.limit + 1,
        ..filter
    };
    let mut rows = audit::list(&tenant, &asked).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let cursor = rows.last().filter(|_| more).map(|row| row.audit_id);
    let events: Vec<Value> = rows.iter().map(event).collect();
    Ok(Json(json!({"events": events, "nextCursor": cursor})).into_response())
}

// === impl Params ===

impl Params {
    fn filter(self) -> Result<Filter, AppError> {
        let limit = self
            .limit
            .map_or(DEFAULT_LIMIT, |text| text.parse().unwrap_or(DEFAULT_LIMIT));
        Ok(Filter {
            agent: parse("agentId", "uuid", self.agent_id)?,
            connection: parse("connectionId", "uuid", self.connection_id)?,
            // Postgres' text cannot hold a NUL: no action has one.
            action: self.action.map(|action| action.replace('\0', "\u{fffd}")),
            from: parse::<Timestamp>("dateFrom", "date-time", self.date_from)?,
            to: parse::<Timestamp>("dateTo", "date-time", self.date_to)?,
            before: parse("cursor", "uuid", self.cursor)?,
            limit: limit.clamp(1, MAX_LIMIT),
        })
    }
}

fn parse<T: std::str::FromStr>(
    name: &str,
    format: &str,
    text: Option<String>,
) -> Result<Option<T>, AppError> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        AppError::bad_request(format!("querystring/{name} must match format \"{format}\""))
    })
}

fn event(row: &Listed) -> Value {
    let mut metadata = row.details.clone();
    let facts = [
        ("method", row.method.clone().map(Value::from)),
        ("host", row.host.clone().map(Value::from)),
        ("responseStatus", row.upstream_status.map(Value::from)),
        ("requestSize", row.bytes_in.map(Value::from)),
        ("dataSize", row.bytes_out.map(Value::from)),
        ("policyId", row.policy.map(|id| id.to_string().into())),
        ("rule", row.rule.clone().map(Value::from)),
        ("spoolId", Some(json!(row.spool))),
    ];
    for (name, value) in facts {
        if let (Some(value), Some(map)) = (value, metadata.as_object_mut()) {
            map.entry(name).or_insert(value);
        }
    }
    let actor = match row.actor_kind.as_str() {
        "agent" => format!("agent:{}", row.actor_id),
        "system" => "system".to_owned(),
        _ => row.actor_id.clone(),
    };
    json!({
        "id": row.audit_id, "auditId": row.audit_id, "timestamp": time(row.ts), "actor": actor,
        "agentId": row.agent, "connectionId": row.connection, "action": row.action,
        "decision": row.decision, "metadata": metadata,
    })
}
