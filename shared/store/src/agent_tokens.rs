//! `l_agent_tokens`: which tokens agents were given, so that ending them can say how many those were.
//! Whether a token is good is decided from its agent's epoch, never from here.

use deadpool_postgres::GenericClient;

use ah5_contracts::id::{AgentId, SecretId};

use crate::StoreError;
use crate::tenant::Tenant;

/// `expires` in seconds since 1970-01-01 UTC.
///
/// # Errors
/// The database fails.
pub async fn insert(
    tenant: &Tenant<'_>,
    token: SecretId,
    agent: AgentId,
    epoch: i64,
    expires: i64,
) -> Result<(), StoreError> {
    let sql = "insert into ah5.l_agent_tokens (token_id, workspace_id, agent_id, epoch, expires_at)
               values ($1, $2, $3, $4, to_timestamp($5::bigint))";
    let workspace = tenant.workspace().uuid();
    let (token, agent) = (token.uuid(), agent.uuid());
    tenant
        .execute(sql, &[&token, &workspace, &agent, &epoch, &expires])
        .await?;
    Ok(())
}

/// Forgets the agent's tokens and returns how many of them were good in this epoch.
///
/// # Errors
/// The database fails.
pub async fn take(tenant: &Tenant<'_>, agent: AgentId, epoch: i64) -> Result<i64, StoreError> {
    let sql = "with gone as (delete from ah5.l_agent_tokens where agent_id = $1
                             returning epoch, expires_at)
               select count(*) from gone where epoch = $2 and expires_at > now()";
    let row = tenant.query_one(sql, &[&agent.uuid(), &epoch]).await?;
    Ok(row.get(0))
}

/// Drops what has expired, here and of data planes that report no more.
///
/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<(), StoreError> {
    client
        .execute("select ah5.prune_agent_notes()", &[])
        .await?;
    Ok(())
}
