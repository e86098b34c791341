//! What the writer has handed over and Postgres doesn't have yet: on disk, in memory, or both. The
//! writer puts in, the drainer takes out in the order of numbers, each under a short lock.

mod state;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ah5_store::audit_spool::SpoolRecord;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::NotDurable;
use super::segment::Batch;
use state::State;

pub(super) struct Backlog {
    state: Mutex<State>,
    news: Notify,
    /// Of all files in the folder.
    disk_bytes: AtomicU64,
    disk_ok: AtomicBool,
    quarantined: AtomicU64,
}

pub(super) struct Entry {
    pub(super) record: SpoolRecord,
    pub(super) size: usize,
    /// Also there, so memory may forget it.
    pub(super) on_disk: bool,
}

/// One file of this life.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) first_seq: i64,
    pub(super) last_seq: i64,
    pub(super) bytes: u64,
    /// Nothing is appended any more.
    pub(super) sealed: bool,
}

/// Somebody who waits until a row is in Postgres.
pub(super) struct Waiter {
    pub(super) spool_seq: i64,
    pub(super) kept: oneshot::Sender<Result<(), NotDurable>>,
}

/// Where the next rows for Postgres are.
pub(super) enum Next {
    Disk {
        segment: Segment,
        wanted: Range<i64>,
    },
    Memory(Batch),
    Nothing,
}

pub(super) struct Numbers {
    pub(super) waiting_rows: u64,
    pub(super) waiting_bytes: u64,
    pub(super) quarantined: u64,
    pub(super) disk_ok: bool,
    pub(super) last_ack: Option<Instant>,
}

// === impl Backlog ===

impl Backlog {
    pub(super) fn new(leftover_bytes: u64) -> Self {
        Self {
            state: Mutex::new(State::new(leftover_bytes)),
            news: Notify::new(),
            disk_bytes: AtomicU64::new(leftover_bytes),
            disk_ok: AtomicBool::new(true),
            quarantined: AtomicU64::new(0),
        }
    }

    pub(super) fn numbers(&self) -> Numbers {
        let state = self.lock();
        Numbers {
            waiting_rows: state.waiting_rows(),
            waiting_bytes: state.waiting_bytes,
            quarantined: self.quarantined.load(Ordering::Relaxed),
            disk_ok: self.disk_ok.load(Ordering::Relaxed),
            last_ack: state.last_ack,
        }
    }

    // The writer's side.

    /// Whether rows that can't go to disk may wait in memory, beside `pending` bytes of them.
    pub(super) fn has_room(&self, pending: usize) -> bool {
        self.lock().has_room(pending)
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.disk_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn grew(&self, bytes: u64) {
        self.disk_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns what it was before.
    pub(super) fn set_disk_ok(&self, ok: bool) -> bool {
        metrics::gauge!("ah5_audit_disk_ok").set(f64::from(u8::from(ok)));
        self.disk_ok.swap(ok, Ordering::Relaxed)
    }

    /// Makes a segment or a segment's new size known.
    pub(super) fn put_segment(&self, segment: &Segment) {
        self.lock().put_segment(segment);
    }

    pub(super) fn hand_over(&self, entries: &mut Vec<Entry>, waiters: &mut Vec<Waiter>) {
        metrics::counter!("ah5_audit_recorded_total").increment(entries.len() as u64);
        let mut state = self.lock();
        state.hand_over(entries, waiters);
        report(&state);
        drop(state);
        self.news.notify_one();
    }

    /// The writer has ended.
    pub(super) fn end(&self) {
        self.lock().end();
        self.news.notify_one();
    }

    // The drainer's side.

    /// Waits for something handed over since the last call, or for the end.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    pub(super) fn next(&self) -> Next {
        self.lock().next()
    }

    /// Postgres has all rows up to this one, `bytes` more than before.
    pub(super) fn stored(&self, spool_seq: i64, bytes: u64) {
        let mut state = self.lock();
        state.last_ack = Some(Instant::now());
        let kept = state.drained(spool_seq, bytes);
        report(&state);
        drop(state);
        for waiter in kept {
            let _ = waiter.kept.send(Ok(()));
        }
    }

    /// The rows up to this one can't be read back. Whoever waits for one learns it by waiting.
    pub(super) fn give_up(&self, spool_seq: i64) {
        drop(self.lock().drained(spool_seq, 0));
    }

    /// The files that nobody needs any more.
    pub(super) fn spent(&self) -> Vec<Segment> {
        self.lock().spent()
    }

    pub(super) fn shrank(&self, bytes: u64) {
        self.disk_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// An earlier life's rows are stored.
    pub(super) fn stored_leftover(&self, bytes: u64) {
        let mut state = self.lock();
        state.last_ack = Some(Instant::now());
        state.waiting_bytes = state.waiting_bytes.saturating_sub(bytes);
        report(&state);
    }

    pub(super) fn quarantined(&self) {
        metrics::counter!("ah5_audit_quarantined_total").increment(1);
        self.quarantined.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_ended(&self) -> bool {
        self.lock().is_ended()
    }

    /// Whether what waits is little, and nobody waits for it.
    pub(super) fn is_calm(&self) -> bool {
        self.lock().is_calm()
    }

    // Whoever panicked held no half-made change that matters: numbers only grow.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report(state: &State) {
    metrics::gauge!("ah5_audit_waiting_rows").set(state.waiting_rows() as f64);
    metrics::gauge!("ah5_audit_waiting_bytes").set(state.waiting_bytes as f64);
}
