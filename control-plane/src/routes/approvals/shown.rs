//! An approval as clients see it.

use std::collections::HashMap;

use serde::Serialize;

use ah5_contracts::approval::Request;
use ah5_contracts::id::{AgentId, ApprovalId, ConnectionId, PolicyId, UserId};
use ah5_store::StoreError;
use ah5_store::agents;
use ah5_store::approvals::{Approval, Kind};
use ah5_store::connections::{self, Name};
use ah5_store::tenant::Tenant;

use super::context::Context;
use super::preview::Preview;
use super::status;
use crate::app::time;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    id: ApprovalId,
    policy_id: Option<PolicyId>,
    agent_id: AgentId,
    agent_name: Option<String>,
    connection_id: ConnectionId,
    connection_label: Option<String>,
    connection_provider: Option<String>,
    actor: String,
    status: &'static str,
    /// How the redemption went: `executing`, `executed`, or `unknown` if nobody can say.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    reason: String,
    rule_label: Option<String>,
    request_details: Details,
    decided_by: Option<UserId>,
    decided_at: Option<String>,
    expires_at: String,
    created_at: String,
    /// Exactly what would be sent. For those who may decide, until it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
}

/// What stays when the request itself is gone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    method: String,
    url: String,
    request_fingerprint: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bypass_pii_redaction: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    request_full_fields: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    guard_trigger: Option<Guard>,
    /// The conversation may have gone on behind so many items.
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_items: Option<i32>,
    #[serde(flatten)]
    limit: Option<Limit>,
    #[serde(flatten)]
    context: Option<Context>,
}

/// What made a rule ask. What it found is in the preview only, which goes when it is over.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Guard {
    r#type: &'static str,
    rule_label: String,
    matches: [(); 0],
}

/// A limit of the policy's that would count twice while the approval lasts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Limit {
    r#type: &'static str,
    /// `requests_hour`, `tokens_hour`, `tokens_day`, `cost_day` or `cost_month`.
    limit_name: String,
    limit: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_count: Option<i64>,
}

// === impl Shown ===

impl Shown {
    /// For those who may decide.
    pub fn tell(&mut self, request: &Request) {
        self.request_details.context = Some(Context::of(request));
    }
}

/// Names of today; what has been deleted has none.
pub struct Names {
    agents: HashMap<AgentId, String>,
    connections: HashMap<ConnectionId, Name>,
}

// === impl Names ===

impl Names {
    pub async fn read(tenant: &Tenant<'_>) -> Result<Self, StoreError> {
        let agents = agents::list(tenant).await?.into_iter();
        let connections = connections::names(tenant).await?.into_iter();
        Ok(Self {
            agents: agents.map(|agent| (agent.id, agent.name)).collect(),
            connections: connections.map(|name| (name.id, name)).collect(),
        })
    }

    pub fn show(&self, approval: &Approval) -> Shown {
        let connection = self.connections.get(&approval.connection);
        let status = status(approval);
        let digest = approval.digest.iter();
        Shown {
            id: approval.id,
            policy_id: approval.policy,
            agent_id: approval.agent,
            agent_name: self.agents.get(&approval.agent).cloned(),
            connection_id: approval.connection,
            connection_label: connection.map(|name| name.label.clone()),
            connection_provider: connection.map(|name| name.provider.clone()),
            actor: approval.actor.clone(),
            status: status.as_str(),
            outcome: status.outcome(),
            reason: approval.reason.clone(),
            rule_label: approval.rule_label.clone(),
            request_details: Details {
                method: approval.method.clone(),
                url: approval.url.clone(),
                request_fingerprint: digest.map(|byte| format!("{byte:02x}")).collect(),
                bypass_pii_redaction: approval.pii_bypass,
                request_full_fields: approval.full_fields,
                guard_trigger: Guard::of(approval),
                conversation_items: match approval.kind {
                    Kind::Conversation { items } => Some(items),
                    Kind::Call | Kind::Limit { .. } => None,
                },
                limit: Limit::of(approval),
                context: None,
            },
            decided_by: approval.decided_by,
            decided_at: approval.decided_at.map(time),
            expires_at: time(approval.expires_at),
            created_at: time(approval.created_at),
            preview: None,
        }
    }
}

// === impl Guard ===

impl Guard {
    fn of(approval: &Approval) -> Option<Self> {
        let r#type = match approval.kind {
            Kind::Conversation { .. } => "prompt_injection",
            Kind::Call if approval.pii_bypass => "pii_bypass",
            Kind::Call | Kind::Limit { .. } => return None,
        };
        Some(Self {
            r#type,
            rule_label: approval.rule_label.clone().unwrap_or_default(),
            matches: [],
        })
    }
}

// === impl Limit ===

impl Limit {
    fn of(approval: &Approval) -> Option<Self> {
        let Kind::Limit { name, most, used } = &approval.kind else {
            return None;
        };
        Some(Self {
            r#type: "rate_limit_override",
            limit_name: name.clone(),
            limit: *most,
            current_count: *used,
        })
    }
}
