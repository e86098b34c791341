//! Reads the version table so that no commit is ever missed, whatever order transactions end in.

use tokio_postgres::Client;

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
}

// === impl Poller ===

impl Poller {
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self { client, xmin: None }
    }

    /// The whole table at first; afterwards every row written by a transaction that the last poll
    /// could have missed, which may repeat rows. Compare versions with `!=`: a restored database
    /// may go back.
    ///
    /// # Errors
    /// The database fails, or is a standby, whose knowledge may be old.
    pub async fn poll(&mut self) -> Result<Vec<(WorkspaceId, i64)>, StoreError> {
        let since = self.xmin.as_deref().unwrap_or("0");
        let rows = self.client.query(POLL, &[&since]).await?;
        let first = rows
            .first()
            .ok_or_else(|| StoreError::Bug("the poll has no row".into()))?;
        if first.get::<_, bool>("standby") {
            return Err(StoreError::Unavailable("the server is in recovery".into()));
        }
        let xmin = first.get("xmin");
        let changed = rows
            .iter()
            .filter_map(|row| {
                let workspace: Option<uuid::Uuid> = row.get("workspace_id");
                Some((WorkspaceId::from_uuid(workspace?), row.get("version")))
            })
            .collect();
        self.xmin = Some(xmin);
        Ok(changed)
    }
}

// One statement, so one snapshot: its xmin and its rows belong together.
const POLL: &str = "
    select pg_snapshot_xmin(pg_current_snapshot())::text as xmin,
           pg_is_in_recovery() as standby, v.workspace_id, v.version
    from (select 1) one
    left join ah5.t_workspace_versions v on v.changed_xid >= ($1::text)::xid8";
