//! Policies: written here, compiled before they are stored, so that what a data plane finds in the
//! database compiles too.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::id::{AgentId, ConnectionId, PolicyId};
use ah5_store::policies::{self, Policy};
use ah5_store::tenant::Tenant;
use ah5_store::{agents, connections};

use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;

mod draft;
pub mod evaluate;
pub mod parts;

use draft::{Draft, checked_allowlists};

pub async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let (agent, connection): (AgentId, ConnectionId) =
        (input.id("agentId")?, input.id("connectionId")?);
    let mut draft = Draft::default();
    draft.read(&input)?;
    if let Some(allowlists) = input.value("allowlists") {
        draft.allowlists = checked_allowlists(&app, allowlists)?;
    }
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    if agents::get(&tenant, agent).await?.is_none() {
        return Err(AppError::not_found("Agent not found in this workspace"));
    }
    if connections::lock(&tenant, connection)
        .await?
        .is_none_or(|c| c.status == "revoked")
    {
        return Err(AppError::not_found(
            "Connection not found in this workspace",
        ));
    }
    draft.compile(&app)?;
    let id = PolicyId::random();
    policies::insert(&tenant, id, agent, connection, &draft.settings()).await?;
    let record = Record::new(caller.actor(), "policy_created", json!({"policyId": id}));
    app.record(
        &tenant,
        record.policy(id).agent(agent).connection(connection),
    )
    .await?;
    let stored = find(&tenant, id).await?;
    tenant.commit().await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({"policy": policy_json(&stored)})),
    )
        .into_response())
}

pub async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let shown = policies::list(&tenant).await?;
    let shown = shown.iter().map(|policy| {
        let mut json = policy_json(policy);
        json["connectionLabel"] = policy.connection_label.clone().into();
        json["connectionProvider"] = policy.connection_provider.clone().into();
        json["status"] = policy.status.clone().into();
        json
    });
    Ok(Json(json!({"policies": shown.collect::<Vec<_>>()})).into_response())
}

pub async fn update(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    change(&app, &caller, &id, |draft, _| draft.read(&input)).await
}

pub async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let policy = find(&tenant, id.parse()?).await?;
    policies::delete(&tenant, policy.id).await?;
    record(&app, &tenant, &caller, "policy_deleted", &policy).await?;
    tenant.commit().await?;
    Ok(Json(json!({"deleted": true})).into_response())
}

/// As every answer shows a policy.
pub fn policy_json(policy: &Policy) -> Value {
    json!({
        "id": policy.id, "agentId": policy.agent, "connectionId": policy.connection,
        "allowedModels": policy.allowed_models, "defaultMode": policy.default_mode,
        "stepUpApproval": policy.step_up_approval, "allowlists": policy.allowlists,
        "rateLimits": policy.rate_limits, "timeWindows": policy.time_windows, "rules": policy.rules,
        "providerConstraints": policy.provider_constraints, "securityPreset": policy.security_preset,
        "createdAt": time(policy.created_at), "updatedAt": time(policy.updated_at),
    })
}

async fn change(
    app: &App,
    caller: &Caller,
    id: &str,
    apply: impl FnOnce(&mut Draft, &Policy) -> Result<(), AppError>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let policy = find(&tenant, id.parse()?).await?;
    let mut draft = Draft::of(&policy);
    apply(&mut draft, &policy)?;
    draft.compile(app)?;
    policies::update(&tenant, policy.id, &draft.settings()).await?;
    record(app, &tenant, caller, "policy_updated", &policy).await?;
    let stored = find(&tenant, policy.id).await?;
    tenant.commit().await?;
    Ok(Json(json!({"policy": policy_json(&stored)})).into_response())
}

async fn find(tenant: &Tenant<'_>, id: PolicyId) -> Result<Policy, AppError> {
    let found = policies::lock(tenant, id).await?;
    found.ok_or_else(|| AppError::not_found("Policy not found"))
}

async fn record(
    app: &App,
    tenant: &Tenant<'_>,
    caller: &Caller,
    action: &str,
    policy: &Policy,
) -> Result<(), AppError> {
    let record = Record::new(caller.actor(), action, json!({"policyId": policy.id}));
    let record = record
        .policy(policy.id)
        .agent(policy.agent)
        .connection(policy.connection);
    app.record(tenant, record).await?;
    Ok(())
}
