//! Notes that tokens are being used: at most once a minute each, in tables of their own.

use tokio_postgres::GenericClient;
use uuid::Uuid;

use ah5_contracts::id::{AgentId, PersonalTokenId};

use crate::StoreError;

/// # Errors
/// The database fails.
pub async fn touch_agents(
    client: &impl GenericClient,
    agents: &[AgentId],
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = agents.iter().map(|id| id.uuid()).collect();
    let sql = "select ah5.touch_last_used($1)";
    client.execute(sql, &[&ids]).await?;
    Ok(())
}

/// # Errors
/// The database fails.
pub async fn touch_personal_tokens(
    client: &impl GenericClient,
    tokens: &[PersonalTokenId],
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = tokens.iter().map(|id| id.uuid()).collect();
    let sql = "select ah5.touch_tokens_used($1)";
    client.execute(sql, &[&ids]).await?;
    Ok(())
}
