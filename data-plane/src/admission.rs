//! Keeps a flood out before memory grows. Gate one counts connections and failed credentials before
//! anyone is known; gate two counts a workspace's calls and buffered bytes once its caller is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ah5_contracts::id::WorkspaceId;
use ah5_edge::counter::Counter;

use crate::request::{Kind, Refusal};

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
    workspace: WorkspaceId,
    bytes: usize,
}

#[derive(Default)]
struct Used {
    total: Share,
    /// Only workspaces with calls in flight.
    workspaces: HashMap<WorkspaceId, Share>,
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
    /// 503 when this workspace has more than its share in flight.
    pub fn permit(self: &Arc<Self>, workspace: WorkspaceId) -> Result<Permit, Refusal> {
        let mut used = self.used();
        let active = used.workspaces.len().max(1);
        let share = used.workspaces.entry(workspace).or_default();
        let within = share.calls < self.limits.calls / active;
        share.calls += 1;
        used.total.calls += 1;
        let room = used.total.calls <= self.limits.calls / 4 * 3;
        drop(used);
        let permit = Permit {
            admission: Arc::clone(self),
            workspace,
            bytes: 0,
        };
        if within || room {
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

// === impl Permit ===

impl Permit {
    /// Asks for memory before it is used. A workspace always gets its share of the budget, and more
    /// only while most of the whole is free.
    ///
    /// # Errors
    /// 503 when there is none for it.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Refusal> {
        let limits = self.admission.limits;
        let mut used = self.admission.used();
        let active = used.workspaces.len().max(1);
        let total = used.total.bytes.saturating_add(bytes);
        let share = used.workspaces.entry(self.workspace).or_default();
        let within = share.bytes.saturating_add(bytes) <= limits.bytes / active;
        if total > limits.bytes || (!within && total > limits.bytes / 4 * 3) {
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
        let mut used = self.admission.used();
        used.total.calls -= 1;
        used.total.bytes -= self.bytes;
        if let Some(share) = used.workspaces.get_mut(&self.workspace) {
            share.calls -= 1;
            share.bytes -= self.bytes;
            if share.calls == 0 {
                used.workspaces.remove(&self.workspace);
            }
        }
    }
}

fn overload() -> Refusal {
    Refusal::unavailable(Kind::Overload, "Too many requests are in progress")
        .hint("Try again in a moment.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Arc<Admission> {
        Admission::new(Limits {
            connections: 2,
            calls: 8,
            bytes: 800,
            failed_auth_per_minute: 2,
        })
    }

    #[test]
    fn seats_are_free_again_when_left() {
        let admission = admission();
        let seats = (admission.seat(), admission.seat());
        assert!(seats.0.is_some() && seats.1.is_some() && admission.seat().is_none());
        drop(seats);
        assert!(admission.seat().is_some());
    }

    #[test]
    fn a_greedy_workspace_leaves_room_for_others() {
        let admission = admission();
        let (greedy, modest) = (WorkspaceId::random(), WorkspaceId::random());
        let taken: Vec<_> = (0..8)
            .map_while(|_| admission.permit(greedy).ok())
            .collect();
        let others = admission.permit(modest).unwrap();
        assert!(admission.permit(greedy).is_err());
        drop((taken, others));
        assert_eq!(admission.in_use(), (0, 0));
    }

    #[test]
    fn bytes_are_granted_by_share_and_come_back() {
        let admission = admission();
        let (greedy, modest) = (WorkspaceId::random(), WorkspaceId::random());
        let mut one = admission.permit(greedy).unwrap();
        let mut two = admission.permit(modest).unwrap();
        one.reserve(600).unwrap();
        assert!(
            one.reserve(100).is_err(),
            "over its share, and most is taken"
        );
        two.reserve(200).unwrap();
        assert!(two.reserve(1).is_err(), "over the whole");
        drop(one);
        two.reserve(300).unwrap();
        drop(two);
        assert_eq!(admission.in_use(), (0, 0));
    }

    #[test]
    fn guessing_is_slowed_down_by_sender() {
        let admission = admission();
        let (client, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..2 {
            assert!(admission.check_failures(client, 10).is_ok());
            admission.count_failure(client, 10);
        }
        let refused = admission.check_failures(client, 10).unwrap_err();
        assert_eq!(
            (refused.status.as_u16(), refused.retry_after),
            (429, Some(50))
        );
        assert!(admission.check_failures(other, 10).is_ok());
        assert!(admission.check_failures(client, 60).is_ok());
    }
}
