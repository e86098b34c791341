//! Workspaces that do not load in time are loaded here, on a connection of their own, so that none of
//! the others waits for them. What was loaded goes to the publisher like any other finding.

use std::collections::HashMap;
use std::time::Duration;

use ah5_contracts::id::WorkspaceId;
use ah5_store::StoreError;
use ah5_store::database::Database;
use ah5_store::snapshot::{WorkspaceRows, load_workspace};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::keeper::{Finding, within};

/// The publisher's side.
pub(super) struct SlowLane {
    wanted: mpsc::UnboundedSender<WorkspaceId>,
    /// The workspaces that are under way: each stands in the queue at most once.
    under_way: HashMap<WorkspaceId, Again>,
}

/// Whether the workspace changed since its load began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    No,
    Yes,
}

// === impl SlowLane ===

impl SlowLane {
    /// The lane, and the task that drives it.
    pub(super) fn new(
        database: Database,
        findings: mpsc::Sender<Finding>,
    ) -> (Self, impl Future<Output = ()>) {
        let (wanted, queue) = mpsc::unbounded_channel();
        let lane = Self {
            wanted,
            under_way: HashMap::new(),
        };
        (lane, drive(database, queue, findings))
    }

    /// Takes a workspace; true if it was not here before.
    pub(super) fn take(&mut self, id: WorkspaceId) -> bool {
        if self.has(id) {
            return false;
        }
        self.under_way.insert(id, Again::No);
        // A lane whose task is gone ends with the publisher.
        let _ = self.wanted.send(id);
        true
    }

    /// Takes note of a change; false if the workspace is not here.
    pub(super) fn changed(&mut self, id: WorkspaceId) -> bool {
        self.under_way
            .get_mut(&id)
            .map(|again| *again = Again::Yes)
            .is_some()
    }

    pub(super) fn has(&self, id: WorkspaceId) -> bool {
        self.under_way.contains_key(&id)
    }

    /// Its load is done; true if that is the last word.
    pub(super) fn loaded(&mut self, id: WorkspaceId) -> bool {
        let is_last = self.under_way.remove(&id) != Some(Again::Yes);
        if !is_last {
            self.take(id);
        }
        is_last
    }
}

async fn drive(
    database: Database,
    mut queue: mpsc::UnboundedReceiver<WorkspaceId>,
    findings: mpsc::Sender<Finding>,
) {
    while let Some(id) = queue.recv().await {
        let rows = loop {
            match load(&database, id).await {
                Ok(rows) => break rows,
                Err(error) => {
                    tracing::error!(workspace = %id, %error, "a workspace cannot be loaded");
                    metrics::counter!("ah5_workspace_loads_failed_total").increment(1);
                }
            }
            sleep(PAUSE).await;
        };
        let found = Finding::Loaded {
            workspace: id,
            rows: rows.map(Box::new),
        };
        if findings.send(found).await.is_err() {
            return;
        }
    }
}

async fn load(database: &Database, id: WorkspaceId) -> Result<Option<WorkspaceRows>, StoreError> {
    let began = Instant::now();
    let work = async {
        let (mut client, _driver) = database.connect().await?;
        load_workspace(&mut client, id).await
    };
    let rows = within(DEADLINE, work).await?;
    tracing::warn!(workspace = %id, took = ?began.elapsed(), "a workspace loads slowly");
    Ok(rows)
}

const DEADLINE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_workspace_that_changes_while_it_loads_is_loaded_again() {
        let database = Database::parse(&ah5_security::secret::SecretText::new(
            "postgres://nobody@127.0.0.1:1/none".to_owned(),
        ))
        .unwrap();
        let (mut lane, _drive) = SlowLane::new(database, mpsc::channel(1).0);
        let id = WorkspaceId::random();
        assert!(!lane.changed(id), "it is not here");
        assert!(lane.take(id) && !lane.take(id));
        assert!(lane.loaded(id), "nothing has changed meanwhile");
        assert!(lane.take(id) && lane.changed(id));
        assert!(!lane.loaded(id) && lane.has(id));
        assert!(lane.loaded(id) && !lane.has(id));
    }
}
