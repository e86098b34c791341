//! Settles what is in the journal: what an earlier life left there, and what this one could not
//! commit while the database was away. To settle a thing twice changes nothing.

use std::time::Duration;

use ah5_store::StoreError;
use ah5_store::refreshes::{self, Committed};
use tokio::time::sleep;

use super::Inner;

pub async fn run(inner: &Inner) -> ! {
    loop {
        if let Err(error) = settle(inner).await {
            tracing::warn!(%error, "refreshed tokens wait for the database");
        }
        sleep(EVERY).await;
    }
}

async fn settle(inner: &Inner) -> Result<(), StoreError> {
    let entries = inner.journal.entries();
    let entries = entries.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    for (path, handed) in entries {
        let renewal = handed.renewal();
        let connection = renewal.of.connection;
        let db = inner.pool.get().await?;
        match refreshes::commit(&db, &renewal).await {
            Ok(Committed::Done) => tracing::info!(%connection, "a refresh was taken up again"),
            Ok(Committed::Revoked | Committed::Superseded) => {}
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            // One that can't be stored holds no other up.
            Err(error) => {
                tracing::error!(%connection, %error, "a refresh cannot be taken up again");
                continue;
            }
        }
        inner.journal.remove(&path);
    }
    Ok(())
}

const EVERY: Duration = Duration::from_secs(1);
