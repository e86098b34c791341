//! `t_throttle`: attempts that failed lately, shared by all control planes. An attempt counts as
//! failed from its beginning until it is taken back, so that guesses sent at once don't slip by.

use deadpool_postgres::GenericClient;

use crate::StoreError;

/// What is counted: a kind, and which of its slots.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub kind: &'static str,
    pub slot: i32,
}

/// How much is let through.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Attempts before the first delay, of one second; each further one doubles it.
    pub free: i32,
    pub max_delay_seconds: i32,
}

/// Begins an attempt. `Err` is the number of seconds to wait; nothing was counted then.
///
/// # Errors
/// The database fails; the caller must then refuse.
pub async fn begin(
    client: &impl GenericClient,
    key: Key,
    rule: Rule,
) -> Result<Result<(), i32>, StoreError> {
    // A day without an attempt is forgotten.
    let sql = "
        insert into ah5.t_throttle as t (kind, slot, attempts) values ($1, $2, 1)
        on conflict (kind, slot) do update set
            attempts = case when t.last_at < now() - interval '1 day' then 1 else t.attempts + 1 end,
            last_at = now(),
            blocked_until = case
                when t.last_at < now() - interval '1 day' or t.attempts < $3 then now()
                else now() + make_interval(secs => least($4, 2 ^ least(t.attempts - $3, 30))) end
        -- By the clock, not by when this began: it may have waited for another's row.
        where t.blocked_until <= clock_timestamp()";
    let limit = f64::from(rule.max_delay_seconds);
    let counted = client
        .execute(sql, &[&key.kind, &key.slot, &rule.free, &limit])
        .await?;
    if counted == 1 {
        return Ok(Ok(()));
    }
    let sql = "select ceil(greatest(1, extract(epoch from blocked_until - now())))::int
               from ah5.t_throttle where kind = $1 and slot = $2";
    let row = client.query_opt(sql, &[&key.kind, &key.slot]).await?;
    Ok(Err(row.map_or(1, |row| row.get(0))))
}

/// Takes back one attempt, which did not fail.
///
/// # Errors
/// The database fails.
pub async fn take_back(client: &impl GenericClient, key: Key) -> Result<(), StoreError> {
    let sql =
        "update ah5.t_throttle set attempts = greatest(attempts - 1, 0), blocked_until = now()
               where kind = $1 and slot = $2";
    client.execute(sql, &[&key.kind, &key.slot]).await?;
    Ok(())
}

/// Forgets every attempt.
///
/// # Errors
/// The database fails.
pub async fn forget(client: &impl GenericClient, key: Key) -> Result<(), StoreError> {
    let sql = "delete from ah5.t_throttle where kind = $1 and slot = $2";
    client.execute(sql, &[&key.kind, &key.slot]).await?;
    Ok(())
}

/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<(), StoreError> {
    let sql = "delete from ah5.t_throttle where last_at < now() - interval '1 day'";
    client.execute(sql, &[]).await?;
    Ok(())
}
