//! Notes which agents' tokens are in use, away from their calls. Enrolment depends on it: a
//! bootstrap secret cannot be used again once its agent has been at work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ah5_contracts::id::AgentId;
use ah5_store::database::Database;
use ah5_store::usage::touch_last_used;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Agents beyond this number wait for the next round.
const MAX_PENDING: usize = 10_000;
const EVERY: Duration = Duration::from_secs(1);
/// The database keeps one note a minute.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
const DEADLINE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct Usage {
    seen: Mutex<HashMap<AgentId, Seen>>,
}

struct Seen {
    since: Instant,
    noted: bool,
}

// === impl Usage ===

impl Usage {
    pub fn note(&self, agent: AgentId, now: Instant) {
        let mut seen = self.seen();
        if seen.contains_key(&agent) || seen.len() >= MAX_PENDING {
            return;
        }
        seen.insert(
            agent,
            Seen {
                since: now,
                noted: false,
            },
        );
    }

    fn pending(&self) -> Vec<AgentId> {
        let mut seen = self.seen();
        seen.retain(|_, at| !at.noted || at.since.elapsed() < AGAIN_AFTER);
        seen.iter()
            .filter(|(_, at)| !at.noted)
            .map(|(id, _)| *id)
            .collect()
    }

    fn settle(&self, noted: &[AgentId]) {
        let mut seen = self.seen();
        for id in noted {
            if let Some(at) = seen.get_mut(id) {
                at.noted = true;
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<AgentId, Seen>> {
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
        let pending = usage.pending();
        if pending.is_empty() {
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
        match timeout(DEADLINE, touch_last_used(client, &pending)).await {
            Ok(Ok(())) => usage.settle(&pending),
            _ => connection = None,
        }
    }
}
