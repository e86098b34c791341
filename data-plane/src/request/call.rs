//! What is known of a call, for the record, the log and the metrics. Nothing is ever decided by it.

use ah5_contracts::audit::{Action, ActorKind, AuditEvent, Verdict};
use ah5_contracts::id::{AgentId, ApprovalId, AuditId, ConnectionId, PolicyId, WorkspaceId};
use ah5_security::hash::sha256;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::authenticate::Person;
use super::llm::usage::Usage;
use super::parse::Asked;
use super::{Caller, Identity, Kind, Refusal};
use crate::metrics;
use crate::plane::Plane;
use crate::quotas::Quota;
use crate::routes::Endpoint;
use crate::spool::Recorder;

mod intent;

pub struct Call {
    pub audit_id: AuditId,
    began: Instant,
    marked: Instant,
    /// Microseconds since 1970-01-01 UTC.
    ts: i64,
    who: Option<Who>,
    what: What,
    timings: Vec<i32>,
    /// How the hour stands that it counts in.
    pub quota: Option<Quota>,
    /// Somebody else records it.
    taken: bool,
    /// Set once the provider may have got the request: from then on there is a row, whatever
    /// happens to the call.
    sent: Option<Sent>,
}

struct Sent {
    recorder: Recorder,
    upstream_status: Option<u16>,
    bytes_in: u64,
}

#[derive(Clone, Copy)]
struct Who {
    workspace: WorkspaceId,
    identity: Identity,
}

#[derive(Clone, Default)]
struct What {
    endpoint: Option<Endpoint>,
    agent: Option<AgentId>,
    connection: Option<ConnectionId>,
    method: Option<&'static str>,
    host: Option<String>,
    path_digest: Option<[u8; 32]>,
    policy: Option<(PolicyId, i64)>,
    rule: Option<String>,
    dropped_headers: Vec<String>,
    /// A secret is asked for.
    vends: bool,
    /// A policy wants it on record before anything leaves.
    must_be_recorded: bool,
    /// The row that says so.
    intent: Option<AuditId>,
    /// The approval that it takes or waits for.
    approval: Option<ApprovalId>,
}

/// How a call that reached its provider ended.
pub struct Outcome {
    pub verdict: Verdict,
    pub upstream_status: Option<u16>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// How often the credential was taken out of the answer.
    pub scrubbed: u64,
    /// Links of ours that act and were taken out of the answer.
    pub links_removed: usize,
    /// Tokens of a language model.
    pub usage: Option<Usage>,
    /// What went wrong, in a fixed word.
    pub fault: Option<&'static str>,
}

// === impl Call ===

impl Call {
    pub fn begin() -> Self {
        let now = Instant::now();
        Self {
            audit_id: AuditId::now(),
            began: now,
            marked: now,
            ts: Timestamp::now().as_microsecond(),
            who: None,
            what: What::default(),
            timings: Vec::with_capacity(8),
            quota: None,
            taken: false,
            sent: None,
        }
    }

    /// When it came, in seconds since 1970-01-01 UTC.
    pub const fn unix_seconds(&self) -> i64 {
        self.ts.div_euclid(1_000_000)
    }

    pub const fn began(&self) -> Instant {
        self.began
    }

    pub fn known(&mut self, plane: &Plane, caller: &Caller) {
        self.who = Some(Who {
            workspace: caller.workspace_id,
            identity: caller.identity,
        });
        if let Identity::Agent(agent) = caller.identity {
            self.what.agent = Some(agent);
            plane.usage.agents.note(agent, self.began);
        }
        if let Some(token) = caller.person.and_then(Person::token) {
            plane.usage.tokens.note(token, self.began);
        }
        self.mark();
    }

    pub const fn route(&mut self, endpoint: Endpoint) {
        self.what.endpoint = Some(endpoint);
    }

    pub fn asked(&mut self, asked: &Asked<'_>) {
        self.what.agent = Some(asked.agent);
        self.what.connection = Some(asked.connection);
        self.what.method = Some(asked.method.as_str());
        self.what.host = Some(asked.url.host().to_owned());
        self.what.path_digest = Some(sha256(asked.url.path_and_query().as_bytes()));
        self.mark();
    }

    /// A token is asked for, not a call.
    pub const fn vends(&mut self, agent: AgentId, connection: ConnectionId) {
        self.what.agent = Some(agent);
        self.what.connection = Some(connection);
        self.what.vends = true;
    }

    pub const fn resolves(&mut self, connection: ConnectionId) {
        self.what.connection = Some(connection);
        self.what.vends = true;
    }

    pub fn judged(&mut self, policy: Option<(PolicyId, i64)>, rule: Option<String>) {
        self.what.policy = policy;
        self.what.rule = rule;
        self.mark();
    }

    pub const fn redeems(&mut self, approval: ApprovalId) {
        self.what.approval = Some(approval);
    }

    /// People are asked about a limit that stands in its way.
    pub const fn waits_for(&mut self, approval: ApprovalId) {
        self.what.approval = Some(approval);
    }

    /// Who makes it, once that is known.
    pub fn identity(&self) -> Option<Identity> {
        self.who.map(|who| who.identity)
    }

    /// Records that a person is asked about the call, which ends here.
    pub fn asks(&mut self, plane: &Plane, id: ApprovalId, is_new: bool) -> Option<AuditId> {
        let details = json!({"approvalRequestId": id, "repeated": !is_new});
        let event = self.event(Action::ApprovalRequested, Verdict::Allowed, details)?;
        plane.recorder.record(event);
        Some(self.audit_id)
    }

    /// Hands everything over to whoever records it later.
    pub fn take(&mut self) -> Self {
        self.taken = true;
        Self {
            quota: self.quota,
            taken: false,
            sent: self.sent.take(),
            who: self.who.take(),
            what: std::mem::take(&mut self.what),
            timings: std::mem::take(&mut self.timings),
            audit_id: self.audit_id,
            began: self.began,
            marked: self.marked,
            ts: self.ts,
        }
    }

    /// The request is about to go out.
    pub fn sending(&mut self, recorder: &Recorder) {
        self.sent = Some(Sent {
            recorder: recorder.clone(),
            upstream_status: None,
            bytes_in: 0,
        });
    }

    /// The provider's answer has begun.
    pub fn answered(&mut self, status: u16, bytes_in: u64) {
        if let Some(sent) = &mut self.sent {
            sent.upstream_status = Some(status);
            sent.bytes_in = bytes_in;
        }
    }

    /// No byte of the request has left.
    pub fn not_sent(&mut self) {
        self.sent = None;
    }

    pub fn dropped_headers(&mut self, names: &[http::HeaderName]) {
        self.what.dropped_headers = names.iter().map(|name| name.as_str().to_owned()).collect();
    }

    /// Ends a step: its time goes into the record.
    pub fn mark(&mut self) {
        let now = Instant::now();
        let micros = now.duration_since(self.marked).as_micros();
        self.timings.push(i32::try_from(micros).unwrap_or(i32::MAX));
        self.marked = now;
    }

    /// Records that the call was refused; the id if there is a row. There is none for strangers.
    pub fn refused(&mut self, plane: &Plane, refusal: &Refusal) -> Option<AuditId> {
        metrics::refused(refusal.kind);
        if self.taken {
            return Some(self.audit_id);
        }
        let (verdict, action) = match refusal.status.as_u16() {
            _ if self.sent.is_some() || refusal.kind == Kind::Upstream => {
                (Verdict::Error, Action::ExecutionCompleted)
            }
            500.. => (Verdict::Error, Action::ExecutionDenied),
            _ if self.what.vends => (Verdict::Denied, Action::TokenVendDenied),
            _ if matches!(refusal.kind, Kind::Limited | Kind::Paused) => {
                (Verdict::Denied, Action::RateLimitExceeded)
            }
            _ => (Verdict::Denied, Action::ExecutionDenied),
        };
        let reason = refusal.recorded.unwrap_or(&refusal.error);
        let mut details = json!({
            "status": refusal.status.as_u16(), "reason": reason, "kind": refusal.kind.as_str(),
        });
        self.what.add_to(&mut details);
        let sent = self.sent.take();
        let mut event = self.event(action, verdict, details)?;
        if let Some(sent) = sent {
            event.upstream_status = sent.upstream_status.map(u16::cast_signed);
            event.bytes_in = Some(sent.bytes_in.cast_signed());
        }
        plane.recorder.record(event);
        Some(self.audit_id)
    }

    /// Records how a forwarded call ended. Its answer has left by then.
    pub fn completed(mut self, plane: &Plane, outcome: &Outcome) {
        self.sent = None;
        self.mark();
        metrics::completed(self.what.endpoint, outcome, self.began.elapsed());
        let mut details = json!({});
        if let Some(fault) = outcome.fault {
            details["fault"] = fault.into();
        }
        if outcome.scrubbed > 0 {
            details["credentialRemoved"] = outcome.scrubbed.into();
            tracing::warn!(audit_id = %self.audit_id, "a provider sent the credential back");
        }
        if outcome.links_removed > 0 {
            details["ownLinksRemoved"] = outcome.links_removed.into();
        }
        if let Some(usage) = &outcome.usage {
            details["usage"] = json!({
                "model": usage.model, "inputTokens": usage.input, "outputTokens": usage.output,
            });
        }
        self.what.add_to(&mut details);
        if !self.what.dropped_headers.is_empty() {
            let names = std::mem::take(&mut self.what.dropped_headers);
            details["droppedHeaders"] = names.into();
        }
        let event = self.event(Action::ExecutionCompleted, outcome.verdict, details);
        if let Some(mut event) = event {
            event.upstream_status = outcome.upstream_status.map(u16::cast_signed);
            event.bytes_in = Some(outcome.bytes_in.cast_signed());
            event.bytes_out = Some(outcome.bytes_out.cast_signed());
            plane.recorder.record(event);
        }
    }

    fn event(
        &mut self,
        action: Action,
        decision: Verdict,
        details: serde_json::Value,
    ) -> Option<AuditEvent> {
        let Who {
            workspace,
            identity,
        } = self.who?;
        let what = std::mem::take(&mut self.what);
        let (actor_kind, actor_id): (ActorKind, String) = identity.actor();
        Some(AuditEvent {
            audit_id: self.audit_id,
            ts: self.ts,
            workspace,
            actor_kind,
            actor_id,
            agent: what.agent,
            connection: what.connection,
            policy: what.policy.map(|(id, _)| id),
            policy_version: what.policy.map(|(_, version)| version),
            rule: what.rule,
            action: action.as_str().to_owned(),
            decision,
            method: what.method.map(str::to_owned),
            host: what.host,
            path_digest: what.path_digest.map(|digest| digest.to_vec()),
            upstream_status: None,
            bytes_in: None,
            bytes_out: None,
            timings: std::mem::take(&mut self.timings),
            details: details.to_string(),
        })
    }
}

// === impl What ===

impl What {
    /// The rows that belong to the call's own.
    fn add_to(&self, details: &mut serde_json::Value) {
        if let Some(approval) = self.approval {
            details["approvalRequestId"] = json!(approval);
        }
        if let Some(intent) = self.intent {
            details["intentId"] = json!(intent);
        }
    }
}

/// An agent that goes away, or a panic, ends a call anywhere. Once it was sent it is recorded all the
/// same: what the provider made of it is not known.
impl Drop for Call {
    fn drop(&mut self) {
        let Some(sent) = self.sent.take() else {
            return;
        };
        let mut details = json!({"fault": "agent_gone", "outcome": "unknown"});
        self.what.add_to(&mut details);
        if let Some(mut event) = self.event(Action::ExecutionCompleted, Verdict::Error, details) {
            event.upstream_status = sent.upstream_status.map(u16::cast_signed);
            event.bytes_in = Some(sent.bytes_in.cast_signed());
            sent.recorder.record(event);
        }
    }
}
