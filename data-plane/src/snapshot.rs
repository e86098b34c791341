//! What this replica knows: every workspace in compiled form, and how old that knowledge is. Calls
//! read it without a lock; [`keeper`] alone publishes.

mod compile;
pub mod freshener;
pub mod keeper;
mod slow;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ah5_contracts::connection::{Auth, ConnectionStatus, Mail};
use ah5_contracts::id::{
    AgentId, ConnectionId, PersonalTokenId, PolicyId, SessionId, UserId, WorkspaceId,
};
use ah5_contracts::role::Role;
use ah5_contracts::scope::Scopes;
use ah5_mail::mailbox::Owner;
use ah5_policy::{CanonicalUrl, CompiledPolicy};
use ah5_providers::service::Service;
use ah5_security::token::VerificationKey;
use ah5_security::vault::{DataKey, Destinations};
use ah5_store::vending::Allowed;
use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a policy that no longer compiles is served by its last good version.
pub const LAST_GOOD: Duration = Duration::from_secs(300);

/// The published snapshot and its age. Cheap to share.
pub struct Published {
    current: ArcSwap<Snapshot>,
    start: Instant,
    /// Milliseconds from `start` to the sending of the last poll whose findings are all published;
    /// `u64::MAX` before the first.
    confirmed: AtomicU64,
    /// Counts publications.
    changes: watch::Sender<u64>,
}

#[derive(Clone, Default)]
pub struct Snapshot {
    workspaces: imbl::HashMap<WorkspaceId, Arc<Workspace>>,
    globals: Arc<Globals>,
    /// Workspaces that have changed and do not load, and since when what is held of each may be old.
    behind: imbl::HashMap<WorkspaceId, Instant>,
}

/// What belongs to no workspace.
#[derive(Default)]
pub struct Globals {
    pub keys: HashMap<String, VerificationKey>,
    /// Another number for another set of keys: what was verified under one set is no proof under
    /// the next.
    pub key_set: u64,
    pub revoked_sessions: HashSet<SessionId>,
    pub disabled_users: HashSet<UserId>,
    version: i64,
}

pub struct Workspace {
    /// What may be handed out.
    pub allowed: Allowed,
    /// `None` if the ring doesn't open it: then nothing of this workspace can be unsealed.
    pub key: Option<DataKey>,
    pub agents: HashMap<AgentId, Agent>,
    pub connections: HashMap<ConnectionId, Connection>,
    pub policies: HashMap<(AgentId, ConnectionId), Vec<Policy>>,
    pub members: HashMap<UserId, Role>,
    /// By the SHA-256 of their text.
    pub personal_tokens: HashMap<[u8; 32], PersonalToken>,
    version: i64,
}

pub struct Agent {
    pub active: bool,
    /// A token is good only while it names this number.
    pub epoch: i64,
    /// Only tokens that are bound to a key are good.
    pub require_dpop: bool,
}

pub struct PersonalToken {
    pub id: PersonalTokenId,
    pub user: UserId,
    pub scopes: Scopes,
    /// Seconds since 1970-01-01 UTC.
    pub expires: i64,
}

pub struct Connection {
    pub service: &'static Service,
    pub status: ConnectionStatus,
    /// Calls go here or below.
    pub base: CanonicalUrl,
    /// Where the credential is bound to go.
    pub destinations: Destinations,
    pub auth: Auth,
    /// Microseconds since 1970-01-01 UTC.
    pub created: i64,
    /// Whose letters it reaches, and where. No request goes to such a connection's base URL.
    pub mailbox: Option<Arc<Mailbox>>,
    /// The provider's own name for the organisation that the account belongs to.
    pub tenant: Option<Arc<str>>,
    pub credential: Option<Credential>,
}

pub struct Mailbox {
    pub owner: Owner,
    pub servers: Mail,
}

pub struct Credential {
    pub version: i64,
    pub sealed: Vec<u8>,
    /// When it is good no more, in seconds since 1970-01-01 UTC; `None` if the provider did not say.
    pub expires: Option<i64>,
    /// From when on a call has it had anew.
    pub due: Option<i64>,
    /// It can be had anew.
    pub is_refreshable: bool,
}

pub struct Policy {
    pub id: PolicyId,
    pub version: i64,
    /// Of what it says.
    pub digest: [u8; 32],
    /// Calls are on record before they are made, or are not made.
    pub must_be_recorded: bool,
    compiled: Compiled,
}

#[derive(Clone)]
enum Compiled {
    Good(Arc<CompiledPolicy>),
    /// The version before it, and when this one was first seen.
    Broken {
        last_good: Option<Arc<CompiledPolicy>>,
        since: Instant,
    },
}

// === impl Published ===

impl Published {
    fn new() -> Self {
        Self {
            current: ArcSwap::from_pointee(Snapshot::default()),
            start: Instant::now(),
            confirmed: AtomicU64::new(u64::MAX),
            changes: watch::Sender::new(0),
        }
    }

    /// Wakes at each publication; the number itself means nothing.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn publish(&self, next: Snapshot) {
        self.current.store(Arc::new(next));
        self.changes.send_modify(|count| *count += 1);
    }

    /// The workspace as of now. Take it once a call; never hold the snapshot itself.
    #[must_use]
    pub fn workspace(&self, id: WorkspaceId) -> Option<Arc<Workspace>> {
        self.current.load().workspaces.get(&id).cloned()
    }

    /// Whether what is held of the workspace may be older than `limit`, though the rest is not.
    #[must_use]
    pub fn is_behind(&self, id: WorkspaceId, limit: Duration) -> bool {
        let current = self.current.load();
        current
            .behind
            .get(&id)
            .is_some_and(|since| since.elapsed() > limit)
    }

    /// How many workspaces have changed and do not load.
    #[must_use]
    pub fn behind(&self) -> usize {
        self.current.load().behind.len()
    }

    /// How many workspaces are held.
    #[must_use]
    pub fn workspaces(&self) -> usize {
        self.current.load().workspaces.len()
    }

    #[must_use]
    pub fn globals(&self) -> Arc<Globals> {
        self.current.load().globals.clone()
    }

    /// How old this replica's knowledge is at most; `None` before it knows anything.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let confirmed = self.confirmed.load(Ordering::Acquire);
        let since = Duration::from_millis(confirmed);
        (confirmed != u64::MAX).then(|| self.start.elapsed().saturating_sub(since))
    }

    /// When everything held was last known to be as it is in the database.
    fn confirmed_at(&self) -> Instant {
        let now = Instant::now();
        self.age()
            .and_then(|age| now.checked_sub(age))
            .unwrap_or(now)
    }

    fn confirm(&self, sent: Instant) {
        let since = sent.saturating_duration_since(self.start).as_millis();
        self.confirmed.store(
            u64::try_from(since).unwrap_or(u64::MAX - 1),
            Ordering::Release,
        );
    }
}

// === impl Globals ===

impl Globals {
    /// Whether the key of this number still verifies.
    #[must_use]
    pub fn holds(&self, key: u64) -> bool {
        self.keys.values().any(|held| held.number() == key)
    }
}

// === impl Workspace ===

impl Workspace {
    /// Another number for another content.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }
}

// === impl Connection ===

impl Connection {
    /// Whether its credential may go there.
    #[must_use]
    pub fn reaches(&self, url: &CanonicalUrl) -> bool {
        url.is_below(&self.base) || self.service.reaches(url)
    }
}

/// A minute before its end; of one that lives for less than four, in its last quarter.
fn due(issued: i64, ends: i64) -> i64 {
    ends.saturating_sub((ends.saturating_sub(issued) / 4).clamp(0, 60))
}

// === impl Policy ===

impl Policy {
    /// The rules to judge by; `None` denies.
    #[must_use]
    pub fn in_force(&self, now: Instant) -> Option<&CompiledPolicy> {
        match &self.compiled {
            Compiled::Good(policy) => Some(policy),
            Compiled::Broken { last_good, since } => last_good
                .as_deref()
                .filter(|_| now.saturating_duration_since(*since) < LAST_GOOD),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lives_long_is_renewed_a_minute_ahead_and_what_does_not_in_its_last_quarter() {
        assert_eq!(due(0, 3600), 3540);
        assert_eq!(due(0, 40), 30);
        assert_eq!(due(0, 0), 0);
        assert_eq!(due(100, 50), 50, "it had expired when it came");
    }
}
