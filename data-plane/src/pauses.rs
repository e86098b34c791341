//! Providers that have asked to be left alone (429 or 503 with `Retry-After`): until the pause is over,
//! calls by that connection are refused here and nothing is sent. Each replica learns it by itself, keeps
//! it in memory only, and believes no pause longer than a few minutes: an agent that can bring its
//! provider to ask for one holds up nobody for longer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ah5_contracts::id::ConnectionId;
use ah5_net::retry_after;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

#[derive(Default)]
pub struct Pauses {
    ends: Mutex<HashMap<ConnectionId, Instant>>,
    /// Whether there are any: mostly there are none, and then no call takes the lock.
    any: AtomicBool,
}

// === impl Pauses ===

impl Pauses {
    /// Seconds, rounded up, for which the provider wants no call by this connection.
    #[must_use]
    pub fn left(&self, connection: ConnectionId) -> Option<u32> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        let mut ends = self.ends();
        let end = *ends.get(&connection)?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            ends.remove(&connection);
            self.any.store(!ends.is_empty(), Ordering::Relaxed);
            return None;
        }
        u32::try_from(left.as_millis().div_ceil(1000)).ok()
    }

    /// Takes in what the head of an answer says. Of several pauses the one that ends last holds.
    pub fn learn(&self, connection: ConnectionId, status: StatusCode, headers: &HeaderMap) {
        let asks = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        if !asks.contains(&status) {
            return;
        }
        let Some(pause) = retry_after(headers, SystemTime::now()).filter(|p| !p.is_zero()) else {
            return;
        };
        let now = Instant::now();
        let end = now + pause.min(LONGEST);
        let mut ends = self.ends();
        if ends.len() >= MOST {
            ends.retain(|_, end| *end > now);
        }
        // A table that is full of pauses under way takes no more: then the provider says it again.
        if ends.len() < MOST || ends.contains_key(&connection) {
            let known = ends.entry(connection).or_insert(end);
            *known = end.max(*known);
            self.any.store(true, Ordering::Relaxed);
        }
    }

    /// Connections that are left alone, those included that nobody has called since.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ends().len()
    }

    // Whoever panicked held no half-made change.
    fn ends(&self) -> MutexGuard<'_, HashMap<ConnectionId, Instant>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const LONGEST: Duration = Duration::from_secs(300);
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;
    use tokio::time::advance;

    use super::*;

    fn asked(seconds: u32) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, seconds.into());
        headers
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_kept_for_its_connection_and_ends() {
        let pauses = Pauses::default();
        let (one, other) = (ConnectionId::random(), ConnectionId::random());
        pauses.learn(one, StatusCode::TOO_MANY_REQUESTS, &asked(10));
        assert_eq!((pauses.left(one), pauses.left(other)), (Some(10), None));
        // Somebody else's answer that took longer says less.
        pauses.learn(one, StatusCode::SERVICE_UNAVAILABLE, &asked(3));
        advance(Duration::from_millis(9_500)).await;
        assert_eq!(pauses.left(one), Some(1));
        advance(Duration::from_millis(500)).await;
        assert_eq!((pauses.left(one), pauses.count()), (None, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_asks_is_left_alone_and_not_for_long() {
        let pauses = Pauses::default();
        let one = ConnectionId::random();
        pauses.learn(one, StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
        pauses.learn(one, StatusCode::TOO_MANY_REQUESTS, &asked(0));
        pauses.learn(one, StatusCode::MOVED_PERMANENTLY, &asked(10));
        pauses.learn(one, StatusCode::OK, &asked(10));
        assert_eq!(pauses.left(one), None);
        pauses.learn(one, StatusCode::TOO_MANY_REQUESTS, &asked(u32::MAX));
        assert_eq!(pauses.left(one), Some(300));
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_has_an_end() {
        let pauses = Pauses::default();
        let first = ConnectionId::random();
        pauses.learn(first, StatusCode::TOO_MANY_REQUESTS, &asked(10));
        for _ in 0..2 * MOST {
            let next = ConnectionId::random();
            pauses.learn(next, StatusCode::TOO_MANY_REQUESTS, &asked(10));
        }
        assert_eq!((pauses.count(), pauses.left(first)), (MOST, Some(10)));
        advance(Duration::from_secs(11)).await;
        let late = ConnectionId::random();
        pauses.learn(late, StatusCode::TOO_MANY_REQUESTS, &asked(10));
        assert_eq!((pauses.count(), pauses.left(late)), (1, Some(10)));
    }
}
