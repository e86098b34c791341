//! Connections that wait for their next request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::uri::Authority;
use tokio::time::Instant;

use super::PoolKey;
use super::live::Live;

/// Everything that makes two connections different.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) authority: Authority,
    pub(super) https: bool,
    pub(super) owner: PoolKey,
}

#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Kept idle at most so long.
    pub idle_for: Duration,
    /// Not used again once so old, so that a changed name is followed.
    pub max_age: Duration,
    pub per_key: usize,
    pub total: usize,
}

pub(super) struct Pool {
    idle: Mutex<Idle>,
    limits: PoolLimits,
}

#[derive(Default)]
struct Idle {
    count: usize,
    by_key: HashMap<Key, Vec<Waiting>>,
}

struct Waiting {
    live: Live,
    since: Instant,
}

// === impl Pool ===

impl Pool {
    pub(super) fn start(limits: PoolLimits) -> Arc<Self> {
        let pool = Arc::new(Self {
            idle: Mutex::default(),
            limits,
        });
        tokio::spawn(sweep(Arc::downgrade(&pool), limits.idle_for / 4));
        pool
    }

    /// The connection used last: the others get the chance to grow old.
    pub(super) fn take(&self, key: &Key) -> Option<Live> {
        let mut idle = self.lock();
        let waiting = idle.by_key.get_mut(key)?;
        let found = waiting.pop();
        if found.is_some() {
            idle.count -= 1;
        }
        drop(idle);
        let found = found?;
        let now = Instant::now();
        let fresh = now.duration_since(found.since) < self.limits.idle_for
            && now.duration_since(found.live.born()) < self.limits.max_age;
        // If the youngest is stale, so is every other; the sweep will close them.
        fresh.then_some(found.live)
    }

    pub(super) fn put(&self, key: Key, live: Live) {
        let since = Instant::now();
        if since.duration_since(live.born()) >= self.limits.max_age {
            return;
        }
        let mut idle = self.lock();
        if idle.count >= self.limits.total {
            return;
        }
        let waiting = idle.by_key.entry(key).or_default();
        if waiting.len() >= self.limits.per_key {
            return;
        }
        waiting.push(Waiting { live, since });
        idle.count += 1;
    }

    pub(super) fn idle(&self) -> usize {
        self.lock().count
    }

    fn sweep(&self) {
        let now = Instant::now();
        let mut stale = Vec::new();
        let mut idle = self.lock();
        idle.by_key.retain(|_, waiting| {
            let old = |w: &mut Waiting| now.duration_since(w.since) >= self.limits.idle_for;
            stale.extend(waiting.extract_if(.., old));
            !waiting.is_empty()
        });
        idle.count -= stale.len();
        // Sockets are closed outside the lock.
        drop(idle);
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            idle_for: Duration::from_secs(30),
            max_age: Duration::from_secs(600),
            per_key: 128,
            total: 2048,
        }
    }
}

async fn sweep(pool: Weak<Pool>, every: Duration) {
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(10)));
    loop {
        ticks.tick().await;
        match pool.upgrade() {
            Some(pool) => pool.sweep(),
            None => return,
        }
    }
}
