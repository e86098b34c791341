//! The kill switch: an agent is turned off, with all that it holds, and on again. What it held stays
//! dead; it has to ask for a token anew.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_store::agents::{self, Agent};
use ah5_store::tenant::Tenant;
use ah5_store::{agent_tokens, open_streams, vending};

use super::unknown;
use crate::app::{App, Record};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::notices::text::quoted;
use crate::notices::{AGENTS_PAGE, Notice, To, kind, notify};
use crate::panic::outstanding_json;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Disabled {
    success: bool,
    /// Those that had not expired.
    tokens_revoked: i64,
    /// As many as data planes had under way when they last reported, which they do every second.
    streams_ended: i64,
    /// Handed out to it and not expired: nothing here can take them back.
    vended_tokens: Vec<Value>,
}

pub async fn disable(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    // A token is given under the same lock: it is counted here, or it is never given.
    let agent = agents::lock(&tenant, id.parse()?)
        .await?
        .ok_or_else(unknown)?;
    if agent.status == "disabled" {
        return Err(AppError::conflict("Agent is already disabled"));
    }
    let done = Disabled {
        success: true,
        tokens_revoked: agent_tokens::take(&tenant, agent.id, agent.epoch).await?,
        streams_ended: open_streams::count(&tenant, agent.id).await?,
        vended_tokens: outstanding_json(&vending::outstanding(&tenant, Some(agent.id)).await?),
    };
    agents::disable(&tenant, agent.id).await?;
    let details = json!({
        "epoch": agent.epoch + 1,
        "tokensRevoked": done.tokens_revoked, "streamsEnded": done.streams_ended,
    });
    let record = Record::new(caller.actor(), Action::AgentDisabled, details);
    app.record(&tenant, record.agent(agent.id)).await?;
    notify(&tenant, &disabled(&agent)).await?;
    tenant.commit().await?;
    Ok(Json(done).into_response())
}

fn disabled(agent: &Agent) -> Notice {
    Notice {
        kind: kind::SECURITY_ALERT,
        title: format!("{} was disabled", quoted(&agent.name)),
        body: "Its tokens are void and its calls were ended.".to_owned(),
        link: Some(AGENTS_PAGE.to_owned()),
        metadata: json!({"agentId": agent.id}),
        to: To::Everyone,
    }
}

pub async fn enable(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let agent = agents::lock(&tenant, id.parse()?)
        .await?
        .ok_or_else(unknown)?;
    if agent.status != "disabled" {
        return Err(AppError::conflict("Agent is not disabled"));
    }
    let status = agents::enable(&tenant, agent.id).await?;
    let details = json!({ "newStatus": status });
    let record = Record::new(caller.actor(), Action::AgentEnabled, details);
    app.record(&tenant, record.agent(agent.id)).await?;
    tenant.commit().await?;
    Ok(Json(json!({"success": true, "status": status})).into_response())
}
