//! May it be done? A pure function of what is published and what is asked; the answer also says
//! what must go on holding while the provider's answer is under way.

use ah5_contracts::connection::ConnectionStatus;
use ah5_contracts::id::{AgentId, ConnectionId, WorkspaceId};
use ah5_contracts::policy::Method;
use ah5_policy::{CanonicalUrl, Combined, CompiledPolicy, Decision, Facts, Limits, decide_all};
use tokio::time::Instant;

use super::parse::Asked;
use super::{Call, Caller, Refusal};
use crate::snapshot::{Policy, Published, Workspace};

/// An allowed request.
pub struct Judged {
    pub asked: Asked,
    pub claim: Claim,
    pub limits: Limits,
}

/// Everything that made a call allowed. Judged again when something changes.
#[derive(Clone)]
pub struct Claim {
    pub workspace: WorkspaceId,
    /// Of the workspace as it was judged.
    version: i64,
    agent: AgentId,
    epoch: i64,
    connection: ConnectionId,
    method: Method,
    url: CanonicalUrl,
    now: i64,
}

/// # Errors
/// 403 with the reason and a hint: the default.
pub fn decide(caller: &Caller, asked: Asked, call: &mut Call) -> Result<Judged, Refusal> {
    let workspace = &*caller.workspace;
    let epoch = workspace
        .agents
        .get(&asked.agent)
        .map_or(0, |agent| agent.epoch);
    let claim = Claim {
        workspace: caller.workspace_id,
        version: workspace.version(),
        agent: asked.agent,
        epoch,
        connection: asked.connection,
        method: asked.method,
        url: asked.url.clone(),
        now: call.unix_seconds(),
    };
    let policies = policies(workspace, asked.agent, asked.connection);
    let Some(compiled) = in_force(policies, call.began()) else {
        call.judged(None, None);
        return Err(Refusal::forbidden(
            "A policy of this connection cannot be enforced; the call is denied",
            Some("An owner must correct the policy.".to_owned()),
        ));
    };
    let combined = decide_all(compiled.iter().copied(), &claim.facts());
    let decided = combined.policy.and_then(|at| policies.get(at));
    call.judged(decided.map(|p| (p.id, p.version)), rule(&combined));
    let limits = combined.limits;
    allowed(combined)?;
    let base = workspace
        .connections
        .get(&asked.connection)
        .map(|c| &c.base);
    if !base.is_some_and(|base| asked.url.is_below(base)) {
        return Err(Refusal::forbidden(
            "Request denied: the URL is not below this connection's base URL",
            base.map(|base| format!("This connection's base URL is {base}.")),
        ));
    }
    Ok(Judged {
        asked,
        claim,
        limits,
    })
}

// === impl Claim ===

impl Claim {
    /// Whether it would be allowed as of now.
    #[must_use]
    pub fn holds(&self, published: &Published) -> bool {
        let Some(workspace) = published.workspace(self.workspace) else {
            return false;
        };
        workspace.version() == self.version || self.holds_in(&workspace)
    }

    fn holds_in(&self, workspace: &Workspace) -> bool {
        let connection = workspace.connections.get(&self.connection);
        let healthy = connection
            .is_some_and(|c| c.status == ConnectionStatus::Healthy && self.url.is_below(&c.base));
        let policies = policies(workspace, self.agent, self.connection);
        healthy
            && super::authenticate::is_in_force(workspace, self.agent, self.epoch)
            && in_force(policies, Instant::now()).is_some_and(|compiled| {
                let combined = decide_all(compiled.iter().copied(), &self.facts());
                combined.decision.is_allowed()
            })
    }

    fn facts(&self) -> Facts<'_> {
        Facts::new(self.method, &self.url, self.now)
    }
}

fn policies(workspace: &Workspace, agent: AgentId, connection: ConnectionId) -> &[Policy] {
    workspace
        .policies
        .get(&(agent, connection))
        .map_or(&[], Vec::as_slice)
}

/// `None` if any of them can't be enforced: it might have been the one that denies.
fn in_force(policies: &[Policy], now: Instant) -> Option<Vec<&CompiledPolicy>> {
    policies.iter().map(|policy| policy.in_force(now)).collect()
}

fn rule(combined: &Combined) -> Option<String> {
    match &combined.decision {
        Decision::Allow { rule } | Decision::NeedsApproval { rule, .. } => Some(rule.to_string()),
        Decision::Deny { rule, .. } => rule.map(|rule| rule.to_string()),
    }
}

fn allowed(combined: Combined) -> Result<(), Refusal> {
    match combined.decision {
        Decision::Allow { .. } => Ok(()),
        Decision::NeedsApproval { reason, .. } => Err(Refusal::forbidden(
            reason,
            Some("approvals are not available yet".to_owned()),
        )),
        Decision::Deny { reason, hint, .. } => {
            Err(Refusal::forbidden(reason, hint).record_as("no policy allows the request"))
        }
    }
}
