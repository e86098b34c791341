//! The audit row: one for each agent call, and one for each change that a person makes.
//!
//! A row belongs to a chain: its writer (`spool_id`) numbers the rows of one workspace from 1 and
//! puts the hash of each into the next. `ah5-security` computes hash and MAC over the encoding
//! below; the database only stores them.

mod action;

use serde::{Deserialize, Serialize};

pub use action::Action;

use crate::id::{AgentId, AuditId, ConnectionId, PolicyId, SpoolId, WorkspaceId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    Agent,
    System,
    User,
}

impl ActorKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::System => "system",
            Self::User => "user",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Allowed,
    Denied,
    Error,
}

impl Verdict {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Error => "error",
        }
    }
}

/// What happened. Complete but for its place in a chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEvent {
    pub audit_id: AuditId,
    /// Microseconds since 1970-01-01 UTC.
    pub ts: i64,
    pub workspace: WorkspaceId,
    pub actor_kind: ActorKind,
    /// User or agent id; empty for the system.
    pub actor_id: String,
    pub agent: Option<AgentId>,
    pub connection: Option<ConnectionId>,
    pub policy: Option<PolicyId>,
    pub policy_version: Option<i64>,
    pub rule: Option<String>,
    /// The word of an [`Action`]. A text, because a spool may have been written by another build.
    pub action: String,
    pub decision: Verdict,
    pub method: Option<String>,
    pub host: Option<String>,
    /// SHA-256 of the canonical path and query: comparable, but not readable.
    pub path_digest: Option<Vec<u8>>,
    pub upstream_status: Option<i16>,
    pub bytes_in: Option<i64>,
    pub bytes_out: Option<i64>,
    /// Microseconds by step, in the order of the steps.
    pub timings: Vec<i32>,
    /// Compact JSON object.
    pub details: String,
}

/// A row's place in its chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainLink {
    pub spool: SpoolId,
    /// From 1, dense within (workspace, spool).
    pub seq: i64,
    pub prev_hash: [u8; 32],
    pub hash: [u8; 32],
    pub mac: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRow {
    pub event: AuditEvent,
    pub link: ChainLink,
}
