//! Notes which tokens are in use and for whom answers are under way, apart from the calls. Enrolment
//! depends on it: a bootstrap secret cannot be used again once its agent has been at work. Who turns
//! an agent off is told what that ended.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ah5_contracts::id::{AgentId, PersonalTokenId, ReplicaId};
use ah5_security::ring::held::{Held, InUse};
use ah5_store::database::{Client, Database};
use ah5_store::usage::{touch_agents, touch_personal_tokens};
use ah5_store::{StoreError, open_streams, ring};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::streams::Streams;

/// Ids beyond this number wait for the next round.
const MAX_PENDING: usize = 10_000;
const EVERY: Duration = Duration::from_secs(1);
/// The database keeps one note a minute.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
const RING_AGAIN_AFTER: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct Usage {
    pub agents: Notes<AgentId>,
    pub tokens: Notes<PersonalTokenId>,
}

pub struct Notes<Id> {
    seen: Mutex<HashMap<Id, Seen>>,
}

struct Seen {
    since: Instant,
    noted: bool,
}

// === impl Notes ===

impl<Id> Default for Notes<Id> {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
        }
    }
}

impl<Id: Copy + Eq + Hash> Notes<Id> {
    pub fn note(&self, id: Id, now: Instant) {
        let mut seen = self.seen();
        if seen.contains_key(&id) || seen.len() >= MAX_PENDING {
            return;
        }
        seen.insert(
            id,
            Seen {
                since: now,
                noted: false,
            },
        );
    }

    fn pending(&self) -> Vec<Id> {
        let mut seen = self.seen();
        seen.retain(|_, at| !at.noted || at.since.elapsed() < AGAIN_AFTER);
        seen.iter()
            .filter(|(_, at)| !at.noted)
            .map(|(id, _)| *id)
            .collect()
    }

    fn settle(&self, noted: &[Id]) {
        let mut seen = self.seen();
        for id in noted {
            if let Some(at) = seen.get_mut(id) {
                at.noted = true;
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Id, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the notes down, for as long as the process lives.
pub async fn keep(usage: Arc<Usage>, streams: Arc<Streams>, ring: Held, database: Database) {
    let mut connection = None;
    let mut reporter = Reporter::new();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let round = Round {
            agents: usage.agents.pending(),
            tokens: usage.tokens.pending(),
            open: reporter.due(&streams),
            ring: reporter.due_ring(&ring),
        };
        if round.is_empty() {
            continue;
        }
        let (client, _) = match &connection {
            Some(open) => open,
            None => match database.connect().await {
                Ok(open) => connection.insert(open),
                // Whoever can't be reached is reported by the snapshot's keeper.
                Err(_) => continue,
            },
        };
        match timeout(DEADLINE, round.write(client, reporter.replica)).await {
            Ok(Ok(())) => {
                usage.agents.settle(&round.agents);
                usage.tokens.settle(&round.tokens);
                reporter.settle(&round);
            }
            _ => connection = None,
        }
    }
}

/// What there is to write at once.
struct Round {
    agents: Vec<AgentId>,
    tokens: Vec<PersonalTokenId>,
    open: Option<Vec<(AgentId, i32)>>,
    ring: Option<Arc<InUse>>,
}

/// Reports the answers under way for as long as there are any, and once that there are none.
struct Reporter {
    replica: ReplicaId,
    /// What the database has of us is no more than that there is nothing.
    silent: bool,
    /// Which ring the database has heard of, and when.
    told: Option<(Arc<InUse>, Instant)>,
}

// === impl Round ===

impl Round {
    const fn is_empty(&self) -> bool {
        self.agents.is_empty()
            && self.tokens.is_empty()
            && self.open.is_none()
            && self.ring.is_none()
    }

    async fn write(&self, client: &Client, replica: ReplicaId) -> Result<(), StoreError> {
        if !self.agents.is_empty() {
            touch_agents(client, &self.agents).await?;
        }
        if !self.tokens.is_empty() {
            touch_personal_tokens(client, &self.tokens).await?;
        }
        if let Some(open) = &self.open {
            open_streams::report(client, replica, open).await?;
        }
        if let Some(in_use) = &self.ring {
            ring::report(client, replica, "data", in_use).await?;
        }
        Ok(())
    }
}

// === impl Reporter ===

impl Reporter {
    fn new() -> Self {
        Self {
            replica: ReplicaId::random(),
            silent: true,
            told: None,
        }
    }

    fn due(&self, streams: &Streams) -> Option<Vec<(AgentId, i32)>> {
        let open = streams.by_agent();
        let open: Vec<_> = open.into_iter().take(MAX_PENDING).collect();
        (!self.silent || !open.is_empty()).then_some(open)
    }

    /// Operators wait for a new ring to be known everywhere.
    fn due_ring(&self, ring: &Held) -> Option<Arc<InUse>> {
        let now = ring.now();
        let told = self.told.as_ref();
        let fresh =
            told.is_some_and(|(it, at)| Arc::ptr_eq(it, &now) && at.elapsed() < RING_AGAIN_AFTER);
        (!fresh).then_some(now)
    }

    fn settle(&mut self, written: &Round) {
        if let Some(open) = &written.open {
            self.silent = open.is_empty();
        }
        if let Some(ring) = &written.ring {
            self.told = Some((ring.clone(), Instant::now()));
        }
    }
}
