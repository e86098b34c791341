//! Notes which tokens are in use, away from their calls. Enrolment depends on it: a bootstrap
//! secret cannot be used again once its agent has been at work.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ah5_contracts::id::{AgentId, PersonalTokenId};
use ah5_store::StoreError;
use ah5_store::database::{Client, Database};
use ah5_store::usage::{touch_agents, touch_personal_tokens};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Ids beyond this number wait for the next round.
const MAX_PENDING: usize = 10_000;
const EVERY: Duration = Duration::from_secs(1);
/// The database keeps one note a minute.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
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
pub async fn keep(usage: Arc<Usage>, database: Database) {
    let mut connection = None;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (agents, tokens) = (usage.agents.pending(), usage.tokens.pending());
        if agents.is_empty() && tokens.is_empty() {
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
        match timeout(DEADLINE, write(client, &agents, &tokens)).await {
            Ok(Ok(())) => {
                usage.agents.settle(&agents);
                usage.tokens.settle(&tokens);
            }
            _ => connection = None,
        }
    }
}

async fn write(
    client: &Client,
    agents: &[AgentId],
    tokens: &[PersonalTokenId],
) -> Result<(), StoreError> {
    if !agents.is_empty() {
        touch_agents(client, agents).await?;
    }
    if !tokens.is_empty() {
        touch_personal_tokens(client, tokens).await?;
    }
    Ok(())
}
