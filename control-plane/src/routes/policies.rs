//! Policies: written here, compiled before they are stored, so that what a data plane finds in the
//! database compiles too.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::audit::ActorKind;
use ah5_contracts::id::{AgentId, ConnectionId, PolicyId};
use ah5_policy::templates::{Template, Tier};
use ah5_store::StoreError;
use ah5_store::policies::{self, Policy};
use ah5_store::tenant::Tenant;
use ah5_store::{agents, connections};

use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;

mod allowlists;
mod asked;
pub mod changes;
mod draft;
pub mod evaluate;
pub mod parts;
pub mod proposed;
mod template;

use draft::Draft;
use template::{Account, Wanted};

pub async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let (agent, connection): (AgentId, ConnectionId) =
        (input.id("agentId")?, input.id("connectionId")?);
    let wanted = Wanted::read(&input)?;
    let mut draft = Draft::default();
    draft.read(&app, caller.workspace(), &input)?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    if agents::get(&tenant, agent).await?.is_none() {
        return Err(AppError::not_found("Agent not found in this workspace"));
    }
    let account = connections::lock(&tenant, connection).await?;
    let account = account
        .filter(|connection| connection.status != "revoked")
        .ok_or_else(|| AppError::not_found("Connection not found in this workspace"))?;
    let account = Account {
        service: &account.service,
        scopes: &account.granted_scopes,
    };
    draft.complete(&input, &wanted, account)?;
    draft.compile(&app, caller.workspace())?;
    let id = PolicyId::random();
    policies::insert(&tenant, id, agent, connection, &draft.settings()).await?;
    let stored = find(&tenant, id).await?;
    let changed = draft.changed_from(&Draft::default());
    record(
        &app,
        &tenant,
        &caller,
        Action::PolicyCreated,
        &stored,
        &changed,
    )
    .await?;
    tenant.commit().await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({"policy": policy_json(&stored)})),
    )
        .into_response())
}

/// A policy that comes from elsewhere, and where it belongs.
pub struct Place<'a> {
    pub id: PolicyId,
    pub agent: AgentId,
    pub connection: ConnectionId,
    pub service: &'a str,
}

/// Stores it if somebody could have written it here; otherwise says why not.
pub async fn import(
    app: &App,
    tenant: &Tenant<'_>,
    place: &Place<'_>,
    parts: Value,
) -> Result<Result<(), String>, StoreError> {
    let Value::Object(parts) = parts else {
        return Ok(Err("it is no policy".to_owned()));
    };
    let mut draft = Draft::default();
    let checked = draft
        .read(app, tenant.workspace(), &Input::of(parts))
        .and_then(|()| draft.check_models(place.service))
        .and_then(|()| draft.compile(app, tenant.workspace()));
    if let Err(error) = checked {
        return Ok(Err(error.text().to_owned()));
    }
    let (agent, connection) = (place.agent, place.connection);
    policies::insert(tenant, place.id, agent, connection, &draft.settings()).await?;
    Ok(Ok(()))
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
    let apply =
        |draft: &mut Draft, policy: &Policy| draft.update(&app, caller.workspace(), &input, policy);
    change(&app, &caller, &id, apply).await
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
    record(&app, &tenant, &caller, Action::PolicyDeleted, &policy, &[]).await?;
    tenant.commit().await?;
    Ok(Json(json!({"deleted": true})).into_response())
}

/// The policy that a template makes at this tier, for a connection that was made for it.
pub async fn make(
    app: &App,
    tenant: &Tenant<'_>,
    actor: (ActorKind, String),
    (agent, connection): (AgentId, ConnectionId),
    (template, tier): (&'static Template, Tier),
) -> Result<PolicyId, AppError> {
    let draft = Draft::made_from((template, tier));
    draft.compile(app, tenant.workspace())?;
    let id = PolicyId::random();
    policies::insert(tenant, id, agent, connection, &draft.settings()).await?;
    let changed = draft.changed_from(&Draft::default());
    let details = json!({"policyId": id, "changed": changed});
    let record = Record::new(actor, Action::PolicyCreated, details);
    let record = record.policy(id).agent(agent).connection(connection);
    app.record(tenant, record).await?;
    Ok(id)
}

/// As every answer shows a policy.
pub fn policy_json(policy: &Policy) -> Value {
    json!({
        "id": policy.id, "agentId": policy.agent, "connectionId": policy.connection,
        "allowedModels": policy.allowed_models, "defaultMode": policy.default_mode,
        "stepUpApproval": policy.step_up_approval, "allowlists": policy.allowlists,
        "rateLimits": policy.rate_limits, "timeWindows": policy.time_windows, "rules": policy.rules,
        "providerConstraints": policy.provider_constraints, "securityPreset": policy.security_preset,
        "acknowledgeUnfiltered": policy.acknowledged_unfiltered, "audit": policy.audit,
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
    draft.compile(app, tenant.workspace())?;
    policies::update(&tenant, policy.id, &draft.settings()).await?;
    let changed = draft.changed_from(&Draft::of(&policy));
    record(
        app,
        &tenant,
        caller,
        Action::PolicyUpdated,
        &policy,
        &changed,
    )
    .await?;
    let stored = find(&tenant, policy.id).await?;
    tenant.commit().await?;
    Ok(Json(json!({"policy": policy_json(&stored)})).into_response())
}

async fn find(tenant: &Tenant<'_>, id: PolicyId) -> Result<Policy, AppError> {
    let found = policies::lock(tenant, id).await?;
    found.ok_or_else(|| AppError::not_found("Policy not found"))
}

/// Says which parts were changed, not to what.
async fn record(
    app: &App,
    tenant: &Tenant<'_>,
    caller: &Caller,
    action: Action,
    policy: &Policy,
    changed: &[&str],
) -> Result<(), AppError> {
    let mut details = json!({"policyId": policy.id});
    if !changed.is_empty() {
        details["changed"] = json!(changed);
    }
    let record = Record::new(caller.actor(), action, details);
    let record = record
        .policy(policy.id)
        .agent(policy.agent)
        .connection(policy.connection);
    app.record(tenant, record).await?;
    Ok(())
}
