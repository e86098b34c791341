//! Calls per hour, counted over all replicas before anything is sent. Small limits are counted call by
//! call in the database; of large ones a replica takes a block at a time, at most a hundredth of what
//! is left, and uses it for half a minute; the rest is given back with the next block. A limit may be
//! reached early by what replicas have in hand, and is never exceeded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ah5_contracts::id::{PolicyId, WorkspaceId};
use ah5_store::StoreError;
use ah5_store::database::Database;
use ah5_store::quotas::{self, Granted, Wanted};
use deadpool_postgres::Pool;
use jiff::Timestamp;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, timeout};

pub struct Quotas {
    pool: Pool,
    blocks: Mutex<HashMap<PolicyId, Arc<AsyncMutex<Block>>>>,
}

/// What one call takes: units from the hour of each of these policies.
#[derive(Clone, Debug)]
pub struct Toll {
    pub workspace: WorkspaceId,
    /// Each with what its hour holds.
    pub policies: Vec<(PolicyId, u64)>,
    pub units: u32,
}

/// How one policy's hour stands, that of the policy with the least left. Where calls are taken from a block
/// it is what the database said when the block was taken, less what was used of the block since: what other
/// replicas have taken in that half minute is not in it.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// What the hour holds.
    pub hour: u64,
    pub rest: u64,
    /// When its oldest minute counts no more, so that there is more again.
    pub more_at: Instant,
}

/// Too little is left in one policy's hour.
#[derive(Clone, Copy, Debug)]
pub struct Exhausted {
    pub policy: PolicyId,
    pub quota: Quota,
}

/// Units that were taken for a call. They are given back if it goes away unsent.
pub struct Taken {
    pub quota: Quota,
    quotas: Arc<Quotas>,
    policies: Vec<PolicyId>,
    units: u32,
    from: From,
    sent: bool,
}

enum From {
    Block(Arc<AsyncMutex<Block>>, Option<Instant>),
    Database(Timestamp),
}

/// Units in hand. The hour they were taken for may have been changed since; then they are no good.
#[derive(Default)]
struct Block {
    hour: u64,
    left: u32,
    until: Option<Instant>,
    /// In which they count.
    minute: Option<Timestamp>,
    /// What nobody had in hand when they were taken, and when there will be more.
    rest: u64,
    more_at: Option<Instant>,
}

// === impl Quotas ===

impl Quotas {
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self {
            pool: database.pool(CONNECTIONS),
            blocks: Mutex::default(),
        }
    }

    /// For what else is counted before a call is sent.
    #[must_use]
    pub fn pool(&self) -> Pool {
        self.pool.clone()
    }

    /// # Errors
    /// The database does not answer.
    pub async fn take(
        self: &Arc<Self>,
        toll: &Toll,
    ) -> Result<Result<Taken, Exhausted>, StoreError> {
        let taking = async {
            match toll.policies[..] {
                [(policy, hour)] if hour > COUNTED_SINGLY => {
                    self.take_from_block(toll, policy, hour).await
                }
                _ => self.take_from_database(toll).await,
            }
        };
        let late = |_| StoreError::Unavailable("it took too long".to_owned());
        timeout(DEADLINE, taking).await.map_err(late)?
    }

    async fn take_from_database(
        self: &Arc<Self>,
        toll: &Toll,
    ) -> Result<Result<Taken, Exhausted>, StoreError> {
        let (quotas, toll) = (Arc::clone(self), toll.clone());
        // Goes on without an agent that goes away: or nobody would give back what was taken for it.
        let taking = tokio::spawn(async move {
            Ok(match quotas.lease(&toll, toll.units).await? {
                Ok((granted, quota)) => {
                    Ok(quotas.taken(&toll, quota, From::Database(granted.minute)))
                }
                Err(exhausted) => Err(exhausted),
            })
        });
        let ended = |_| StoreError::Bug("a call's counting ended".to_owned());
        taking.await.map_err(ended)?
    }

    async fn take_from_block(
        self: &Arc<Self>,
        toll: &Toll,
        policy: PolicyId,
        hour: u64,
    ) -> Result<Result<Taken, Exhausted>, StoreError> {
        let shared = self.block(policy);
        // Held while the database is asked, by intent: one asks for all who wait.
        let mut block = shared.lock().await;
        let now = Instant::now();
        if !block.take(hour, toll.units, now) {
            match self.lease(toll, MAX_BLOCK.max(toll.units)).await? {
                Ok((Granted { units, minute }, quota)) => {
                    let units = units.unsigned_abs();
                    let new = Block {
                        hour,
                        left: units - toll.units.min(units),
                        until: Some(now + BLOCK_LIFE),
                        minute: Some(minute),
                        rest: quota.rest,
                        more_at: Some(quota.more_at),
                    };
                    self.give_up(policy, std::mem::replace(&mut *block, new));
                }
                Err(exhausted) => return Ok(Err(exhausted)),
            }
        }
        let (until, quota) = (block.until, block.quota(now));
        drop(block);
        Ok(Ok(self.taken(toll, quota, From::Block(shared, until))))
    }

    async fn lease(
        &self,
        toll: &Toll,
        most: u32,
    ) -> Result<Result<(Granted, Quota), Exhausted>, StoreError> {
        let small = |units: u32| i32::try_from(units).unwrap_or(i32::MAX);
        let policies: Vec<(PolicyId, i64)> = toll
            .policies
            .iter()
            .map(|(policy, hour)| (*policy, i64::try_from(*hour).unwrap_or(i64::MAX)))
            .collect();
        let wanted = Wanted {
            workspace: toll.workspace,
            policies: &policies,
            least: small(toll.units),
            most: small(most),
        };
        let lease = quotas::lease(&self.pool.get().await?, wanted).await?;
        let seconds = Duration::from_secs(lease.seconds.unsigned_abs().into());
        let quota = Quota {
            hour: toll.policies.get(lease.policy).map_or(0, |(_, hour)| *hour),
            rest: u64::try_from(lease.rest).unwrap_or_default(),
            more_at: Instant::now() + seconds,
        };
        if let Some(granted) = lease.granted {
            return Ok(Ok((granted, quota)));
        }
        let unknown = || StoreError::Bug("an hour that nobody asked for".to_owned());
        let (policy, _) = *toll.policies.get(lease.policy).ok_or_else(unknown)?;
        Ok(Err(Exhausted { policy, quota }))
    }

    /// What a block had left counts no more.
    fn give_up(self: &Arc<Self>, policy: PolicyId, block: Block) {
        if let (1.., Some(minute)) = (block.left, block.minute) {
            let quotas = self.clone();
            tokio::spawn(async move { quotas.give_back(&[policy], minute, block.left).await });
        }
    }

    fn block(&self, policy: PolicyId) -> Arc<AsyncMutex<Block>> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if blocks.len() >= MAX_BLOCKS && !blocks.contains_key(&policy) {
            // Those in use stay; what the others had left counts as used.
            blocks.retain(|_, block| Arc::strong_count(block) > 1);
        }
        blocks.entry(policy).or_default().clone()
    }

    fn taken(self: &Arc<Self>, toll: &Toll, quota: Quota, from: From) -> Taken {
        Taken {
            quota,
            quotas: self.clone(),
            policies: toll.policies.iter().map(|(policy, _)| *policy).collect(),
            units: toll.units,
            from,
            sent: false,
        }
    }

    /// What can't be given back stays used.
    async fn give_back(&self, policies: &[PolicyId], minute: Timestamp, units: u32) {
        let giving = async {
            let units = i32::try_from(units).unwrap_or_default();
            quotas::give_back(&self.pool.get().await?, policies, minute, units).await
        };
        if let Ok(Err(error)) = timeout(DEADLINE, giving).await {
            tracing::warn!(%error, "calls that were not made stay counted");
        }
    }
}

// === impl Toll ===

impl Toll {
    /// As if this policy's hour were twice as long.
    pub fn lift(&mut self, policy: PolicyId) {
        for (_, hour) in self.policies.iter_mut().filter(|(id, _)| *id == policy) {
            *hour = hour.saturating_mul(2);
        }
    }
}

// === impl Quota ===

impl Quota {
    /// Whole seconds until there is more, one at least.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        let left = self.more_at.saturating_duration_since(Instant::now());
        u32::try_from(left.as_millis().div_ceil(1000).max(1)).unwrap_or(u32::MAX)
    }
}

// === impl Block ===

impl Block {
    fn quota(&self, now: Instant) -> Quota {
        Quota {
            hour: self.hour,
            rest: self.rest + u64::from(self.left),
            more_at: self.more_at.unwrap_or(now),
        }
    }

    fn take(&mut self, hour: u64, units: u32, now: Instant) -> bool {
        let good = self.hour == hour && self.until.is_some_and(|until| now < until);
        let enough = good && self.left >= units;
        if enough {
            self.left -= units;
        }
        enough
    }
}

// === impl Taken ===

impl Taken {
    /// From here on they are used.
    pub const fn sending(&mut self) {
        self.sent = true;
    }

    /// No byte of the request has left.
    pub const fn not_sent(&mut self) {
        self.sent = false;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.sent {
            return;
        }
        match &self.from {
            // Somebody who holds it is asking for another block, and this one's rest is given up.
            From::Block(block, until) => {
                if let Ok(mut block) = block.try_lock()
                    && block.until == *until
                {
                    block.left += self.units;
                }
            }
            From::Database(minute) => {
                let (quotas, minute, units) = (self.quotas.clone(), *minute, self.units);
                let policies = std::mem::take(&mut self.policies);
                tokio::spawn(async move { quotas.give_back(&policies, minute, units).await });
            }
        }
    }
}

/// Limits up to this are counted call by call.
const COUNTED_SINGLY: u64 = 1_000;
/// Units; the database gives a hundredth of what is left at most.
const MAX_BLOCK: u32 = 10_000;
const MAX_BLOCKS: usize = 10_000;
/// From before it was asked for.
const BLOCK_LIFE: Duration = Duration::from_secs(30);
const CONNECTIONS: usize = 4;
const DEADLINE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_good_for_its_units_its_hour_and_half_a_minute() {
        let now = Instant::now();
        let mut block = Block {
            hour: 5_000,
            left: 3,
            until: Some(now + BLOCK_LIFE),
            minute: None,
            rest: 4_000,
            more_at: Some(now),
        };
        assert!(block.take(5_000, 2, now));
        assert_eq!(block.quota(now).rest, 4_001);
        assert!(!block.take(5_000, 2, now));
        assert!(!block.take(4_000, 1, now));
        assert!(!block.take(5_000, 1, now + BLOCK_LIFE));
        assert!(block.take(5_000, 1, now));
        assert!(!Block::default().take(0, 1, now));
    }
}
