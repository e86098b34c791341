//! Answers that are still under way. When what was allowed is allowed no longer, they are cut.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ah5_contracts::id::AgentId;
use futures_util::task::AtomicWaker;
use tokio::time::{MissedTickBehavior, interval};

use crate::plane::Plane;
use crate::request::Claim;

/// Every answer under way that has made its agent wait.
#[derive(Default)]
pub struct Streams {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Stream>>>,
}

/// A stream's entry. Gone when dropped.
pub struct Registration {
    streams: Arc<Streams>,
    key: u64,
    stream: Arc<Stream>,
}

struct Stream {
    claim: Claim,
    cut: AtomicBool,
    waker: AtomicWaker,
}

// === impl Streams ===

impl Streams {
    #[must_use]
    pub fn register(self: &Arc<Self>, claim: Claim) -> Registration {
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        let stream = Arc::new(Stream {
            claim,
            cut: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        self.with(|open| open.insert(key, Arc::clone(&stream)));
        Registration {
            streams: Arc::clone(self),
            key,
            stream,
        }
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.with(|open| open.len())
    }

    /// How many of them each agent has.
    #[must_use]
    pub fn by_agent(&self) -> HashMap<AgentId, i32> {
        self.with(|open| {
            let mut counts = HashMap::new();
            for stream in open.values() {
                *counts.entry(stream.claim.agent()).or_default() += 1;
            }
            counts
        })
    }

    /// Cuts every stream whose claim no longer holds and returns how many those were.
    pub fn cut_unless(&self, holds: impl Fn(&Claim) -> bool) -> usize {
        let open: Vec<Arc<Stream>> = self.with(|open| open.values().cloned().collect());
        let ended = open.iter().filter(|stream| !holds(&stream.claim));
        ended
            .map(|stream| stream.end())
            .filter(|first| *first)
            .count()
    }

    /// As [`Self::cut_unless`], but lets others run in between: judging may take its time.
    pub async fn cut_gently_unless(&self, holds: impl Fn(&Claim) -> bool) -> usize {
        let open: Vec<Arc<Stream>> = self.with(|open| open.values().cloned().collect());
        let mut cut = 0;
        for some in open.chunks(AT_ONCE) {
            let ended = some.iter().filter(|stream| !holds(&stream.claim));
            cut += ended.filter(|stream| stream.end()).count();
            tokio::task::yield_now().await;
        }
        cut
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<u64, Arc<Stream>>) -> T) -> T {
        act(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Registration ===

impl Registration {
    pub fn cut(&self) {
        self.stream.end();
    }

    /// Ready once the stream is to end.
    pub fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.waker.register(cx.waker());
        if self.stream.cut.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.streams.with(|open| open.remove(&self.key));
    }
}

// === impl Stream ===

impl Stream {
    /// Whether this was the first time.
    fn end(&self) -> bool {
        let first = !self.cut.swap(true, Ordering::AcqRel);
        self.waker.wake();
        first
    }
}

/// Judges every stream again at each publication, those under time windows as time goes by, and all
/// of them when this replica's knowledge has grown too old to act on.
pub async fn watch(plane: Arc<Plane>) {
    let mut changes = plane.published.changes();
    let mut ticks = interval(STALENESS_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let published = tokio::select! {
            changed = changes.changed() => match changed {
                Ok(()) => true,
                Err(_) => return,
            },
            _ = ticks.tick() => false,
        };
        let streams = &plane.streams;
        let cut = match published || !plane.is_fresh() {
            true => streams.cut_gently_unless(|claim| plane.allows(claim)).await,
            false => {
                streams
                    .cut_gently_unless(|claim| still_holds(&plane, claim))
                    .await
            }
        };
        if cut > 0 {
            tracing::info!(
                cut,
                "answers under way were cut: they are allowed no longer"
            );
            metrics::counter!("ah5_streams_cut_total").increment(cut as u64);
        }
    }
}

/// While nothing is published: only what time alone may change is judged again.
fn still_holds(plane: &Plane, claim: &Claim) -> bool {
    match claim.is_timed() {
        true => plane.allows(claim),
        false => plane.knows(claim.workspace()),
    }
}

/// Streams that are judged without a pause.
const AT_ONCE: usize = 16;
const STALENESS_CHECK: Duration = Duration::from_millis(500);
