//! The way into Postgres: a connection that is opened when needed, batches stored whole or halved
//! until the one record that Postgres refuses is found and set aside.

use std::sync::Arc;
use std::time::Duration;

use ah5_contracts::id::SpoolId;
use ah5_store::StoreError;
use ah5_store::audit_spool::{self, CopyError, SpoolRecord};
use ah5_store::database::{Client, Database};
use tokio::time::timeout;

use super::backlog::Backlog;
use super::segment::{Batch, Content};

pub(super) struct Delivery {
    database: Database,
    client: Option<Client>,
    backlog: Arc<Backlog>,
}

// === impl Delivery ===

impl Delivery {
    pub(super) fn new(database: Database, backlog: Arc<Backlog>) -> Self {
        Self {
            database,
            client: None,
            backlog,
        }
    }

    /// Returns once all of the batch is in Postgres, in the log or in quarantine. After an error
    /// some may be; the same batch can be delivered again.
    pub(super) async fn deliver(
        &mut self,
        spool: SpoolId,
        batch: &Batch,
    ) -> Result<(), StoreError> {
        let delivered = match &batch.content {
            Content::Records(records) => self.store(spool, records).await,
            Content::Unreadable { spool_seq, payload } => {
                let why = "written by another version";
                self.set_aside(spool, *spool_seq, payload, why).await
            }
        };
        if delivered.is_err() {
            self.client = None;
        }
        delivered
    }

    async fn store(&mut self, spool: SpoolId, records: &[SpoolRecord]) -> Result<(), StoreError> {
        // The last is the next, so that the cursor only moves forward.
        let mut parts = vec![records];
        while let Some(part) = parts.pop() {
            match (self.copy(spool, part).await, part) {
                (Ok(()), _) => {}
                (Err(CopyError::Refused(why)), [record]) => {
                    let bytes = serde_json::to_vec(&record.row).unwrap_or_default();
                    self.set_aside(spool, record.spool_seq, &bytes, &why)
                        .await?;
                }
                (Err(CopyError::Refused(_)), _) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                (Err(CopyError::Store(error)), _) => return Err(error),
            }
        }
        Ok(())
    }

    async fn copy(&mut self, spool: SpoolId, records: &[SpoolRecord]) -> Result<(), CopyError> {
        let client = self.client().await?;
        let copied = timeout(DEADLINE, audit_spool::copy_batch(client, spool, records)).await;
        copied.map_err(|_| late())??;
        metrics::counter!("ah5_audit_stored_total").increment(records.len() as u64);
        Ok(())
    }

    async fn set_aside(
        &mut self,
        spool: SpoolId,
        spool_seq: i64,
        record: &[u8],
        why: &str,
    ) -> Result<(), StoreError> {
        let client = self.client().await?;
        let done = audit_spool::quarantine(client, spool, spool_seq, record, why);
        timeout(DEADLINE, done).await.map_err(|_| late())??;
        self.backlog.quarantined();
        tracing::error!(%spool, spool_seq, why, "an audit record was put in quarantine");
        Ok(())
    }

    async fn client(&mut self) -> Result<&mut Client, StoreError> {
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => {
                let opened = timeout(DEADLINE, audit_spool::connect(&self.database)).await;
                opened.map_err(|_| late())??.0
            }
        };
        Ok(self.client.insert(client))
    }
}

fn late() -> StoreError {
    StoreError::Unavailable("no answer in time".to_owned())
}

/// Longer than the server's own limits, so that it has let go of the cursor when we come again.
const DEADLINE: Duration = Duration::from_secs(12);
