//! What is under which key of the ring, and which processes hold which keys.

use deadpool_postgres::GenericClient as Pooled;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

use ah5_contracts::id::ReplicaId;
use ah5_security::ring::KeyRing;

use crate::StoreError;

/// A process that answers requests, as of its last report.
pub struct Holder {
    pub process: Uuid,
    pub plane: String,
    pub current: String,
    pub keys: Vec<String>,
    pub seconds_ago: f64,
}

pub struct Use {
    pub what: String,
    pub ring_key_id: String,
    pub count: i64,
}

/// A letter that waits under another key of the ring than this one.
pub struct Letter {
    pub id: Uuid,
    pub sealed: Vec<u8>,
}

/// # Errors
/// The database fails.
pub async fn report(
    client: &impl GenericClient,
    process: ReplicaId,
    plane: &str,
    ring: &KeyRing,
) -> Result<(), StoreError> {
    let keys: Vec<&str> = ring.ids().collect();
    let sql = "select ah5.report_ring($1, $2, $3, $4)";
    client
        .execute(sql, &[&process.uuid(), &plane, &ring.current(), &keys])
        .await?;
    Ok(())
}

/// Those that have reported within half a minute.
///
/// # Errors
/// The database fails.
pub async fn holders(client: &impl Pooled) -> Result<Vec<Holder>, StoreError> {
    let sql = "select process, plane, current, keys,
                      extract(epoch from clock_timestamp() - seen_at)::float8
               from ah5.t_ring_holders where seen_at > clock_timestamp() - interval '30 seconds'
               order by plane, process";
    let rows = client.query(sql, &[]).await?;
    let holder = |row: &Row| Holder {
        process: row.get(0),
        plane: row.get(1),
        current: row.get(2),
        keys: row.get(3),
        seconds_ago: row.get(4),
    };
    Ok(rows.iter().map(holder).collect())
}

/// # Errors
/// The database fails.
pub async fn uses(client: &impl Pooled) -> Result<Vec<Use>, StoreError> {
    let sql = "select what, ring_key_id, uses from ah5.ring_key_uses()";
    let rows = client.query(sql, &[]).await?;
    let one = |row: &Row| Use {
        what: row.get(0),
        ring_key_id: row.get(1),
        count: row.get(2),
    };
    Ok(rows.iter().map(one).collect())
}

/// Some letters, locked, unless somebody is at them.
///
/// # Errors
/// The database fails.
pub async fn letters(
    client: &impl Pooled,
    current: &str,
    most: i64,
) -> Result<Vec<Letter>, StoreError> {
    let sql = "select id, sealed from ah5.t_mail_outbox
               where substr(sealed, 2, get_byte(sealed, 0)) <> convert_to($1, 'UTF8')
               order by id limit $2 for update skip locked";
    let rows = client.query(sql, &[&current, &most]).await?;
    let letter = |row: &Row| Letter {
        id: row.get(0),
        sealed: row.get(1),
    };
    Ok(rows.iter().map(letter).collect())
}

/// # Errors
/// The database fails.
pub async fn put_letter(client: &impl Pooled, id: Uuid, sealed: &[u8]) -> Result<(), StoreError> {
    let sql = "update ah5.t_mail_outbox set sealed = $2 where id = $1";
    client.execute(sql, &[&id, &sealed]).await?;
    Ok(())
}

/// A signing key's private half, if it has one still, and the MAC of its public one.
///
/// # Errors
/// The database fails.
pub async fn put_signing_key(
    client: &impl Pooled,
    kid: &str,
    sealed_private: Option<&[u8]>,
    mac: &[u8],
) -> Result<(), StoreError> {
    let sql = "update ah5.t_signing_keys set sealed_private = $2, mac = $3
               where kid = $1 and retired_at is null";
    client.execute(sql, &[&kid, &sealed_private, &mac]).await?;
    Ok(())
}
