//! `t_agent_bootstrap_secrets`: the one-time secrets by which agents enrol their keys.

use deadpool_postgres::GenericClient;

use ah5_contracts::id::{AgentId, WorkspaceId};

use crate::StoreError;
use crate::tenant::Tenant;

pub struct Secret {
    /// Usable: unexpired, and either fresh or consumed within the hour by an agent that has not
    /// used a token since.
    pub usable: bool,
}

/// Stores a new secret and ends the agent's earlier ones.
///
/// # Errors
/// The database fails.
pub async fn replace(
    tenant: &Tenant<'_>,
    agent: AgentId,
    secret_hash: &[u8],
    hours: i32,
) -> Result<(), StoreError> {
    end(tenant, agent).await?;
    let sql = "insert into ah5.t_agent_bootstrap_secrets
                   (id, workspace_id, agent_id, secret_hash, expires_at)
               values ($1, $2, $3, $4, now() + make_interval(hours => $5))";
    let workspace = tenant.workspace().uuid();
    tenant
        .execute(
            sql,
            &[
                &uuid::Uuid::new_v4(),
                &workspace,
                &agent.uuid(),
                &secret_hash,
                &hours,
            ],
        )
        .await?;
    Ok(())
}

/// # Errors
/// The database fails.
pub async fn workspace_of(
    client: &impl GenericClient,
    secret_hash: &[u8],
) -> Result<Option<WorkspaceId>, StoreError> {
    let sql = "select ah5.bootstrap_secret_workspace($1)";
    let row = client.query_one(sql, &[&secret_hash]).await?;
    Ok(row.get::<_, Option<_>>(0).map(WorkspaceId::from_uuid))
}

/// # Errors
/// The database fails.
pub async fn agent_of(
    tenant: &Tenant<'_>,
    secret_hash: &[u8],
) -> Result<Option<AgentId>, StoreError> {
    let sql = "select agent_id from ah5.t_agent_bootstrap_secrets where secret_hash = $1";
    let row = tenant.query_opt(sql, &[&secret_hash]).await?;
    Ok(row.map(|row| AgentId::from_uuid(row.get(0))))
}

/// The secret, locked until the transaction ends.
///
/// # Errors
/// The database fails.
pub async fn lock(tenant: &Tenant<'_>, secret_hash: &[u8]) -> Result<Option<Secret>, StoreError> {
    let sql = "
        select s.expires_at > now() and (s.consumed_at is null
                   or (s.consumed_at > now() - interval '1 hour'
                       and not exists (select 1 from ah5.t_agent_usage u
                           where u.agent_id = s.agent_id and u.token_last_used_at > s.consumed_at)))
        from ah5.t_agent_bootstrap_secrets s where s.secret_hash = $1 for update of s";
    let row = tenant.query_opt(sql, &[&secret_hash]).await?;
    Ok(row.map(|row| Secret { usable: row.get(0) }))
}

/// Stamps the first use only: later uses don't prolong the hour.
///
/// # Errors
/// The database fails.
pub async fn consume(tenant: &Tenant<'_>, secret_hash: &[u8]) -> Result<(), StoreError> {
    let sql = "update ah5.t_agent_bootstrap_secrets
               set consumed_at = coalesce(consumed_at, now()) where secret_hash = $1";
    tenant.execute(sql, &[&secret_hash]).await?;
    Ok(())
}

/// Ends all secrets of the agent.
///
/// # Errors
/// The database fails.
pub async fn end(tenant: &Tenant<'_>, agent: AgentId) -> Result<(), StoreError> {
    let sql = "delete from ah5.t_agent_bootstrap_secrets where agent_id = $1";
    tenant.execute(sql, &[&agent.uuid()]).await?;
    Ok(())
}
