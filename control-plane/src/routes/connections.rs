//! Connections: provider accounts whose credentials agents may use and never see.

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::id::ConnectionId;
use ah5_providers::catalogue;
use ah5_store::agents;
use ah5_store::connections::{self, Connection};
use ah5_store::policies::{self, Policy};
use ah5_store::tenant::Tenant;

use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::not_blank;
use crate::routes::policies::policy_json;

pub mod api_key;
pub mod bot_token;
mod create;
pub mod credentials;
pub mod email;
pub mod label;
pub mod lookup;
pub mod oauth;
pub mod reauth;
pub mod test;

const MAX_LABEL: usize = 100;

pub async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let (found, policies) = (
        connections::list(&tenant).await?,
        policies::list(&tenant).await?,
    );
    let names = agents::list(&tenant).await?;
    tenant.commit().await?;
    let name = |policy: &Policy| {
        names
            .iter()
            .find(|a| a.id == policy.agent)
            .map(|a| a.name.clone())
    };
    let shown = found.iter().filter_map(|connection| {
        let mut of: Vec<&Policy> = policies
            .iter()
            .filter(|p| p.connection == connection.id)
            .collect();
        // An agent sees what it may use, and nobody else's policies.
        if let Caller::Agent { id, .. } = &caller {
            of.retain(|policy| policy.agent == *id);
            if of.is_empty() {
                return None;
            }
        }
        let policies = of.iter().map(|policy| {
            let mut json = policy_json(policy);
            json["agentName"] = name(policy).into();
            json["actionTemplateId"] = policy.action_template.clone().into();
            json
        });
        Some(connection_json(&caller, connection, policies.collect()))
    });
    Ok(Json(json!({"connections": shown.collect::<Vec<_>>()})).into_response())
}

pub async fn revoke(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let unknown = || AppError::not_found("Connection not found");
    let id = id.parse()?;
    let found = connections::lock(&tenant, id).await?.ok_or_else(unknown)?;
    if !may_revoke(&tenant, &caller, id).await? {
        return Err(unknown());
    }
    if found.status == "revoked" {
        return Err(AppError::conflict("Connection is already revoked"));
    }
    connections::revoke(&tenant, found.id).await?;
    let details = json!({
        "provider": found.provider, "label": found.label, "previousStatus": found.status,
    });
    let mut record =
        Record::new(caller.actor(), Action::ConnectionRevoked, details).connection(found.id);
    if let Caller::Agent { id, .. } = &caller {
        record = record.agent(*id);
    }
    let audit_id = app.record(&tenant, record).await?;
    tenant.commit().await?;
    let connection = json!({
        "id": found.id, "provider": found.provider, "label": found.label, "status": "revoked",
    });
    let body = json!({"connection": connection, "revoked": true, "auditId": audit_id});
    Ok(Json(body).into_response())
}

/// An agent may give up what it was given, and learns of nothing else.
async fn may_revoke(
    tenant: &Tenant<'_>,
    caller: &Caller,
    connection: ConnectionId,
) -> Result<bool, AppError> {
    let Caller::Agent { id, .. } = caller else {
        return Ok(true);
    };
    let used = policies::in_use(tenant, *id).await?;
    Ok(used.iter().any(|used| used.policy.connection == connection))
}

fn check_label(text: &str) -> Result<String, AppError> {
    let label = not_blank(text, "body/label must NOT have fewer than 1 characters")?;
    if label.chars().count() > MAX_LABEL {
        return Err(AppError::bad_request(
            "body/label must NOT have more than 100 characters",
        ));
    }
    Ok(label)
}

/// One of the workspace's own, the revoked included.
async fn find(app: &App, caller: &Caller, id: ConnectionId) -> AppResult<Connection> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let found = connections::get(&tenant, id).await?;
    tenant.commit().await?;
    found.ok_or_else(|| AppError::not_found("Connection not found"))
}

/// An agent is told nothing of the credential.
fn connection_json(caller: &Caller, connection: &Connection, policies: Vec<Value>) -> Value {
    let service = catalogue::find(&connection.service);
    let is_agent = matches!(caller, Caller::Agent { .. });
    let preview = connection.preview.as_ref().filter(|_| !is_agent);
    json!({
        "id": connection.id, "provider": connection.provider, "service": connection.service,
        "label": connection.label, "status": connection.status,
        "singleton": service.is_some_and(|service| service.singleton),
        "grantedScopes": connection.granted_scopes,
        "missingScopes": connection.missing_scopes(), "reauthReason": connection.reauth_reason,
        "metadata": connection.metadata,
        "baseUrl": connection.base_url, "createdAt": time(connection.created_at),
        "updatedAt": time(connection.updated_at), "credentialPreview": preview,
        "policies": policies,
    })
}
