//! What an agent asked for, once the account for it is connected: the policy, and the request's end.

use ah5_contracts::audit::{Action, ActorKind};
use ah5_contracts::id::{AgentId, ConnectionId, PermissionRequestId, PolicyId};
use ah5_policy::templates::{Template, Tier};
use ah5_store::pending_connections::Pending;
use ah5_store::permission_requests::{self, Resolution};
use ah5_store::tenant::Tenant;
use ah5_store::{agents, policies};
use serde_json::json;

use crate::app::{App, Record};
use crate::error::AppError;
use crate::routes::policies::make;

/// Only where the consent was begun for a request, with a tier. The agent may be gone by now; then there
/// is a connection and nothing else.
pub async fn for_request(
    app: &App,
    tenant: &Tenant<'_>,
    pending: &Pending,
    connection: ConnectionId,
) -> Result<Option<PolicyId>, AppError> {
    let text = |name: &str| pending.metadata[name].as_str();
    let agent = text("agentId").and_then(|id| id.parse::<AgentId>().ok());
    let tier = text("policyTier").and_then(Tier::from_name);
    let template = text("actionTemplateId").and_then(Template::find);
    let (Some(agent), Some(tier), Some(template)) = (agent, tier, template) else {
        return Ok(None);
    };
    if agents::lock(tenant, agent).await?.is_none() {
        return Ok(None);
    }
    let actor = || (ActorKind::User, pending.user.to_string());
    let request = text("permissionRequestId").and_then(|id| id.parse::<PermissionRequestId>().ok());
    if let Some(request) = request {
        let approved = Resolution::Approved(connection);
        // Whoever has turned it down meanwhile has done so.
        if !permission_requests::resolve(tenant, request, approved, Some(pending.user)).await? {
            return Ok(None);
        }
        let details = json!({"permissionRequestId": request, "actionTemplateId": template.id});
        let record = Record::new(actor(), Action::PermissionApproved, details);
        let record = record.agent(agent).connection(connection);
        app.record(tenant, record).await?;
    }
    let used = policies::in_use(tenant, agent).await?;
    let of_template =
        |used: &&policies::InUse| used.policy.action_template.as_deref() == Some(&template.id);
    let policy = match used.iter().find(of_template) {
        Some(used) => used.policy.id,
        None => make(app, tenant, actor(), (agent, connection), (template, tier)).await?,
    };
    Ok(Some(policy))
}
