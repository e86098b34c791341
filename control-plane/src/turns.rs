//! Turns at work that waits for somebody else's server: some at a time, and few of one workspace, so
//! that no workspace's slow servers keep the others waiting.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ah5_contracts::id::WorkspaceId;

pub struct Turns {
    most: usize,
    most_of_one: usize,
    taken: Mutex<HashMap<WorkspaceId, usize>>,
}

/// Given back when it goes away.
pub struct Turn<'a> {
    turns: &'a Turns,
    workspace: WorkspaceId,
}

// === impl Turns ===

impl Turns {
    pub fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            most,
            most_of_one,
            taken: Mutex::default(),
        }
    }

    /// `None` while enough are taken.
    pub fn take(&self, workspace: WorkspaceId) -> Option<Turn<'_>> {
        let mut taken = self.lock();
        let own = taken.get(&workspace).copied().unwrap_or_default();
        if own >= self.most_of_one || taken.values().sum::<usize>() >= self.most {
            return None;
        }
        taken.insert(workspace, own + 1);
        Some(Turn {
            turns: self,
            workspace,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WorkspaceId, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.turns.lock();
        if let Some(own) = taken.get_mut(&self.workspace) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.workspace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_workspace_leaves_room_for_others() {
        let turns = Turns::new(3, 2);
        let (one, other) = (WorkspaceId::random(), WorkspaceId::random());
        let held = (turns.take(one), turns.take(one));
        assert!(held.0.is_some() && held.1.is_some());
        assert!(turns.take(one).is_none());
        let third = turns.take(other);
        assert!(third.is_some() && turns.take(other).is_none());
        drop(held);
        assert!(turns.take(one).is_some());
    }
}
