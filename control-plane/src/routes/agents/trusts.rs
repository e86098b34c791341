//! Whose word on a workload stands for an agent's own signature ([`crate::routes::agent_token`]).

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::id::{AgentId, TrustId, WorkspaceId};
use ah5_store::agent_trusts::{self, New, ONCE, Trust};
use ah5_store::tenant::Tenant;
use ah5_store::{agent_tokens, agents};

use super::{success, unknown};
use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::owners::tell_owners;
use crate::workload;

pub async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let id: AgentId = id.parse()?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    agents::get(&tenant, id).await?.ok_or_else(unknown)?;
    let trusts = agent_trusts::list(&tenant, id).await?;
    let trusts: Vec<Value> = trusts.iter().map(|trust| shown(&app, id, trust)).collect();
    Ok(Json(json!({ "trusts": trusts })).into_response())
}

pub async fn add(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let id: AgentId = id.parse()?;
    let (issuer, subject) = (input.text("issuer")?, input.text("subject")?);
    let jwks_uri = input.optional_text("jwksUri")?;
    let workspace = caller.workspace();
    check(&app, workspace, &issuer, &subject, jwks_uri.as_deref())?;
    let by = caller.user().ok_or_else(unknown)?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    // Locked, so that two at once are counted.
    agents::lock(&tenant, id).await?.ok_or_else(unknown)?;
    if agent_trusts::list(&tenant, id).await?.len() >= MAX_TRUSTS {
        let text = format!("An agent has at most {MAX_TRUSTS} trusts");
        return Err(AppError::conflict(text));
    }
    let new = New {
        issuer: &issuer,
        subject: &subject,
        jwks_uri: jwks_uri.as_deref(),
        by,
    };
    let trust = agent_trusts::insert(&tenant, id, &new).await;
    let trust = trust.map_err(|error| {
        if error.is_conflict_with(ONCE) {
            AppError::conflict("The agent trusts this issuer and subject already")
        } else {
            error.into()
        }
    })?;
    let record = Record::new(caller.actor(), Action::AgentTrustAdded, details(&trust));
    tell_owners(&app, &tenant, record.agent(id)).await?;
    tenant.commit().await?;
    let body = json!({ "trust": shown(&app, id, &trust) });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Ends the agent's tokens too: which of them came by this trust is not known.
pub async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((id, trust)): Path<(String, String)>,
) -> AppResult {
    let id: AgentId = id.parse()?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let agent = agents::lock(&tenant, id).await?.ok_or_else(unknown)?;
    let trust: TrustId = trust.parse()?;
    let trust = agent_trusts::delete(&tenant, id, trust).await?;
    let trust = trust.ok_or_else(|| AppError::not_found("Trust not found"))?;
    let ended = agent_tokens::take(&tenant, id, agent.epoch).await?;
    agents::end_tokens(&tenant, id).await?;
    let mut details = details(&trust);
    details["tokensRevoked"] = ended.into();
    let record = Record::new(caller.actor(), Action::AgentTrustRemoved, details);
    tell_owners(&app, &tenant, record.agent(id)).await?;
    tenant.commit().await?;
    Ok(success())
}

fn check(
    app: &App,
    workspace: WorkspaceId,
    issuer: &str,
    subject: &str,
    jwks_uri: Option<&str>,
) -> Result<(), AppError> {
    let fault = |field: &str, why: &str| Err(AppError::bad_request(format!("body/{field} {why}")));
    let has_query = |url: &str| url.contains(['?', '#']);
    if issuer.len() > MAX_TEXT || has_query(issuer) || !workload::may_ask(app, workspace, issuer) {
        return fault("issuer", ISSUER);
    }
    if jwks_uri.is_some_and(|uri| uri.len() > MAX_TEXT || !workload::may_ask(app, workspace, uri)) {
        return fault("jwksUri", ISSUER);
    }
    let characters = subject.chars().count();
    if !(1..=MAX_TEXT).contains(&characters) || subject.chars().any(char::is_control) {
        return fault(
            "subject",
            "must be 1 to 512 characters, none of them a control character",
        );
    }
    Ok(())
}

fn shown(app: &App, agent: AgentId, trust: &Trust) -> Value {
    json!({
        "id": trust.id, "issuer": trust.issuer, "subject": trust.subject,
        "jwksUri": trust.jwks_uri, "createdBy": trust.created_by,
        "createdAt": time(trust.created_at),
        // What the workload's token must be for.
        "audience": format!("{}/agents/{agent}", app.config.origin.text),
    })
}

fn details(trust: &Trust) -> Value {
    json!({"issuer": trust.issuer, "subject": trust.subject, "jwksUri": trust.jwks_uri})
}

const ISSUER: &str =
    "must be an https URL of at most 512 characters, not ours, without user and fragment";
const MAX_TEXT: usize = 512;
const MAX_TRUSTS: usize = 20;
