//! Agents as the people of their workspace see them.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::claims::BOOTSTRAP_SECRET_PREFIX;
use ah5_contracts::id::AgentId;
use ah5_security::{hash, random};
use ah5_store::agents::{self, Agent};
use ah5_store::tenant::Tenant;
use ah5_store::{StoreError, agent_tokens, bootstrap};

use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::auth::recent;
use crate::error::{AppError, AppResult};
use crate::input::{Input, not_blank};
use crate::owners::tell_owners;

mod icon;
pub mod owner;
pub mod switch;
pub mod trusts;

pub async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let name = checked_name(&input, "name is required and must be a non-empty string")?;
    let description = input.optional_text("description")?.unwrap_or_default();
    if input.has("iconUrl") && input.value("iconUrl").is_none() {
        return Err(AppError::bad_request("body/iconUrl must be string"));
    }
    let icon = icon::read(&input)?;
    let require_dpop = input.optional_flag("requireDpop")?.unwrap_or_default();
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let mut agent = agents::insert(
        &tenant,
        AgentId::random(),
        &name,
        &description,
        icon.as_deref(),
    )
    .await?;
    if require_dpop {
        agent.require_dpop = true;
        agents::update(&tenant, &agent).await?;
    }
    let agent = agents::set_owner(&tenant, agent.id, caller.user()).await?;
    let secret = new_secret(&app, &tenant, agent.id).await?;
    let record = Record::new(caller.actor(), Action::AgentCreated, json!({"name": name}));
    app.record(&tenant, record.agent(agent.id)).await?;
    tenant.commit().await?;
    Ok(Json(json!({"agent": agent_json(&agent), "bootstrapSecret": secret})).into_response())
}

/// It stands in every list, notification and message.
fn checked_name(input: &Input, blank: &str) -> Result<String, AppError> {
    let name = not_blank(&input.text("name")?, blank)?;
    if name.chars().count() > MAX_NAME {
        let text = format!("name must NOT have more than {MAX_NAME} characters");
        return Err(AppError::bad_request(text));
    }
    Ok(name)
}

const MAX_NAME: usize = 100;

pub async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let agents: Vec<Value> = agents::list(&tenant)
        .await?
        .iter()
        .map(agent_json)
        .collect();
    Ok(Json(json!({ "agents": agents })).into_response())
}

pub async fn read(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let agent = agents::get(&tenant, id.parse()?)
        .await?
        .ok_or_else(unknown)?;
    Ok(shown(&agent))
}

pub async fn update(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let id = id.parse()?;
    let fields: Vec<&str> = ["name", "description", "iconUrl", "requireDpop"]
        .into_iter()
        .filter(|name| input.has(name))
        .collect();
    if fields.is_empty() {
        return Err(AppError::bad_request(
            "At least one field (name, description, iconUrl, requireDpop) must be provided",
        ));
    }
    let require_dpop = input.optional_flag("requireDpop")?;
    // To make an agent's tokens good for whoever holds them takes more than a token.
    let may_relax = match require_dpop {
        Some(false) => recent::check(&app, &caller).await,
        _ => Ok(()),
    };
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let mut agent = agents::lock(&tenant, id).await?.ok_or_else(unknown)?;
    if input.has("name") {
        agent.name = checked_name(&input, "name must be a non-empty string")?;
    }
    if input.has("description") {
        agent.description = input.text("description")?;
    }
    if input.has("iconUrl") {
        agent.icon_url = icon::read(&input)?;
    }
    let mut relaxed = false;
    if let Some(required) = require_dpop {
        if required && !agent.require_dpop {
            // Those without a bond end with their epoch.
            agent_tokens::take(&tenant, agent.id, agent.epoch).await?;
        }
        relaxed = agent.require_dpop && !required;
        if relaxed {
            may_relax?;
        }
        agent.require_dpop = required;
    }
    let agent = agents::update(&tenant, &agent).await?;
    let mut details = json!({"fields": fields, "name": agent.name});
    if let Some(required) = require_dpop {
        details["requireDpop"] = required.into();
    }
    let record = Record::new(caller.actor(), Action::AgentUpdated, details).agent(agent.id);
    if relaxed {
        tell_owners(&app, &tenant, record).await?;
    } else {
        app.record(&tenant, record).await?;
    }
    tenant.commit().await?;
    Ok(shown(&agent))
}

pub async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let agent = agents::lock(&tenant, id.parse()?)
        .await?
        .ok_or_else(unknown)?;
    agents::delete(&tenant, agent.id).await?;
    let record = Record::new(
        caller.actor(),
        Action::AgentDeleted,
        json!({"name": agent.name}),
    );
    app.record(&tenant, record.agent(agent.id)).await?;
    tenant.commit().await?;
    Ok(success())
}

pub async fn issue_secret(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let agent = agents::lock(&tenant, id.parse()?)
        .await?
        .ok_or_else(unknown)?;
    if agent.status == "disabled" {
        return Err(AppError::conflict("Agent is disabled"));
    }
    let secret = new_secret(&app, &tenant, agent.id).await?;
    let record = Record::new(
        caller.actor(),
        Action::AgentBootstrapSecretIssued,
        json!({}),
    );
    app.record(&tenant, record.agent(agent.id)).await?;
    tenant.commit().await?;
    Ok(Json(json!({ "bootstrapSecret": secret })).into_response())
}

/// The plain secret; this is the only time anybody sees it.
async fn new_secret(app: &App, tenant: &Tenant<'_>, agent: AgentId) -> Result<String, StoreError> {
    let secret = random::token(BOOTSTRAP_SECRET_PREFIX);
    let digest = hash::sha256(secret.expose().as_bytes());
    bootstrap::replace(tenant, agent, &digest, app.config.bootstrap_secret_hours).await?;
    Ok(secret.expose().to_owned())
}

fn agent_json(agent: &Agent) -> Value {
    json!({
        "id": agent.id, "name": agent.name, "description": agent.description,
        "iconUrl": agent.icon_url, "status": agent.status,
        "enrolledAt": agent.enrolled_at.map(time), "createdAt": time(agent.created_at),
        "owner": agent.owner.as_ref().map(owner::shown), "requireDpop": agent.require_dpop,
    })
}

fn shown(agent: &Agent) -> Response {
    let mut body = agent_json(agent);
    body["updatedAt"] = time(agent.updated_at).into();
    Json(json!({ "agent": body })).into_response()
}

fn unknown() -> AppError {
    AppError::not_found("Agent not found")
}

fn success() -> Response {
    Json(json!({"success": true})).into_response()
}
