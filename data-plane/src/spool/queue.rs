//! Between the calls and the writer thread: a bounded list under a short lock. The writer takes
//! all of it at once, a period apart, so that a call pays for waking it at most once a period.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ah5_contracts::audit::AuditEvent;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::NotDurable;

pub(super) struct Queue {
    state: Mutex<State>,
    bell: Condvar,
    capacity: usize,
    period: Duration,
}

pub(super) struct Item {
    pub(super) event: AuditEvent,
    pub(super) promise: Option<Promise>,
}

/// What somebody waits for.
pub(super) enum Promise {
    Spooled(oneshot::Sender<Result<(), NotDurable>>),
    Stored(oneshot::Sender<Result<(), NotDurable>>),
}

struct State {
    items: Vec<Item>,
    bytes: usize,
    /// Somebody waits: the writer must not.
    urgent: bool,
    /// The writer waits for a first item.
    idle: bool,
    closed: bool,
    taken: Option<Instant>,
}

// === impl Queue ===

impl Queue {
    pub(super) fn new(capacity: usize, period: Duration) -> Self {
        let state = State {
            items: Vec::new(),
            bytes: 0,
            urgent: false,
            idle: false,
            closed: false,
            taken: None,
        };
        Self {
            state: Mutex::new(state),
            bell: Condvar::new(),
            capacity: capacity.max(1),
            period,
        }
    }

    pub(super) fn push(&self, item: Item) -> Result<(), NotDurable> {
        let bytes = weight(&item.event);
        let mut state = self.lock();
        if state.closed {
            return Err(NotDurable::Stopped);
        }
        if state.items.len() >= self.capacity || state.bytes + bytes > MAX_BYTES {
            return Err(NotDurable::Busy);
        }
        let pressed = self.presses(&state);
        state.urgent |= item.promise.is_some();
        state.bytes += bytes;
        state.items.push(item);
        // Once is enough: every ring is a system call.
        let ring = std::mem::take(&mut state.idle) || (!pressed && self.presses(&state));
        drop(state);
        if ring {
            self.bell.notify_one();
        }
        Ok(())
    }

    /// Waits for items and moves them all into `group`, which must be empty. False after the last.
    pub(super) fn take(&self, group: &mut Vec<Item>) -> bool {
        let mut state = self.lock();
        state.idle = true;
        let empty = |state: &mut State| state.items.is_empty() && !state.closed;
        state = (self.bell.wait_while(state, empty)).unwrap_or_else(PoisonError::into_inner);
        state.idle = false;
        let since = state.taken.map_or(self.period, |at| at.elapsed());
        let rest = self.period.saturating_sub(since);
        let gather = |state: &mut State| !self.presses(state);
        let gathered = self.bell.wait_timeout_while(state, rest, gather);
        (state, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.items, group);
        (state.bytes, state.urgent) = (0, false);
        state.taken = Some(Instant::now());
        !group.is_empty()
    }

    /// Takes nothing more; what it has is still taken out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    // Whether the writer must not wait for more.
    fn presses(&self, state: &State) -> bool {
        let filling = state.items.len() * 2 >= self.capacity || state.bytes * 2 >= MAX_BYTES;
        state.urgent || state.closed || filling
    }

    // Whoever panicked held no half-made change: each is a few assignments.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// What an event holds in memory, about.
fn weight(event: &AuditEvent) -> usize {
    let texts = [&event.rule, &event.method, &event.host];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    let own = event.details.len() + event.actor_id.len() + event.action.len();
    size_of::<Item>() + texts + own + event.timings.len() * size_of::<i32>()
}

const MAX_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::sample::event;
    use super::*;

    fn item() -> Item {
        Item {
            event: event(),
            promise: None,
        }
    }

    #[test]
    fn a_full_or_closed_queue_refuses_and_keeps_what_it_has() {
        let queue = Queue::new(2, Duration::ZERO);
        queue.push(item()).unwrap();
        queue.push(item()).unwrap();
        assert_eq!(queue.push(item()), Err(NotDurable::Busy));
        queue.close();
        assert_eq!(queue.push(item()), Err(NotDurable::Stopped));
        let mut group = Vec::new();
        assert!(queue.take(&mut group));
        assert_eq!(group.len(), 2);
        group.clear();
        assert!(!queue.take(&mut group));
    }

    #[test]
    fn large_events_count_by_their_size() {
        let queue = Queue::new(1000, Duration::ZERO);
        let large = || {
            let mut item = item();
            item.event.details = "x".repeat(MAX_BYTES / 2);
            item
        };
        queue.push(large()).unwrap();
        assert_eq!(queue.push(large()), Err(NotDurable::Busy));
    }

    // With a period of an hour only the urgent item can end the wait.
    #[test]
    fn an_urgent_item_ends_the_gathering() {
        let queue = Arc::new(Queue::new(100, Duration::from_secs(3600)));
        let mut group = Vec::new();
        queue.push(item()).unwrap();
        assert!(queue.take(&mut group), "the first one waits for nobody");
        group.clear();
        let taker = std::thread::spawn({
            let queue = queue.clone();
            move || queue.take(&mut group).then_some(group.len())
        });
        queue.push(item()).unwrap();
        let (promise, _kept) = oneshot::channel();
        let mut urgent = item();
        urgent.promise = Some(Promise::Spooled(promise));
        queue.push(urgent).unwrap();
        assert_eq!(taker.join().unwrap(), Some(2));
    }
}
