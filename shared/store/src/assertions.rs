//! `l_assertion_jtis`: client assertions that were used. Each may be used once.

use deadpool_postgres::GenericClient;

use ah5_contracts::id::AgentId;

use crate::StoreError;

/// Marks the assertion used; false if it was used before. It is kept for as long as it could
/// verify, with room for clocks that differ.
///
/// # Errors
/// The database fails; the caller must then refuse.
pub async fn spend(
    client: &impl GenericClient,
    agent: AgentId,
    jti_hash: &[u8],
    exp: i64,
) -> Result<bool, StoreError> {
    let sql = "
        insert into ah5.l_assertion_jtis as j (agent_id, jti_hash, expires_at)
        values ($1, $2, to_timestamp($3::bigint) + interval '1 minute')
        on conflict (agent_id, jti_hash) do update set expires_at = excluded.expires_at
            where j.expires_at < now()";
    Ok(client
        .execute(sql, &[&agent.uuid(), &jti_hash, &exp])
        .await?
        == 1)
}

/// Drops what can no longer verify.
///
/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<(), StoreError> {
    client
        .execute(
            "delete from ah5.l_assertion_jtis where expires_at < now()",
            &[],
        )
        .await?;
    Ok(())
}
