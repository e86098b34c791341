//! Settles what is in the journal: what an earlier life left there, and what this one could not
//! commit while the database was away. To settle a thing twice changes nothing.

use std::time::Duration;

use ah5_store::refreshes::{self, Committed};
use ah5_store::tenant::Tenant;
use ah5_store::{StoreError, connections};
use tokio::time::sleep;

use super::Inner;
use super::journal::{self, Handed};
use crate::sealed::{Field, Owner};

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
    for (path, mut handed) in entries {
        if !fit(inner, &mut handed).await? {
            journal::set_aside(&path);
            continue;
        }
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
                journal::set_aside(&path);
                continue;
            }
        }
        inner.journal.remove(&path);
    }
    Ok(())
}

/// Seals it anew if the workspace has another key by now. False for what no key of it opens any more, or
/// not for what the connection is: that must not take a credential's place.
async fn fit(inner: &Inner, handed: &mut Handed) -> Result<bool, StoreError> {
    let of = handed.renewal().of;
    let mut db = inner.pool.get().await?;
    let tenant = Tenant::begin(&mut db, of.workspace).await?;
    let connection = connections::get(&tenant, of.connection).await?;
    let key = inner.data_key(&tenant).await?;
    tenant.commit().await?;
    // Whose workspace or ring is not there is not told apart from what does not open.
    let (Some(connection), Some(key)) = (connection, key) else {
        return Ok(true);
    };
    let version = of.version + 1;
    let again = Owner::of(of.workspace, &connection).and_then(|owner| {
        let secret = owner.reseal(&key, Field::Secret, version, &handed.sealed)?;
        let refresh = owner.reseal(&key, Field::Refresh, version, &handed.sealed_refresh)?;
        Ok((secret, refresh))
    });
    let Ok((secret, refresh)) = again else {
        return Ok(false);
    };
    handed.sealed = secret.unwrap_or(std::mem::take(&mut handed.sealed));
    handed.sealed_refresh = refresh.unwrap_or(std::mem::take(&mut handed.sealed_refresh));
    Ok(true)
}

const EVERY: Duration = Duration::from_secs(1);
