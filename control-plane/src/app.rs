//! What every handler shares.

use std::sync::Arc;

use deadpool_postgres::{Object, Pool};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use ah5_contracts::audit::{Action, ActorKind, AuditEvent, Verdict};
use ah5_contracts::id::{AgentId, AuditId, ConnectionId, PolicyId, ReplicaId, SpoolId};
use ah5_net::Upstreams;
use ah5_oauth::refresh::{Parts, Refresher};
use ah5_security::ring::held::{Held as HeldRing, InUse};
use ah5_store::StoreError;
use ah5_store::tenant::Tenant;

use crate::auth::rate::Limits;
use crate::channels::exchange::Exchange;
use crate::config::Config;
use crate::error::AppError;
use crate::keys::{Held, Keys};
use crate::mail::Mail;
use crate::notices::hub::Hub;
use crate::passkey::RelyingParty;
use crate::routes::session::refusal::AuthResult;
use crate::social::Parties;
use crate::turns::Turns;
use crate::workload::Issuers;

#[derive(Clone)]
pub struct App(Arc<Inner>);

pub struct Inner {
    pub config: Config,
    pub pool: Pool,
    pub limits: Limits,
    pub mail: Mail,
    /// Where people may sign in besides here.
    pub parties: Parties,
    /// Each password hash takes 19 MiB and a core.
    pub hashing: Semaphore,
    /// A few files are written at a time, however many ask.
    pub exports: Arc<Semaphore>,
    /// The guarded way out.
    pub net: Upstreams,
    /// Credentials are tried at their providers, a few at a time.
    pub trying: Turns,
    /// Of agents that wait for a decision.
    pub waiting: Semaphore,
    /// Who reads notifications as they come.
    pub hub: Hub,
    /// Of work that goes on after its answer.
    aside: Arc<Semaphore>,
    pub relying_party: RelyingParty,
    /// What leaves for channels.
    pub exchange: Exchange,
    /// There from the moment on that the database was found and fits.
    keys: Held,
    ring: HeldRing,
    /// Every spelling of our public origin.
    pub origins: Vec<String>,
    /// Where workloads come from.
    pub issuers: Issuers,
    pub refresher: Refresher,
    /// This process's own audit chains.
    spool: SpoolId,
    pub process: ReplicaId,
}

/// An audit row in the making.
#[derive(Clone)]
pub struct Record {
    pub actor: (ActorKind, String),
    pub action: Action,
    pub decision: Verdict,
    pub agent: Option<AgentId>,
    pub connection: Option<ConnectionId>,
    pub policy: Option<PolicyId>,
    pub details: Value,
}

// === impl App ===

impl App {
    pub fn new(mut config: Config, ring: HeldRing, pool: Pool, net: &Upstreams) -> Self {
        let parties = std::mem::take(&mut config.parties);
        Self(Arc::new(Inner {
            mail: Mail::new(config.mail.as_ref()),
            parties: Parties::new(parties, net, &config.origin.text),
            exchange: Exchange::new(net.clone()),
            net: net.clone(),
            aside: Arc::new(Semaphore::new(MAX_ASIDE)),
            limits: Limits::new(&config),
            refresher: refresher(&config, ring.clone(), net),
            ring,
            origins: config.origin.spellings(),
            issuers: Issuers::new(net),
            spool: SpoolId::random(),
            process: ReplicaId::random(),
            hashing: Semaphore::new(2),
            trying: Turns::new(MAX_TRYING, MAX_TRYING_OF_ONE),
            waiting: Semaphore::new(MAX_WAITING),
            hub: Hub::default(),
            exports: Arc::new(Semaphore::new(4)),
            relying_party: RelyingParty::new(&config.origin),
            config,
            pool,
            keys: Held::new(),
        }))
    }

    pub async fn db(&self) -> Result<Object, StoreError> {
        Ok(self.pool.get().await?)
    }

    /// An error as long as the database was not there since this process started, and when it has
    /// been away for long.
    pub fn keys(&self) -> Result<Arc<Keys>, AppError> {
        self.keys.current().ok_or_else(AppError::unavailable)
    }

    /// From the first time on requests are answered. `read` is when they were asked for.
    pub fn renew_keys(&self, keys: Keys, read: Instant) {
        self.keys.replace(keys, read);
    }

    /// They are as they were when they were asked for.
    pub fn confirm_keys(&self, read: Instant) {
        self.keys.confirm(read);
    }

    /// As it is now: another may take its place at any time.
    pub fn ring(&self) -> Arc<InUse> {
        self.ring.now()
    }

    /// Does the work after the answer, so that its time tells the client nothing. What goes wrong
    /// is logged only.
    pub fn aside<F>(&self, work: impl FnOnce(Self) -> F) -> Result<(), AppError>
    where
        F: Future<Output = AuthResult<()>> + Send + 'static,
    {
        let turn = self.aside.clone().try_acquire_owned();
        let turn = turn.map_err(|_| AppError::unavailable())?;
        let work = work(self.clone());
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(error) = work.await {
                tracing::warn!(?error, "work after an answer failed");
            }
        });
        Ok(())
    }

    /// Writes the row in the transaction of the change that it tells of.
    pub async fn record(&self, tenant: &Tenant<'_>, record: Record) -> Result<AuditId, StoreError> {
        let event = AuditEvent {
            audit_id: AuditId::now(),
            ts: Timestamp::now().as_microsecond(),
            workspace: tenant.workspace(),
            actor_kind: record.actor.0,
            actor_id: record.actor.1,
            agent: record.agent,
            connection: record.connection,
            policy: record.policy,
            policy_version: None,
            rule: None,
            action: record.action.as_str().to_owned(),
            decision: record.decision,
            method: None,
            host: None,
            path_digest: None,
            upstream_status: None,
            bytes_in: None,
            bytes_out: None,
            timings: Vec::new(),
            details: record.details.to_string(),
        };
        ah5_store::audit::append(tenant, &self.ring().audit, self.spool, event).await
    }
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

// === impl Record ===

impl Record {
    pub fn new(actor: (ActorKind, String), action: Action, details: Value) -> Self {
        Self {
            actor,
            action,
            decision: Verdict::Allowed,
            agent: None,
            connection: None,
            policy: None,
            details,
        }
    }

    pub fn agent(self, id: AgentId) -> Self {
        Self {
            agent: Some(id),
            ..self
        }
    }

    pub fn connection(self, id: ConnectionId) -> Self {
        Self {
            connection: Some(id),
            ..self
        }
    }

    pub fn policy(self, id: PolicyId) -> Self {
        Self {
            policy: Some(id),
            ..self
        }
    }

    pub fn denied(self) -> Self {
        Self {
            decision: Verdict::Denied,
            ..self
        }
    }
}

fn refresher(config: &Config, ring: HeldRing, net: &Upstreams) -> Refresher {
    let parts = Parts {
        installation: config.oauth.installation().clone(),
        pool: config.database.pool(REFRESHES),
        ring,
        net: net.clone(),
    };
    Refresher::new(parts, &config.refresh_folder)
}

/// Database connections for refreshing credentials.
const REFRESHES: usize = 2;
const MAX_TRYING: usize = 64;
const MAX_TRYING_OF_ONE: usize = 8;
const MAX_WAITING: usize = 256;
/// More at once are refused.
const MAX_ASIDE: usize = 64;

/// A time as clients expect it: UTC with milliseconds.
pub fn time(ts: Timestamp) -> String {
    ts.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Seconds since 1970-01-01 UTC.
pub fn now() -> i64 {
    Timestamp::now().as_second()
}
