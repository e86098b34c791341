//! Writes down what is handed out, before it leaves: where that can't be done, nothing leaves.

use std::time::Duration;

use ah5_store::StoreError;
use ah5_store::database::Database;
use ah5_store::vending::{self, Vended};
use deadpool_postgres::Pool;
use tokio::time::timeout;

pub struct Vending {
    pool: Pool,
}

// === impl Vending ===

impl Vending {
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self {
            pool: database.pool(CONNECTIONS),
        }
    }

    /// False if the connection is not healthy any more.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn note(&self, vended: &Vended) -> Result<bool, StoreError> {
        let noting = async { vending::note(&self.pool.get().await?, vended).await };
        let late = |_| StoreError::Unavailable("it took too long".to_owned());
        timeout(DEADLINE, noting).await.map_err(late)?
    }
}

const CONNECTIONS: usize = 1;
const DEADLINE: Duration = Duration::from_secs(5);
