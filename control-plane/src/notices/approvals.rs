//! What people are told of single calls: that one waits for them, and what became of it.

use serde_json::{Value, json};

use ah5_store::approvals::{Approval, Kind};
use ah5_store::tenant::Tenant;
use ah5_store::{StoreError, agents};

use super::text::{plain, quoted};
use super::{APPROVALS_PAGE, Notice, To, kind, notify};
use crate::app::now;

#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    Approved,
    Denied,
    Expired,
    Unknown,
}

pub async fn waits(tenant: &Tenant<'_>, approval: &Approval) -> Result<(), StoreError> {
    let agent = agent(tenant, approval).await?;
    let rule = approval.rule_label.as_deref();
    let rule = rule.map(|label| format!(" Rule: {}.", quoted(label)));
    let (what, about) = match &approval.kind {
        Kind::Call | Kind::Conversation { .. } => ("approval", call(approval)),
        Kind::Limit { .. } => ("budget override", plain(&approval.reason, MOST_CALL)),
    };
    let left = approval.expires_at.as_second() - now();
    let minutes = (left.max(0) + 59) / 60;
    let notice = Notice {
        kind: kind::APPROVAL_REQUEST,
        title: format!("{agent} needs {what}"),
        body: format!(
            "{about}.{} Expires in {minutes} min.",
            rule.unwrap_or_default()
        ),
        link: Some(APPROVALS_PAGE.to_owned()),
        metadata: metadata(approval),
        to: To::Everyone,
    };
    notify(tenant, &notice).await
}

pub async fn resolved(
    tenant: &Tenant<'_>,
    approval: &Approval,
    outcome: Outcome,
) -> Result<(), StoreError> {
    let agent = agent(tenant, approval).await?;
    let is_limit = matches!(approval.kind, Kind::Limit { .. });
    let title = match outcome {
        Outcome::Approved if is_limit => format!("A limit of {agent} was lifted"),
        Outcome::Denied if is_limit => format!("A limit of {agent} stays as it is"),
        Outcome::Expired if is_limit => format!("Nobody decided on a limit of {agent}"),
        Outcome::Approved => format!("A call of {agent} was approved"),
        Outcome::Denied => format!("A call of {agent} was denied"),
        Outcome::Expired => format!("Nobody decided on a call of {agent}"),
        Outcome::Unknown => format!("Nobody knows what became of a call of {agent}"),
    };
    let body = match outcome {
        Outcome::Unknown => format!(
            "{} was approved and begun. Look at the provider whether it took place.",
            call(approval)
        ),
        _ if is_limit => format!("{}.", plain(&approval.reason, MOST_CALL)),
        _ => format!("{}.", call(approval)),
    };
    let mut metadata = metadata(approval);
    metadata["outcome"] = outcome.as_str().into();
    let notice = Notice {
        kind: kind::APPROVAL_RESOLVED,
        title,
        body,
        link: Some(APPROVALS_PAGE.to_owned()),
        metadata,
        to: To::Everyone,
    };
    notify(tenant, &notice).await
}

async fn agent(tenant: &Tenant<'_>, approval: &Approval) -> Result<String, StoreError> {
    let agent = agents::get(tenant, approval.agent).await?;
    let name = agent.map(|agent| plain(&agent.name, MOST_NAME));
    let name = name.filter(|name| !name.is_empty());
    Ok(name.unwrap_or_else(|| "An agent".to_owned()))
}

/// Method, host and path: a stored approval has no query.
fn call(approval: &Approval) -> String {
    let place = approval.url.split_once("://");
    let place = place.map_or(&*approval.url, |(_, place)| place);
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let path: String = path.chars().take(MOST_PATH).collect();
    plain(&format!("{} {host}/{path}", approval.method), MOST_CALL)
}

fn metadata(approval: &Approval) -> Value {
    json!({
        "agentId": approval.agent, "connectionId": approval.connection,
        "approvalRequestId": approval.id, "method": approval.method,
        "url": plain(&approval.url, MOST_URL),
    })
}

// === impl Outcome ===

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
    }
}

const MOST_CALL: usize = 200;
const MOST_NAME: usize = 60;
const MOST_PATH: usize = 80;
const MOST_URL: usize = 500;
