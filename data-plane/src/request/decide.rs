//! May it be done? A pure function of what is published and what is asked; the answer also says
//! what must go on holding while the provider's answer is under way.

use std::sync::Arc;

use ah5_contracts::connection::ConnectionStatus;
use ah5_contracts::id::{AgentId, ConnectionId, PolicyId, WorkspaceId};
use ah5_policy::constraints::Trim;
use ah5_policy::endpoints::{Class, Tunnel};
use ah5_policy::response::{ResponseFilter, RuleFilter};
use ah5_policy::{Combined, CompiledPolicy, Decision, Limits, Redaction, Stop, decide_all};
use ah5_providers::headers::{HeaderRefusal, acting_headers};
use bytes::Bytes;
use tokio::time::Instant;

use super::claim::Claim;
use super::dues::Dues;
use super::parse::{Asked, AskedBody};
use super::{Call, Caller, Refusal, budget, mailbox, renewal};
use crate::quotas::Toll;
use crate::snapshot::{Policy, Workspace};

/// An allowed request, as it is to be sent.
pub struct Judged<'h> {
    pub asked: Asked<'h>,
    pub claim: Claim,
    pub limits: Limits,
    /// What it takes of its policies' limits.
    pub dues: Dues,
    /// What rules replaced in the body.
    pub redactions: Vec<Redaction>,
    /// What the answer must lose.
    pub filter: Option<Arc<ResponseFilter>>,
    /// It is allowed only if a person says so.
    pub needs: Option<Needs>,
}

/// What asks for an approval, and why.
pub struct Needs {
    pub reason: String,
    pub rule: String,
    pub label: Option<Arc<str>>,
    /// The rule, if it has stopped at what a language model is told.
    pub stopped: Option<Stop>,
    /// Id, version, and digest of its content.
    pub policy: Option<(PolicyId, i64, [u8; 32])>,
}

/// Whether a policy that counts has rules that read the request's body, or the endpoint is one whose
/// requests stand in there, or it is for a mailbox, which has no use for anything unread.
pub fn reads_bodies(caller: &Caller, asked: &Asked<'_>, now: Instant) -> bool {
    if carries_requests(caller, asked) || mailbox::is_one(caller, asked.connection) {
        return true;
    }
    let policies = policies(&caller.workspace, asked.agent, asked.connection);
    let mut compiled = policies.iter().filter_map(|policy| policy.in_force(now));
    compiled.any(CompiledPolicy::reads_bodies)
}

/// # Errors
/// 403 with the reason and a hint: the default. 400 for headers that are malformed, and for parameters
/// that nothing lets pass.
pub fn decide<'h>(
    caller: &Caller,
    mut asked: Asked<'h>,
    call: &mut Call,
) -> Result<Judged<'h>, Refusal> {
    check_parameters(caller, &asked)?;
    let policies = policies(&caller.workspace, asked.agent, asked.connection);
    let Some(compiled) = in_force(policies, call.began()) else {
        call.judged(None, None);
        return Err(Refusal::forbidden(
            "A policy of this connection cannot be enforced; the call is denied",
            Some("An owner must correct the policy.".to_owned()),
        ));
    };
    let acting = acting(caller, &asked, &compiled)?;
    let claim = Claim::of(caller, &asked, acting, call.unix_seconds());
    let mut combined = decide_all(compiled, &claim.facts());
    let decided = combined.policy.and_then(|at| policies.get(at));
    call.judged(decided.map(|p| (p.id, p.version)), rule(&combined));
    if must_be_recorded(policies) {
        call.must_be_recorded();
    }
    let (limits, body) = (combined.limits, combined.body.take());
    let toll = toll(&combined, policies, caller.workspace_id);
    let budgeted = std::mem::take(&mut combined.budgeted);
    let redactions = std::mem::take(&mut combined.redactions);
    let filter = filter(
        caller,
        &asked,
        std::mem::take(&mut combined.response),
        std::mem::take(&mut combined.trims),
    );
    let policy = decided.map(|policy| (policy.id, policy.version, policy.digest));
    let needs = needs(combined, policy)?;
    check_target(caller, &asked)?;
    if let (Some(body), AskedBody::Bytes(bytes, _)) = (body, &mut asked.body) {
        *bytes = Bytes::from(body);
    }
    let budgeted: Vec<&Policy> = budgeted.iter().filter_map(|at| policies.get(*at)).collect();
    let claims = match budgeted.is_empty() {
        true => None,
        false => budget::claims(caller, &asked, &budgeted, call.began())?,
    };
    Ok(Judged {
        asked,
        claim,
        limits,
        dues: Dues { toll, claims },
        redactions,
        filter,
        needs,
    })
}

pub fn policies(workspace: &Workspace, agent: AgentId, connection: ConnectionId) -> &[Policy] {
    workspace
        .policies
        .get(&(agent, connection))
        .map_or(&[], Vec::as_slice)
}

/// Whether one of them wants calls on record before anything leaves.
pub fn must_be_recorded(policies: &[Policy]) -> bool {
    policies.iter().any(|policy| policy.must_be_recorded)
}

/// `None` if any of them can't be enforced: it might have been the one that denies.
pub fn in_force(policies: &[Policy], now: Instant) -> Option<Vec<&CompiledPolicy>> {
    policies.iter().map(|policy| policy.in_force(now)).collect()
}

pub fn header_refused(refusal: HeaderRefusal) -> Refusal {
    let text = format!("Request refused: {refusal}");
    match refusal {
        // Well-formed, and a policy could have something to say of it: a denial like any other.
        HeaderRefusal::Acting(_) | HeaderRefusal::Steering(_) => Refusal::forbidden(text, None),
        HeaderRefusal::Injected(_) | HeaderRefusal::Malformed(_) => Refusal::bad_request(text),
    }
}

fn carries_requests(caller: &Caller, asked: &Asked<'_>) -> bool {
    let connection = caller.workspace.connections.get(&asked.connection);
    let class = connection.and_then(|c| c.service.endpoints.class(asked.method, &asked.url));
    class == Some(Class::Tunnel(Tunnel::JsonBatch))
}

/// What an answer loses by the policies' rules, and by what its service is known to put into it.
fn filter(
    caller: &Caller,
    asked: &Asked<'_>,
    mut rules: Vec<Arc<RuleFilter>>,
    trims: Vec<Trim>,
) -> Option<Arc<ResponseFilter>> {
    let carries = carries_requests(caller, asked);
    if let Some(connection) = caller.workspace.connections.get(&asked.connection) {
        rules.extend(connection.service.answer_filters(&asked.url, carries));
    }
    let filter = ResponseFilter::new(rules).trimmed_by(trims);
    (!filter.is_empty()).then(|| Arc::new(filter))
}

fn rule(combined: &Combined) -> Option<String> {
    match &combined.decision {
        Decision::Allow { rule } | Decision::NeedsApproval { rule, .. } => Some(rule.to_string()),
        Decision::Deny { rule, .. } => rule.map(|rule| rule.to_string()),
    }
}

/// The caller's headers with authority or arguments, those known as such and those that one of the
/// policies names.
fn acting(
    caller: &Caller,
    asked: &Asked<'_>,
    policies: &[&CompiledPolicy],
) -> Result<Vec<(String, String)>, Refusal> {
    let Some(connection) = caller.workspace.connections.get(&asked.connection) else {
        return Ok(Vec::new());
    };
    let named = |name: &str| policies.iter().any(|policy| policy.names_header(name));
    let source = asked.form.source();
    acting_headers(&asked.headers, source, connection.service, named).map_err(header_refused)
}

/// Some services take the method, or a credential, from a parameter.
fn check_parameters(caller: &Caller, asked: &Asked<'_>) -> Result<(), Refusal> {
    let connection = caller.workspace.connections.get(&asked.connection);
    match connection.and_then(|c| c.service.refused_parameter(&asked.url)) {
        None => Ok(()),
        Some(name) => Err(Refusal::bad_request(format!(
            "Request refused: parameter {name} would make another request of this one"
        ))),
    }
}

fn needs(
    combined: Combined,
    policy: Option<(PolicyId, i64, [u8; 32])>,
) -> Result<Option<Needs>, Refusal> {
    let stopped = combined.stopped;
    match combined.decision {
        Decision::Allow { .. } => Ok(None),
        Decision::NeedsApproval { reason, rule } => Ok(Some(Needs {
            stopped,
            reason,
            rule: rule.to_string(),
            label: combined.label,
            policy,
        })),
        Decision::Deny { reason, hint, .. } => {
            Err(Refusal::forbidden(reason, hint).record_as("no policy allows the request"))
        }
    }
}

fn toll(combined: &Combined, policies: &[Policy], workspace: WorkspaceId) -> Option<Toll> {
    let hourly = combined.hourly.iter();
    let counted = hourly.filter_map(|(at, hour)| Some((policies.get(*at)?.id, *hour)));
    let counted: Vec<_> = counted.collect();
    (!counted.is_empty()).then_some(Toll {
        workspace,
        policies: counted,
        units: combined.calls,
    })
}

/// Agent and connection as of now: the workspace may be newer than the one they were found in.
fn check_target(caller: &Caller, asked: &Asked<'_>) -> Result<(), Refusal> {
    let agent = caller.workspace.agents.get(&asked.agent);
    if !agent.is_some_and(|agent| agent.active) {
        return Err(Refusal::conflict("Agent is disabled"));
    }
    let connection = caller.workspace.connections.get(&asked.connection);
    let connection = connection.ok_or_else(|| Refusal::not_found("Connection not found"))?;
    match connection.status {
        ConnectionStatus::Healthy => {}
        ConnectionStatus::NeedsReauth => return Err(renewal::needs_reauth()),
        ConnectionStatus::Revoked => return Err(renewal::revoked()),
    }
    if connection.reaches(&asked.url) {
        return Ok(());
    }
    let base = &connection.base;
    Err(Refusal::forbidden(
        "Request denied: the URL is not below this connection's base URL",
        Some(format!("This connection's base URL is {base}.")),
    ))
}
