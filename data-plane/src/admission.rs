//! Keeps a flood out before memory grows. Gate one counts connections and failed credentials before
//! anyone is known; gate two counts calls in flight and buffered bytes once the caller is: by workspace,
//! and by caller within it. Everybody has a share that is always granted, and gets more only while most of
//! the whole is free; a part of it is kept for whoever comes next.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ah5_contracts::id::WorkspaceId;
use ah5_edge::counter::Counter;

use crate::request::{Identity, Kind, Refusal};

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections: usize,
    /// In flight, in this process.
    pub calls: usize,
    /// Of bodies held in memory, in this process.
    pub bytes: usize,
    pub failed_auth_per_minute: u32,
}

pub struct Admission {
    limits: Limits,
    connections: AtomicUsize,
    failures: Counter<()>,
    used: Mutex<Used>,
}

/// A connection's place. Free again when dropped.
pub struct Seat(Arc<Admission>);

/// A call's place, and the bytes that it holds. All of it is free again when dropped.
pub struct Permit {
    admission: Arc<Admission>,
    caller: (WorkspaceId, Identity),
    bytes: usize,
}

#[derive(Default)]
struct Used {
    total: Share,
    /// How many callers each workspace has. Only workspaces and callers with calls in flight are here.
    workspaces: HashMap<WorkspaceId, usize>,
    callers: HashMap<(WorkspaceId, Identity), Share>,
}

#[derive(Clone, Copy, Default)]
struct Share {
    calls: usize,
    bytes: usize,
}

// === impl Admission ===

impl Admission {
    #[must_use]
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            connections: AtomicUsize::new(0),
            failures: Counter::new(),
            used: Mutex::default(),
        })
    }

    /// `None` when there are too many connections already.
    #[must_use]
    pub fn seat(self: &Arc<Self>) -> Option<Seat> {
        let seat = Seat(Arc::clone(self));
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        (before < self.limits.connections).then_some(seat)
    }

    /// # Errors
    /// 429 for a sender of too many bad credentials, before the next one is even looked at.
    pub fn check_failures(&self, client: IpAddr, now: i64) -> Result<(), Refusal> {
        let failed = self.failures.so_far((), client, now.div_euclid(60));
        if failed < self.limits.failed_auth_per_minute {
            return Ok(());
        }
        let left = 60 - now.rem_euclid(60);
        Err(Refusal::too_many(
            "Too many failed authentication attempts, retry in 1 minute",
            u32::try_from(left).unwrap_or(60),
        ))
    }

    pub fn count_failure(&self, client: IpAddr, now: i64) {
        self.failures.add((), client, now.div_euclid(60));
    }

    /// # Errors
    /// 503 when this caller has more than its share in flight.
    pub fn permit(
        self: &Arc<Self>,
        workspace: WorkspaceId,
        identity: Identity,
    ) -> Result<Permit, Refusal> {
        let caller = (workspace, identity);
        let mut used = self.used();
        let share = used.enter(caller);
        let within = share.calls <= used.portion(workspace, self.limits.calls);
        let total = used.total.calls;
        let room = total <= most(self.limits.calls);
        drop(used);
        let permit = Permit {
            admission: Arc::clone(self),
            caller,
            bytes: 0,
        };
        // Shares are of what is there when they are taken: together they may come to more than the whole.
        if total <= self.limits.calls && (within || room) {
            Ok(permit)
        } else {
            Err(overload())
        }
    }

    #[must_use]
    pub fn connected(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Calls in flight and bytes held.
    #[must_use]
    pub fn in_use(&self) -> (usize, usize) {
        let total = self.used().total;
        (total.calls, total.bytes)
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Used ===

impl Used {
    /// One more call; what its caller has then.
    fn enter(&mut self, caller: (WorkspaceId, Identity)) -> Share {
        self.total.calls += 1;
        let share = self.callers.entry(caller).or_default();
        share.calls += 1;
        let share = *share;
        if share.calls == 1 {
            *self.workspaces.entry(caller.0).or_default() += 1;
        }
        share
    }

    fn leave(&mut self, caller: (WorkspaceId, Identity), bytes: usize) {
        self.total.calls -= 1;
        self.total.bytes -= bytes;
        let Some(share) = self.callers.get_mut(&caller) else {
            return;
        };
        share.calls -= 1;
        share.bytes -= bytes;
        if share.calls > 0 {
            return;
        }
        self.callers.remove(&caller);
        if let Some(callers) = self.workspaces.get_mut(&caller.0) {
            *callers -= 1;
            if *callers == 0 {
                self.workspaces.remove(&caller.0);
            }
        }
    }

    /// What a caller of this workspace is always granted of `whole`: the workspace's part in equal parts.
    /// Whoever is alone counts as two, so that the next one finds its share.
    fn portion(&self, workspace: WorkspaceId, whole: usize) -> usize {
        let callers = self.workspaces.get(&workspace).copied().unwrap_or(0);
        whole / self.workspaces.len().max(2) / callers.max(2)
    }
}

// === impl Permit ===

impl Permit {
    /// Asks for memory before it is used.
    ///
    /// # Errors
    /// 503 when there is none for this caller.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Refusal> {
        let whole = self.admission.limits.bytes;
        let mut used = self.admission.used();
        let portion = used.portion(self.caller.0, whole);
        let total = used.total.bytes.saturating_add(bytes);
        let share = used.callers.entry(self.caller).or_default();
        let within = share.bytes.saturating_add(bytes) <= portion;
        if total > whole || (!within && total > most(whole)) {
            return Err(overload());
        }
        share.bytes += bytes;
        used.total.bytes = total;
        drop(used);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.used().leave(self.caller, self.bytes);
    }
}

/// Up to this everybody gets what they ask for.
const fn most(whole: usize) -> usize {
    whole - whole / 4
}

fn overload() -> Refusal {
    Refusal::unavailable(Kind::Overload, "Too many requests are in progress")
        .hint("Try again in a moment.")
}

#[cfg(test)]
mod tests;
