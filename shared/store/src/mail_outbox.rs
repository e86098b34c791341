//! `t_mail_outbox`: mail on its way. Each is sent at least once, by whichever control plane comes
//! first; a lease keeps the others off while one is at it.

use deadpool_postgres::GenericClient;
use uuid::Uuid;

use crate::StoreError;

/// A mail that the caller alone may send until its lease ends.
pub struct Leased {
    pub id: Uuid,
    pub sealed: Vec<u8>,
    /// This one included.
    pub attempts: i32,
}

/// # Errors
/// The database fails.
pub async fn insert(
    client: &impl GenericClient,
    id: Uuid,
    sealed: &[u8],
    life_minutes: i32,
) -> Result<(), StoreError> {
    let sql = "insert into ah5.t_mail_outbox (id, sealed, expires_at)
               values ($1, $2, now() + make_interval(mins => $3))";
    client.execute(sql, &[&id, &sealed, &life_minutes]).await?;
    Ok(())
}

/// Takes the mail that is due longest.
///
/// # Errors
/// The database fails.
pub async fn lease(
    client: &impl GenericClient,
    seconds: i32,
) -> Result<Option<Leased>, StoreError> {
    let sql = "
        update ah5.t_mail_outbox
        set attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => $1)
        where id = (select id from ah5.t_mail_outbox
                    where next_attempt_at <= now() and expires_at > now()
                    order by next_attempt_at limit 1 for update skip locked)
        returning id, sealed, attempts";
    let row = client.query_opt(sql, &[&f64::from(seconds)]).await?;
    Ok(row.map(|row| Leased {
        id: row.get(0),
        sealed: row.get(1),
        attempts: row.get(2),
    }))
}

/// # Errors
/// The database fails.
pub async fn put_off(
    client: &impl GenericClient,
    id: Uuid,
    seconds: i32,
) -> Result<(), StoreError> {
    let sql = "update ah5.t_mail_outbox set next_attempt_at = now() + make_interval(secs => $2)
               where id = $1";
    client.execute(sql, &[&id, &f64::from(seconds)]).await?;
    Ok(())
}

/// # Errors
/// The database fails.
pub async fn delete(client: &impl GenericClient, id: Uuid) -> Result<(), StoreError> {
    client
        .execute("delete from ah5.t_mail_outbox where id = $1", &[&id])
        .await?;
    Ok(())
}

/// Drops what it is too late to send; says how many those were.
///
/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<u64, StoreError> {
    let sql = "delete from ah5.t_mail_outbox where expires_at < now()";
    Ok(client.execute(sql, &[]).await?)
}
