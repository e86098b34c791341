//! `t_sign_in_flows`: sign-ins under way at another party. Each comes back once, to the browser
//! that began it.

use deadpool_postgres::GenericClient;

use ah5_contracts::id::UserId;

use crate::StoreError;

#[derive(Clone, Debug)]
pub struct Flow {
    pub provider: String,
    pub return_to: String,
    pub new_user_to: Option<String>,
    pub error_to: Option<String>,
    /// Who asked for the identity to be linked.
    pub link_user: Option<UserId>,
}

/// # Errors
/// The database fails.
pub async fn insert(
    client: &impl GenericClient,
    (state_hash, browser_hash): (&[u8], &[u8]),
    flow: &Flow,
    life_minutes: i32,
) -> Result<(), StoreError> {
    let sql = "insert into ah5.t_sign_in_flows (state_hash, browser_hash, provider_id, return_to,
                   new_user_to, error_to, link_user_id, expires_at)
               values ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(mins => $8))";
    let link_user = flow.link_user.map(UserId::uuid);
    client
        .execute(
            sql,
            &[
                &state_hash,
                &browser_hash,
                &flow.provider,
                &flow.return_to,
                &flow.new_user_to,
                &flow.error_to,
                &link_user,
                &life_minutes,
            ],
        )
        .await?;
    Ok(())
}

/// Takes the flow out. From another browser, or at another provider, it stays and is not told.
///
/// # Errors
/// The database fails.
pub async fn take(
    client: &impl GenericClient,
    (state_hash, browser_hash): (&[u8], &[u8]),
    provider: &str,
) -> Result<Option<Flow>, StoreError> {
    let sql = "delete from ah5.t_sign_in_flows
               where state_hash = $1 and browser_hash = $2 and provider_id = $3
                 and expires_at > now()
               returning provider_id, return_to, new_user_to, error_to, link_user_id";
    let row = client
        .query_opt(sql, &[&state_hash, &browser_hash, &provider])
        .await?;
    Ok(row.map(|row| Flow {
        provider: row.get(0),
        return_to: row.get(1),
        new_user_to: row.get(2),
        error_to: row.get(3),
        link_user: row.get::<_, Option<_>>(4).map(UserId::from_uuid),
    }))
}

/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<(), StoreError> {
    let sql = "delete from ah5.t_sign_in_flows where expires_at < now()";
    client.execute(sql, &[]).await?;
    Ok(())
}
