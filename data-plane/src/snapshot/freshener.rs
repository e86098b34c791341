//! Read your writes: somebody shows a thing that this replica doesn't know, and it may be that new.
//! One look at the workspace's version settles it before the call is refused.
//!
//! For callers whose token has verified, and for personal tokens that name a workspace of this
//! replica's: nobody else can make it ask the database, and they not often.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ah5_contracts::id::WorkspaceId;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::keeper::Finding;

/// How long a call waits for the look.
pub const PATIENCE: Duration = Duration::from_millis(250);
/// Looks at one workspace within [`WINDOW`]; who comes when they are used up is refused unseen.
const MAX_IN_WINDOW: u32 = 20;
const WINDOW: Duration = Duration::from_secs(1);
/// Workspaces that are looked at within a window.
const MAX_WORKSPACES: usize = 1024;

pub struct Freshener {
    findings: mpsc::Sender<Finding>,
    looks: Mutex<HashMap<WorkspaceId, Looks>>,
}

/// How far a look is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing has been read yet: whoever comes now may share it.
    Waiting,
    Reading,
    Done,
}

/// Of one workspace.
struct Looks {
    window: Instant,
    in_window: u32,
    newest: watch::Receiver<Stage>,
}

// === impl Freshener ===

impl Freshener {
    pub(super) fn new(findings: mpsc::Sender<Finding>) -> Self {
        Self {
            findings,
            looks: Mutex::default(),
        }
    }

    /// Returns once the workspace is as new as the database's was when this was called, or when
    /// waiting any longer would not be worth it; says which.
    #[must_use = "what is still unknown may exist"]
    pub async fn look(&self, workspace: WorkspaceId) -> bool {
        let Some(mut stage) = self.join(workspace) else {
            return false;
        };
        let done = stage.wait_for(|stage| *stage == Stage::Done);
        matches!(timeout(PATIENCE, done).await, Ok(Ok(_)))
    }

    /// A look that has not begun to read, or a new one; `None` if there have been too many.
    fn join(&self, workspace: WorkspaceId) -> Option<watch::Receiver<Stage>> {
        let mut all = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_over = |looks: &Looks| now.saturating_duration_since(looks.window) >= WINDOW;
        let known = all.get(&workspace).filter(|looks| !is_over(looks));
        let (window, in_window) = match known {
            Some(looks) if *looks.newest.borrow() == Stage::Waiting => {
                return Some(looks.newest.clone());
            }
            Some(looks) if looks.in_window >= MAX_IN_WINDOW => return None,
            Some(looks) => (looks.window, looks.in_window + 1),
            None => (now, 1),
        };
        if all.len() >= MAX_WORKSPACES {
            all.retain(|_, looks| !is_over(looks));
        }
        if all.len() >= MAX_WORKSPACES {
            return None;
        }
        let (stage, newest) = watch::channel(Stage::Waiting);
        self.findings
            .try_send(Finding::Asked { workspace, stage })
            .ok()?;
        let looks = Looks {
            window,
            in_window,
            newest: newest.clone(),
        };
        all.insert(workspace, looks);
        Some(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(findings: &mut mpsc::Receiver<Finding>) -> Option<watch::Sender<Stage>> {
        match findings.try_recv() {
            Ok(Finding::Asked { stage, .. }) => Some(stage),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_is_shared_until_it_begins_to_read() {
        let (sender, mut findings) = mpsc::channel(8);
        let freshener = Freshener::new(sender);
        let workspace = WorkspaceId::random();
        assert!(freshener.join(workspace).is_some() && freshener.join(workspace).is_some());
        let stage = asked(&mut findings).unwrap();
        assert!(asked(&mut findings).is_none(), "one look for both");
        stage.send_replace(Stage::Reading);
        assert!(freshener.join(workspace).is_some());
        assert!(
            asked(&mut findings).is_some(),
            "what it reads may be older than this caller's news"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn looks_are_rare_and_nobody_waits_for_ever() {
        let (sender, mut findings) = mpsc::channel(64);
        let freshener = Freshener::new(sender);
        let workspace = WorkspaceId::random();
        let mut looks = 0;
        for _ in 0..100 {
            freshener.join(workspace);
            if let Some(stage) = asked(&mut findings) {
                stage.send_replace(Stage::Done);
                looks += 1;
            }
        }
        assert_eq!(looks, MAX_IN_WINDOW);
        tokio::time::advance(WINDOW).await;
        let before = Instant::now();
        assert!(!freshener.look(workspace).await, "nobody answered");
        assert_eq!(before.elapsed(), PATIENCE);
    }
}
