//! Notes that agents' tokens are being used.

use tokio_postgres::Client;
use uuid::Uuid;

use ah5_contracts::id::AgentId;

use crate::StoreError;

/// # Errors
/// The database fails.
pub async fn touch_last_used(client: &Client, agents: &[AgentId]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = agents.iter().map(|id| id.uuid()).collect();
    client
        .execute("select ah5.touch_last_used($1)", &[&ids])
        .await?;
    Ok(())
}
