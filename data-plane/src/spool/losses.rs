//! Counts the events that were lost, and says so in the log, but never in a flood.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::NotDurable;

pub(super) struct Losses {
    count: AtomicU64,
    started: Instant,
    /// Milliseconds from `started` until which the log is left alone.
    quiet_until: AtomicU64,
}

// === impl Losses ===

impl Losses {
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn note(&self, events: u64, why: NotDurable) {
        metrics::counter!("ah5_audit_dropped_total", "reason" => why.as_str()).increment(events);
        let lost = self.count.fetch_add(events, Ordering::Relaxed) + events;
        let now = millis(self.started.elapsed());
        let quiet_until = self.quiet_until.load(Ordering::Relaxed);
        let mine = || {
            let next = now + millis(QUIET);
            let swap = &self.quiet_until;
            swap.compare_exchange(quiet_until, next, Ordering::Relaxed, Ordering::Relaxed)
        };
        if now >= quiet_until && mine().is_ok() {
            tracing::error!(lost, reason = why.as_str(), "audit events are being lost");
        }
    }
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            count: AtomicU64::new(0),
            started: Instant::now(),
            quiet_until: AtomicU64::new(0),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const QUIET: Duration = Duration::from_secs(10);
