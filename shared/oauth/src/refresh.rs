//! Refreshing a connection's tokens. In this process callers share one attempt; in the fleet a lease
//! in the database lets one use of a refresh token be under way at a time. What the provider hands out
//! is on disk, sealed, before it is in the database: the old token may be good no more. Only the
//! provider's final refusal has a person called; whatever else goes wrong is tried again later.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ah5_contracts::id::ConnectionId;
use ah5_net::{PoolKey, Upstreams};
use ah5_security::ring::held::Held;
use ah5_security::secret::SecretText;
use ah5_security::vault::DataKey;
use ah5_store::StoreError;
use ah5_store::connections::{self, Connection};
use ah5_store::credentials::{self, Credential};
use ah5_store::data_keys;
use ah5_store::refreshes::{self, Lease, Seen};
use ah5_store::tenant::Tenant;
use deadpool_postgres::Pool;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::installation::Installation;
use crate::sealed::{Field, Owner};

mod attempt;
mod journal;
mod pause;
mod replay;
#[cfg(test)]
mod tests;

use journal::Journal;

/// How long a caller waits for another's attempt.
pub const PATIENCE: Duration = Duration::from_secs(12);

/// Cheap to clone.
#[derive(Clone)]
pub struct Refresher {
    inner: Arc<Inner>,
}

/// What a refresher works with.
pub struct Parts {
    pub installation: Arc<Installation>,
    /// Of its own: a few connections do.
    pub pool: Pool,
    pub ring: Held,
    pub net: Upstreams,
}

/// A token that is good now, and which credential it is.
pub struct Fresh {
    pub access: SecretText,
    pub version: i64,
    pub expires_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    #[error("the connection has been revoked or cannot be refreshed")]
    Gone,
    /// The provider, or what leads to it, is not well: not before so long.
    #[error("the token could not be refreshed yet")]
    Later { after: Duration },
    #[error("a person has to connect the account again")]
    NeedsReauth,
}

type Answer = Result<Arc<Fresh>, RefreshError>;
type Flight = watch::Receiver<Option<Answer>>;

struct Inner {
    installation: Arc<Installation>,
    pool: Pool,
    ring: Held,
    net: Upstreams,
    journal: Journal,
    flights: Mutex<HashMap<ConnectionId, Flight>>,
}

/// Ends an attempt for those who come later, however it ends.
struct Landing {
    inner: Arc<Inner>,
    connection: ConnectionId,
}

// === impl Refresher ===

impl Refresher {
    /// `folder` is for what was handed out and is not in the database yet. Nothing is touched before
    /// [`Self::prepare`].
    #[must_use]
    pub fn new(parts: Parts, folder: &Path) -> Self {
        let inner = Inner {
            installation: parts.installation,
            pool: parts.pool,
            ring: parts.ring,
            net: parts.net,
            journal: Journal::new(folder),
            flights: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Makes the folder, for whoever refreshes.
    ///
    /// # Errors
    /// It can't be made, or others may write there.
    pub fn prepare(&self) -> std::io::Result<()> {
        self.inner.journal.open()
    }

    /// A newer credential than the one that the caller has seen, whoever gets it. The attempt goes on
    /// when the caller does not wait for it.
    ///
    /// # Errors
    /// [`RefreshError`].
    pub async fn refresh(&self, seen: Seen) -> Answer {
        let mut flight = self.join(seen);
        let landed = timeout(PATIENCE, flight.wait_for(Option::is_some)).await;
        match landed {
            Ok(Ok(answer)) => answer.clone().unwrap_or(Err(SOON)),
            Ok(Err(_)) | Err(_) => Err(SOON),
        }
    }

    /// Begins it, and waits for nothing.
    pub fn begin(&self, seen: Seen) {
        self.join(seen);
    }

    /// Says that a person is needed, only of this very credential.
    ///
    /// # Errors
    /// The database fails.
    pub async fn mark_needs_reauth(&self, seen: Seen, why: &str) -> Result<bool, StoreError> {
        let db = self.inner.pool.get().await?;
        refreshes::mark_needs_reauth(&db, seen, why).await
    }

    /// Puts what earlier lives were handed out into the database. Runs for as long as the process.
    pub async fn replay(self) {
        replay::run(&self.inner).await;
    }

    /// An attempt is a task of its own: a token that is being used must not be lost with whoever asked.
    fn join(&self, seen: Seen) -> Flight {
        let flights = &self.inner.flights;
        let mut flights = flights.lock().unwrap_or_else(PoisonError::into_inner);
        match flights.entry(seen.connection) {
            Entry::Occupied(flight) => flight.get().clone(),
            Entry::Vacant(place) => {
                let (sender, flight) = watch::channel(None);
                place.insert(flight.clone());
                let landing = Landing {
                    inner: self.inner.clone(),
                    connection: seen.connection,
                };
                tokio::spawn(async move {
                    let answer = landing.inner.fly(seen).await;
                    drop(landing);
                    sender.send_replace(Some(answer));
                });
                flight
            }
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let flights = &self.inner.flights;
        let mut flights = flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.remove(&self.connection);
    }
}

// === impl Inner ===

impl Inner {
    async fn fly(&self, seen: Seen) -> Answer {
        let answer = self.try_fly(seen).await;
        answer.unwrap_or_else(|error| {
            tracing::warn!(connection = %seen.connection, %error, "a refresh could not be seen to");
            Err(SOON)
        })
    }

    /// Until the lease is ours, or somebody else's attempt has ended, or it takes too long.
    async fn try_fly(&self, seen: Seen) -> Result<Answer, StoreError> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let (lease, asked) = (Uuid::new_v4(), Instant::now());
            let db = self.pool.get().await?;
            let outcome = refreshes::lease(&db, seen, lease, LEASE_SECONDS).await?;
            drop(db);
            match outcome {
                Lease::Taken { failures, doubtful } => {
                    let held = attempt::Held {
                        seen,
                        lease,
                        since: asked,
                        failures,
                        doubtful,
                    };
                    return attempt::run(self, held).await;
                }
                Lease::Fresh => return self.current(seen).await,
                Lease::Gone => return Ok(Err(RefreshError::Gone)),
                Lease::NeedsReauth => return Ok(Err(RefreshError::NeedsReauth)),
                Lease::Later(after) => return Ok(Err(RefreshError::Later { after })),
                Lease::Busy(_) if began.elapsed() + pause < PATIENCE => {
                    sleep(pause::jittered(pause)).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
                Lease::Busy(after) => return Ok(Err(RefreshError::Later { after })),
            }
        }
    }

    /// `None` if it is gone, or does not open with the ring.
    async fn data_key(&self, tenant: &Tenant<'_>) -> Result<Option<DataKey>, StoreError> {
        let Some(keys) = data_keys::look(tenant).await? else {
            return Ok(None);
        };
        let ring = self.ring.now();
        let key = ring.unwrap_pair(tenant.workspace(), &keys.current, keys.previous.as_ref());
        Ok(key.ok())
    }

    /// The credential as it is now.
    async fn current(&self, seen: Seen) -> Result<Answer, StoreError> {
        let mut db = self.pool.get().await?;
        let tenant = Tenant::begin(&mut db, seen.workspace).await?;
        let stored = stored(&tenant, seen.connection).await?;
        let key = self.data_key(&tenant).await?;
        tenant.commit().await?;
        let (Some((connection, credential)), Some(key)) = (stored, key) else {
            return Ok(Err(RefreshError::Gone));
        };
        match connection.status.as_str() {
            "healthy" => {}
            "needs_reauth" => return Ok(Err(RefreshError::NeedsReauth)),
            _ => return Ok(Err(RefreshError::Gone)),
        }
        let owner = Owner::of(seen.workspace, &connection);
        let access = owner.and_then(|owner| {
            owner.open(&key, Field::Secret, credential.version, &credential.sealed)
        });
        let access = access.map_err(|_| StoreError::Bug("a credential does not open".into()))?;
        Ok(Ok(Arc::new(Fresh {
            access,
            version: credential.version,
            expires_at: credential.expires_at,
        })))
    }
}

async fn stored(
    tenant: &Tenant<'_>,
    id: ConnectionId,
) -> Result<Option<(Connection, Credential)>, StoreError> {
    let connection = connections::get(tenant, id).await?;
    let credential = credentials::get(tenant, id).await?;
    Ok(connection.zip(credential))
}

const fn pool_key(seen: Seen) -> PoolKey {
    PoolKey {
        workspace: seen.workspace,
        connection: seen.connection,
    }
}

/// Longer than the provider is given, with what goes before and comes after.
const LEASE_SECONDS: i32 = 30;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// Nothing is known of the provider.
const SOON: RefreshError = RefreshError::Later {
    after: Duration::from_secs(2),
};
