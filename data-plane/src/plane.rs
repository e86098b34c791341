//! What every call shares.

use std::sync::Arc;
use std::time::Duration;

use ah5_contracts::id::WorkspaceId;
use ah5_edge::Origin;
use ah5_net::Upstreams;
use ah5_net::cdn_loop::CdnLoop;
use ah5_oauth::refresh::Refresher;
use ah5_policy::links::OwnLinks;
use ah5_policy::response::RuleFilter;
use ipnet::IpNet;

use crate::admission::Admission;
use crate::approvals::Approvals;
use crate::budgets::Budgets;
use crate::pauses::Pauses;
use crate::proofs::Proofs;
use crate::quotas::Quotas;
use crate::request::Claim;
use crate::request::authenticate::memory::Memory;
use crate::snapshot::Published;
use crate::snapshot::freshener::Freshener;
use crate::spool::{Recorder, Via};
use crate::streams::Streams;
use crate::suspects::Suspects;
use crate::usage::Usage;
use crate::vending::Vending;

pub struct Plane {
    pub admission: Arc<Admission>,
    pub approvals: Arc<Approvals>,
    pub budgets: Arc<Budgets>,
    pub cdn_loop: CdnLoop,
    pub freshener: Arc<Freshener>,
    pub jwt_issuer: String,
    /// Beyond this age nothing is decided any more.
    pub max_staleness: Duration,
    pub origin: Origin,
    /// Every spelling of it.
    pub origins: Vec<String>,
    pub own_links: Arc<OwnLinks>,
    /// The same, for event streams.
    pub own_links_rule: Arc<RuleFilter>,
    pub pauses: Pauses,
    pub proofs: Proofs,
    pub published: Arc<Published>,
    pub quotas: Arc<Quotas>,
    pub recorder: Recorder,
    pub refresher: Refresher,
    pub required_via: Via,
    pub streams: Arc<Streams>,
    pub suspects: Suspects,
    pub tokens: Memory,
    pub trusted_proxies: Vec<IpNet>,
    pub upstreams: Upstreams,
    pub usage: Arc<Usage>,
    pub vending: Vending,
}

// === impl Plane ===

impl Plane {
    /// Whether this replica knows enough to decide.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.published
            .age()
            .is_some_and(|age| age <= self.max_staleness)
    }

    /// Whether this replica knows enough of one workspace to decide.
    #[must_use]
    pub fn knows(&self, workspace: WorkspaceId) -> bool {
        self.is_fresh() && !self.published.is_behind(workspace, self.max_staleness)
    }

    /// Whether a call would be allowed as of now.
    #[must_use]
    pub fn allows(&self, claim: &Claim) -> bool {
        self.knows(claim.workspace()) && claim.holds(&self.published)
    }
}
