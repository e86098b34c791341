//! Reads the version table so that no commit is ever missed, whatever order transactions end in.

use tokio_postgres::Client;
use uuid::Uuid;

use ah5_contracts::id::WorkspaceId;

use crate::StoreError;

/// One workspace's version; `None` if it has none.
///
/// # Errors
/// The database fails.
pub async fn current(client: &Client, workspace: WorkspaceId) -> Result<Option<i64>, StoreError> {
    let sql = "select version from ah5.t_workspace_versions where workspace_id = $1";
    let row = client.query_opt(sql, &[&workspace.uuid()]).await?;
    Ok(row.map(|row| row.get(0)))
}

pub struct Poller {
    client: Client,
    /// Transactions from here on may have been running at the last poll.
    xmin: Option<String>,
    generation: Option<Uuid>,
}

/// What a poll found.
pub struct Found {
    pub changed: Vec<(WorkspaceId, i64)>,
    /// `changed` is the whole table: what is not in it does not exist.
    pub is_whole: bool,
    /// Another one means that the database is another one, whatever its numbers.
    pub generation: Uuid,
}

// === impl Poller ===

impl Poller {
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self {
            client,
            xmin: None,
            generation: None,
        }
    }

    /// The whole table at first; afterwards every row written by a transaction that the last poll
    /// could have missed, which may repeat rows. Compare versions with `!=`: a restored database
    /// may go back.
    ///
    /// # Errors
    /// The database fails, or is a standby, whose knowledge may be old.
    pub async fn poll(&mut self) -> Result<Found, StoreError> {
        let found = self.read().await?;
        if self
            .generation
            .is_none_or(|known| known == found.generation)
        {
            self.generation = Some(found.generation);
            return Ok(found);
        }
        // Where this connection's snapshots are from, nothing was as it is here.
        self.xmin = None;
        self.generation = Some(found.generation);
        self.read().await
    }

    async fn read(&mut self) -> Result<Found, StoreError> {
        let is_whole = self.xmin.is_none();
        let since = self.xmin.as_deref().unwrap_or("0");
        let rows = self.client.query(POLL, &[&since]).await?;
        let first = rows
            .first()
            .ok_or_else(|| StoreError::Bug("the poll has no row".into()))?;
        if first.get::<_, bool>("standby") {
            return Err(StoreError::Unavailable("the server is in recovery".into()));
        }
        let changed = rows
            .iter()
            .filter_map(|row| {
                let workspace: Option<Uuid> = row.get("workspace_id");
                Some((WorkspaceId::from_uuid(workspace?), row.get("version")))
            })
            .collect();
        self.xmin = Some(first.get("xmin"));
        Ok(Found {
            changed,
            is_whole,
            generation: first.get("generation"),
        })
    }
}

// One statement, so one snapshot: its xmin and its rows belong together.
const POLL: &str = "
    select pg_snapshot_xmin(pg_current_snapshot())::text as xmin,
           pg_is_in_recovery() as standby, i.generation, v.workspace_id, v.version
    from ah5.t_installation i
    left join ah5.t_workspace_versions v on v.changed_xid >= ($1::text)::xid8";
