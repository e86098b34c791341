//! Permission requests: an agent asks to be allowed something, a person resolves it, once. Nothing
//! here gives an agent anything; the connection and the policy that do are made by their own routes.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;

use ah5_contracts::audit::Action;
use ah5_contracts::id::{AgentId, ConnectionId, PermissionRequestId};
use ah5_policy::templates::Template;
use ah5_store::permission_requests::{self, Asked, PermissionRequest};
use ah5_store::tenant::Tenant;
use ah5_store::{StoreError, agents, policies};

use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::{Input, not_blank};
use crate::notices::text::plain;
use crate::notices::{APPROVALS_PAGE, Notice, To, kind, notify};

pub mod approve;
pub mod resolve;

const MAX_REASON: usize = 500;
const TIERS: [&str; 3] = ["strict", "standard", "minimal"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created<'a> {
    id: PermissionRequestId,
    action_template_id: &'a str,
    reason: &'a str,
    created_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: PermissionRequestId,
    agent_id: AgentId,
    agent_name: String,
    action_template_id: String,
    /// What the agent proposes; the person decides.
    policy_tier: Option<String>,
    reason: String,
    status: String,
    connection_id: Option<ConnectionId>,
    resolved_at: Option<String>,
    requested_at: String,
}

#[derive(Deserialize)]
pub struct Params {
    status: Option<String>,
}

/// `POST /v1/agent-permission-requests`
pub async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let agent = caller.agent()?;
    let template = input.text("actionTemplateId")?;
    let reason = reason(&input)?;
    let tier = input.one_of("policyTier", &TIERS)?;
    if Template::find(&template).is_none() {
        let text = format!("Unknown action template: {template}");
        return Err(AppError::bad_request(text));
    }
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let unknown = || AppError::unauthorized("Invalid or expired API key");
    agents::lock(&tenant, agent).await?.ok_or_else(unknown)?;
    if has_access(&tenant, agent, &template).await? {
        return Err(AppError::conflict(
            "Agent already has access to this action",
        ));
    }
    let (id, asked) = (
        PermissionRequestId::random(),
        Asked {
            agent,
            action_template: &template,
            policy_tier: tier,
            reason: &reason,
        },
    );
    let created = permission_requests::insert(&tenant, id, &asked).await;
    let created = created.map_err(already_asked)?;
    let details = json!({
        "permissionRequestId": id, "actionTemplateId": template, "policyTier": tier,
        "reason": reason,
    });
    let record = Record::new(caller.actor(), Action::PermissionRequested, details);
    app.record(&tenant, record.agent(agent)).await?;
    let name = agents::get(&tenant, agent).await?.map(|agent| agent.name);
    notify(&tenant, &asks(id, name.as_deref(), &asked)).await?;
    tenant.commit().await?;
    let body = Created {
        id,
        action_template_id: &template,
        reason: &reason,
        created_at: time(created),
    };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// The reason is the agent's own word and shown as such.
fn asks(id: PermissionRequestId, name: Option<&str>, asked: &Asked<'_>) -> Notice {
    let name = plain(name.unwrap_or("An agent"), 60);
    let template = plain(asked.action_template, 60);
    Notice {
        kind: kind::PERMISSION_REQUEST,
        title: format!("{name} asks for access"),
        body: format!(
            "{template}. Its reason: “{}”",
            plain(asked.reason, MAX_REASON)
        ),
        link: Some(APPROVALS_PAGE.to_owned()),
        metadata: json!({
            "agentId": asked.agent, "permissionRequestId": id, "actionTemplateId": template,
        }),
        to: To::Everyone,
    }
}

/// `GET /v1/agent-permission-requests`
pub async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    params: Result<Query<Params>, QueryRejection>,
) -> AppResult {
    let fault = "querystring/status must be equal to one of the allowed values";
    let Query(params) = params.map_err(|_| AppError::bad_request(fault))?;
    let pending_only = match params.status.as_deref() {
        None | Some("pending") => true,
        Some("all") => false,
        Some(_) => return Err(AppError::bad_request(fault)),
    };
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let found = permission_requests::list(&tenant, pending_only).await?;
    tenant.commit().await?;
    let requests: Vec<Shown> = found.into_iter().map(shown).collect();
    Ok(Json(json!({ "requests": requests })).into_response())
}

fn reason(input: &Input) -> Result<String, AppError> {
    let reason = not_blank(
        &input.text("reason")?,
        "body/reason must NOT have fewer than 1 characters",
    )?;
    if reason.chars().count() > MAX_REASON {
        let text = "body/reason must NOT have more than 500 characters";
        return Err(AppError::bad_request(text));
    }
    Ok(reason)
}

async fn has_access(
    tenant: &Tenant<'_>,
    agent: AgentId,
    template: &str,
) -> Result<bool, StoreError> {
    let used = policies::in_use(tenant, agent).await?;
    Ok(used.iter().any(|used| {
        used.connection_status == "healthy"
            && used.policy.action_template.as_deref() == Some(template)
    }))
}

fn already_asked(error: StoreError) -> AppError {
    if error.is_conflict_with(permission_requests::ONE_PENDING) {
        return AppError::conflict("A pending request for this action already exists");
    }
    error.into()
}

/// The request; one of another workspace is as good as none.
async fn find(tenant: &Tenant<'_>, id: PermissionRequestId) -> Result<PermissionRequest, AppError> {
    let found = permission_requests::get(tenant, id).await?;
    found.ok_or_else(|| AppError::not_found("Permission request not found"))
}

fn resolved(status: &str) -> AppError {
    AppError::conflict(format!("Permission request is already {status}"))
}

fn shown(request: PermissionRequest) -> Shown {
    Shown {
        id: request.id,
        agent_id: request.agent,
        agent_name: request.agent_name,
        action_template_id: request.action_template,
        policy_tier: request.policy_tier,
        reason: request.reason,
        status: request.status,
        connection_id: request.connection,
        resolved_at: request.resolved_at.map(time),
        requested_at: time(request.created_at),
    }
}
