//! Read your writes: somebody shows a thing that this replica doesn't know, and it may be that new.
//! One look at the workspace's version settles it before the call is refused.
//!
//! Only for callers whose token has verified: nobody else can make this replica ask the database.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ah5_contracts::id::WorkspaceId;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::keeper::Finding;

/// How long a call waits for the look.
pub const PATIENCE: Duration = Duration::from_millis(250);
/// One look a workspace within this time; who comes later in it gets the answer of the first.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
const MAX_LOOKS: usize = 1024;

pub struct Freshener {
    findings: mpsc::Sender<Finding>,
    looks: Mutex<HashMap<WorkspaceId, Look>>,
}

struct Look {
    since: Instant,
    answered: watch::Receiver<bool>,
}

// === impl Freshener ===

impl Freshener {
    pub(super) fn new(findings: mpsc::Sender<Finding>) -> Self {
        Self {
            findings,
            looks: Mutex::default(),
        }
    }

    /// Returns once the workspace is as new as the database's, or when waiting any longer would
    /// not be worth it.
    pub async fn look(&self, workspace: WorkspaceId) {
        if let Some(mut answered) = self.join(workspace) {
            // An answer, the end of patience and a publisher that failed are all the same here.
            drop(timeout(PATIENCE, answered.wait_for(|done| *done)).await);
        }
    }

    /// The look under way or just over, or a new one; `None` if there are too many.
    fn join(&self, workspace: WorkspaceId) -> Option<watch::Receiver<bool>> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let recent = |look: &Look| now.saturating_duration_since(look.since) < AGAIN_AFTER;
        if let Some(look) = looks.get(&workspace).filter(|look| recent(look)) {
            return Some(look.answered.clone());
        }
        if looks.len() >= MAX_LOOKS {
            looks.retain(|_, look| recent(look));
        }
        if looks.len() >= MAX_LOOKS {
            return None;
        }
        let (sender, answered) = watch::channel(false);
        let asked = Finding::Asked {
            workspace,
            answered: sender,
        };
        self.findings.try_send(asked).ok()?;
        let look = Look {
            since: now,
            answered: answered.clone(),
        };
        looks.insert(workspace, look);
        Some(answered)
    }
}
