//! Everything that made a call allowed, kept for as long as its answer is under way: when something
//! changes it is judged again.

use std::sync::Arc;

use ah5_contracts::connection::ConnectionStatus;
use ah5_contracts::id::{AgentId, ConnectionId, WorkspaceId};
use ah5_contracts::policy::Method;
use ah5_policy::{Body, CanonicalUrl, CompiledPolicy, Decision, Facts, decide_all};
use ah5_providers::service::Service;
use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use jiff::Timestamp;
use tokio::time::Instant;

use super::Caller;
use super::authenticate::{Person, is_in_force};
use super::decide::{in_force, policies};
use super::parse::{Asked, AskedBody, Wishes};
use crate::snapshot::{Published, Workspace};

#[derive(Clone)]
pub struct Claim {
    workspace: WorkspaceId,
    /// Of the workspace as it was judged.
    version: i64,
    agent: AgentId,
    epoch: i64,
    /// That has verified the agent's token; none where a person acts as the agent.
    key: Option<u64>,
    /// Who acts as the agent, if a person does.
    person: Option<Person>,
    connection: ConnectionId,
    service: Option<&'static Service>,
    /// Headers with authority or arguments.
    acting: Vec<(String, String)>,
    tenant: Option<Arc<str>>,
    method: Method,
    url: CanonicalUrl,
    body: Seen,
    wishes: Wishes,
    /// A person has approved the very call.
    approved: bool,
    /// Seconds since 1970-01-01 UTC.
    now: i64,
    /// A policy that counts has time windows: what is allowed changes though nothing is published.
    is_timed: bool,
}

/// The request's body as rules were shown it.
#[derive(Clone)]
enum Seen {
    /// It went through unread.
    Unread,
    Read {
        bytes: Bytes,
        content_type: Option<String>,
        encoded: bool,
    },
}

// === impl Claim ===

impl Claim {
    /// `acting` are the caller's headers with authority or arguments; `now` in seconds since
    /// 1970-01-01 UTC.
    pub fn of(caller: &Caller, asked: &Asked<'_>, acting: Vec<(String, String)>, now: i64) -> Self {
        let workspace = &caller.workspace;
        let agent = workspace.agents.get(&asked.agent);
        let connection = workspace.connections.get(&asked.connection);
        Self {
            workspace: caller.workspace_id,
            version: workspace.version(),
            agent: asked.agent,
            epoch: agent.map_or(0, |agent| agent.epoch),
            key: caller.key,
            person: caller.person,
            connection: asked.connection,
            service: connection.map(|connection| connection.service),
            acting,
            tenant: connection.and_then(|connection| connection.tenant.clone()),
            method: asked.method,
            url: asked.url.clone(),
            body: Seen::of(asked),
            wishes: asked.wishes,
            approved: false,
            now,
            is_timed: policies(workspace, asked.agent, asked.connection)
                .iter()
                .filter_map(|policy| policy.in_force(Instant::now()))
                .any(CompiledPolicy::has_windows),
        }
    }

    /// What a policy leaves to a person is allowed from here on; what one denies is not.
    pub const fn approve(&mut self) {
        self.approved = true;
    }

    #[must_use]
    pub const fn agent(&self) -> AgentId {
        self.agent
    }

    /// Whether it would be allowed as of now.
    #[must_use]
    pub fn holds(&self, published: &Published) -> bool {
        let Some(workspace) = published.workspace(self.workspace) else {
            return false;
        };
        let person = self
            .person
            .is_none_or(|person| person.may_act(published, &workspace));
        let proven = self.key.is_none_or(|key| published.globals().holds(key));
        let is_same = workspace.version() == self.version && !self.is_timed;
        person && proven && (is_same || self.holds_in(&workspace))
    }

    pub const fn service(&self) -> Option<&'static Service> {
        self.service
    }

    pub const fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// Whether the passing of time alone may end it.
    pub const fn is_timed(&self) -> bool {
        self.is_timed
    }

    fn holds_in(&self, workspace: &Workspace) -> bool {
        let connection = workspace.connections.get(&self.connection);
        let healthy = connection.is_some_and(|connection| {
            connection.status == ConnectionStatus::Healthy
                && connection.reaches(&self.url)
                && self.tenant == connection.tenant
        });
        let policies = policies(workspace, self.agent, self.connection);
        healthy
            && is_in_force(workspace, self.agent, self.epoch)
            && in_force(policies, Instant::now())
                .is_some_and(|compiled| self.is_allowed_by(compiled, Timestamp::now().as_second()))
    }

    fn is_allowed_by(&self, policies: Vec<&CompiledPolicy>, now: i64) -> bool {
        let mut facts = self.facts();
        facts.now_unix = now;
        match decide_all(policies, &facts).decision {
            Decision::Allow { .. } => true,
            Decision::Deny { .. } => false,
            Decision::NeedsApproval { .. } => self.approved,
        }
    }

    /// The headers with authority or arguments that a policy has let pass.
    pub fn acting(&self) -> &[(String, String)] {
        &self.acting
    }

    pub fn facts(&self) -> Facts<'_> {
        self.facts_with(self.body.view())
    }

    /// As of a request that differs in its bytes alone. `None` where rules were shown none.
    pub fn facts_of<'a>(&'a self, bytes: &'a [u8]) -> Option<Facts<'a>> {
        match &self.body {
            Seen::Read {
                content_type,
                encoded: false,
                ..
            } => Some(self.facts_with(Some(Body::new(bytes, content_type.as_deref())))),
            Seen::Read { .. } | Seen::Unread => None,
        }
    }

    fn facts_with<'a>(&'a self, body: Option<Body<'a>>) -> Facts<'a> {
        let mut facts = Facts::new(self.method, &self.url, self.now);
        facts.headers = &self.acting;
        facts.tenant = self.tenant.as_deref();
        facts.bypass_pii_redaction = self.wishes.bypass_pii;
        facts.request_full_fields = self.wishes.full_fields;
        facts.body = body;
        let Some(service) = self.service else {
            return facts;
        };
        facts.service = &service.id;
        if service.case_insensitive_json {
            facts.body = facts.body.map(Body::fold_keys);
        }
        facts.at(&service.endpoints)
    }
}

// === impl Seen ===

impl Seen {
    fn of(asked: &Asked<'_>) -> Self {
        let bytes = match &asked.body {
            AskedBody::Stream(..) => return Self::Unread,
            AskedBody::Bytes(bytes, _) => bytes.clone(),
            AskedBody::None => Bytes::new(),
        };
        Self::Read {
            bytes,
            content_type: asked.content_type().map(str::to_owned),
            encoded: asked.headers.contains_key(CONTENT_ENCODING),
        }
    }

    fn view(&self) -> Option<Body<'_>> {
        let Self::Read {
            bytes,
            content_type,
            encoded,
        } = self
        else {
            return None;
        };
        let body = Body::new(bytes, content_type.as_deref());
        Some(if *encoded { body.encoded() } else { body })
    }
}

#[cfg(test)]
mod tests {
    use ah5_policy::PolicySource;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_allowed_in_its_hours_is_allowed_no_longer_after_them() {
        let nine_to_ten = json!([
            {"dayOfWeek": 4, "startHour": 9, "endHour": 10, "timezone": "UTC"}
        ]);
        let base = "https://api.example.com";
        let policy = CompiledPolicy::compile(&PolicySource {
            allowed_models: &["B".to_owned()],
            allowlists: &json!([{"baseUrl": base, "methods": ["GET"], "pathPatterns": ["/**"]}]),
            default_mode: "read_write",
            plain_http: &|_, _| false,
            provider_constraints: None,
            rate_limits: None,
            rules: &json!({"request": [], "response": []}),
            step_up: "never",
            time_windows: &nine_to_ten,
        })
        .unwrap();
        assert!(policy.has_windows());
        let claim = Claim {
            workspace: WorkspaceId::random(),
            version: 1,
            agent: AgentId::random(),
            epoch: 1,
            key: None,
            person: None,
            connection: ConnectionId::random(),
            service: None,
            acting: Vec::new(),
            tenant: None,
            method: Method::Get,
            url: CanonicalUrl::parse(&format!("{base}/x")).unwrap(),
            body: Seen::Unread,
            wishes: Wishes::default(),
            approved: false,
            now: THURSDAY_9_59,
            is_timed: true,
        };
        assert!(claim.is_allowed_by(vec![&policy], THURSDAY_9_59));
        assert!(!claim.is_allowed_by(vec![&policy], THURSDAY_9_59 + 60));
    }

    /// 1970-01-01.
    const THURSDAY_9_59: i64 = (9 * 60 + 59) * 60;
}
