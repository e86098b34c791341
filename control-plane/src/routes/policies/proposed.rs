//! A change of a policy that an approval gives rise to: one rule more, right before what asked.

use ah5_contracts::approval::Request;
use ah5_contracts::audit::Action;
use ah5_contracts::id::{ApprovalId, PolicyId};
use ah5_policy::proposal::Proposal;
use ah5_policy::{Decision, Rule};
use ah5_store::policies::{self, Policy};
use ah5_store::tenant::Tenant;
use serde_json::{Value, json};

use super::asked::Asked;
use super::draft::Draft;
use super::{find, policy_json, record};
use crate::app::{App, now};
use crate::auth::caller::Caller;
use crate::error::AppError;

/// A rule and its place, with the policy as it would be.
pub struct Proposed {
    policy: Policy,
    draft: Draft,
    position: usize,
    proposal: Proposal,
}

/// # Errors
/// 409 where no rule would allow just such calls.
pub async fn propose(
    app: &App,
    tenant: &Tenant<'_>,
    (policy, approval): (PolicyId, ApprovalId),
    request: &Request,
) -> Result<Proposed, AppError> {
    let policy = find(tenant, policy).await?;
    let mut draft = Draft::of(&policy);
    let asked = Asked::approved(request, &policy.connection_service, now())?;
    let position = match asked.decide(&draft.compiled(app, tenant.workspace())?) {
        Decision::NeedsApproval { rule, .. } => position(rule, &draft.rules),
        Decision::Allow { .. } | Decision::Deny { .. } => None,
    };
    let position = position.ok_or_else(|| AppError::conflict(NOT_ASKED).hint(BY_HAND))?;
    let label = format!("Allowed since approval {:.8}", approval.to_string());
    let proposal = asked.propose(&label).map_err(|why| {
        let text = format!("No rule can allow calls like this one only: {why}");
        AppError::conflict(text).hint(BY_HAND)
    })?;
    if let Some(rules) = draft.rules["request"].as_array_mut() {
        rules.insert(position, proposal.rule.clone());
    }
    // Some calls are asked about whatever rules say.
    match asked.decide(&draft.compiled(app, tenant.workspace())?) {
        Decision::Allow { .. } => Ok(Proposed {
            policy,
            draft,
            position,
            proposal,
        }),
        Decision::Deny { .. } | Decision::NeedsApproval { .. } => {
            Err(AppError::conflict(NO_USE).hint(BY_HAND))
        }
    }
}

// === impl Proposed ===

impl Proposed {
    /// What is shown before it is saved.
    pub fn json(&self) -> Value {
        json!({
            "policyId": self.policy.id, "rule": self.proposal.rule, "position": self.position,
            "open": self.proposal.open,
        })
    }

    /// Whether it is what somebody was shown.
    pub fn is(&self, rule: &Value, position: usize) -> bool {
        self.proposal.rule == *rule && self.position == position
    }

    /// Answers with the policy as it is then.
    pub async fn save(
        &self,
        app: &App,
        tenant: &Tenant<'_>,
        caller: &Caller,
    ) -> Result<Value, AppError> {
        policies::update(tenant, self.policy.id, &self.draft.settings()).await?;
        let action = Action::PolicyUpdated;
        record(app, tenant, caller, action, &self.policy, &["rules"]).await?;
        Ok(policy_json(&find(tenant, self.policy.id).await?))
    }
}

/// Before the rule that asked; at the end, if it was none.
fn position(rule: Rule, rules: &Value) -> Option<usize> {
    match rule {
        Rule::Request(at) => Some(at),
        Rule::StepUp => rules["request"].as_array().map(Vec::len),
        _ => None,
    }
}

const BY_HAND: &str = "Change the policy by hand: PUT /v1/policies/{id}/rules";
const NOT_ASKED: &str = "No rule of this policy asks about such a call now";
const NO_USE: &str = "Such calls are asked about whatever the rules say";
