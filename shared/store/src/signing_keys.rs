//! `t_signing_keys`: the key pairs that sign tokens, private halves sealed by the ring. A row is kept
//! for ever: it is the record of the rotation that made its key.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::{Client, Row};

use crate::StoreError;

/// A key in force. Spans of time are by the database's clock.
#[derive(Clone)]
pub struct StoredKey {
    pub kid: String,
    pub kind: String,
    pub alg: String,
    pub public_jwk: Value,
    /// Gone once another key signs in its place.
    pub sealed_private: Option<Vec<u8>>,
    pub mac: Vec<u8>,
    /// How long to wait until it signs.
    pub signs_in: Duration,
    /// How long ago it began to.
    pub signed_for: Duration,
    /// The longest life of a token of its.
    pub token_seconds: i32,
    /// Its last token has expired.
    pub is_over: bool,
}

pub struct NewKey<'a> {
    pub kid: &'a str,
    pub kind: &'a str,
    pub alg: &'a str,
    pub public_jwk: &'a Value,
    pub sealed_private: &'a [u8],
    pub mac: &'a [u8],
    pub reason: &'a str,
    pub signs_in: Duration,
    pub token_seconds: i32,
}

/// A key as operators see it, in force or not.
pub struct ListedKey {
    pub kid: String,
    pub kind: String,
    pub alg: String,
    pub public_jwk: Value,
    pub mac: Vec<u8>,
    pub reason: String,
    pub created_at: Timestamp,
    pub signs_from: Timestamp,
    /// It waits for its time.
    pub is_waiting: bool,
    pub replaced_at: Option<Timestamp>,
    pub verifies_until: Option<Timestamp>,
    pub retired_at: Option<Timestamp>,
    pub compromised: bool,
}

/// Every key in force, newest first. Takes a lock first that keeps two processes from changing the
/// keys at once; it lasts until the transaction ends.
///
/// # Errors
/// The database fails.
pub async fn lock_all(client: &impl GenericClient) -> Result<Vec<StoredKey>, StoreError> {
    let sql = "select pg_advisory_xact_lock(hashtext('ah5.t_signing_keys'))";
    client.execute(sql, &[]).await?;
    let rows = client.query(ALL, &[]).await?;
    Ok(rows.iter().map(read).collect())
}

/// The same; `None` if another process is at it.
///
/// # Errors
/// The database fails.
pub async fn try_lock_all(
    client: &impl GenericClient,
) -> Result<Option<Vec<StoredKey>>, StoreError> {
    let sql = "select pg_try_advisory_xact_lock(hashtext('ah5.t_signing_keys'))";
    if !client.query_one(sql, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let rows = client.query(ALL, &[]).await?;
    Ok(Some(rows.iter().map(read).collect()))
}

/// The same without a lock, on a connection of its own.
///
/// # Errors
/// The database fails, or is a standby, whose knowledge may be old.
pub async fn poll(client: &Client) -> Result<Vec<StoredKey>, StoreError> {
    let rows = client.query(ALL, &[]).await?;
    if rows.iter().any(|row| row.get("standby")) {
        return Err(StoreError::Unavailable("the server is in recovery".into()));
    }
    Ok(rows.iter().map(read).collect())
}

/// Whether the key has not been given up. Asked before it signs, as what a process holds may be older
/// than that.
///
/// # Errors
/// The database fails.
pub async fn is_in_force(client: &impl GenericClient, kid: &str) -> Result<bool, StoreError> {
    let sql = "select 1 from ah5.t_signing_keys where kid = $1 and retired_at is null";
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query_opt(&statement, &[&kid]).await?.is_some())
}

/// Every key there ever was, newest first.
///
/// # Errors
/// The database fails.
pub async fn list(client: &impl GenericClient) -> Result<Vec<ListedKey>, StoreError> {
    let sql = "select kid, kind, alg, public_jwk, mac, reason, created_at, signs_from,
                      signs_from > clock_timestamp(), replaced_at, verifies_until, retired_at,
                      compromised
               from ah5.t_signing_keys order by created_at desc, kid";
    let rows = client.query(sql, &[]).await?;
    let key = |row: &Row| ListedKey {
        kid: row.get(0),
        kind: row.get(1),
        alg: row.get(2),
        public_jwk: row.get(3),
        mac: row.get(4),
        reason: row.get(5),
        created_at: row.get(6),
        signs_from: row.get(7),
        is_waiting: row.get(8),
        replaced_at: row.get(9),
        verifies_until: row.get(10),
        retired_at: row.get(11),
        compromised: row.get(12),
    };
    Ok(rows.iter().map(key).collect())
}

/// Publishes a key. Returns when it begins to sign.
///
/// # Errors
/// The database fails.
pub async fn insert(
    client: &impl GenericClient,
    key: &NewKey<'_>,
) -> Result<Timestamp, StoreError> {
    let sql = "
        insert into ah5.t_signing_keys (kid, kind, alg, public_jwk, sealed_private, mac, reason,
            signs_from, token_seconds)
        values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + make_interval(secs => $8), $9)
        returning signs_from";
    let row = client
        .query_one(
            sql,
            &[
                &key.kid,
                &key.kind,
                &key.alg,
                &key.public_jwk,
                &key.sealed_private,
                &key.mac,
                &key.reason,
                &key.signs_in.as_secs_f64(),
                &key.token_seconds,
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// Notes that tokens of this key may live as long.
///
/// # Errors
/// The database fails.
pub async fn raise_life(
    client: &impl GenericClient,
    kid: &str,
    token_seconds: i32,
) -> Result<(), StoreError> {
    let sql = "update ah5.t_signing_keys set token_seconds = $2
               where kid = $1 and token_seconds < $2 and replaced_at is null";
    client.execute(sql, &[&kid, &token_seconds]).await?;
    Ok(())
}

/// Another key signs now: the private half is deleted, and the public one verifies until the last
/// token has expired and `leeway` has passed.
///
/// # Errors
/// The database fails.
pub async fn replace(
    client: &impl GenericClient,
    kid: &str,
    leeway: Duration,
) -> Result<(), StoreError> {
    let sql = "
        update ah5.t_signing_keys
        set sealed_private = null, replaced_at = clock_timestamp(),
            verifies_until = clock_timestamp() + make_interval(secs => token_seconds + $2::float8)
        where kid = $1 and replaced_at is null";
    client.execute(sql, &[&kid, &leeway.as_secs_f64()]).await?;
    Ok(())
}

/// The key verifies nothing any more.
///
/// # Errors
/// The database fails.
pub async fn retire(
    client: &impl GenericClient,
    kid: &str,
    compromised: bool,
) -> Result<(), StoreError> {
    let sql = "
        update ah5.t_signing_keys
        set sealed_private = null, mac = '', compromised = $2, retired_at = clock_timestamp(),
            replaced_at = coalesce(replaced_at, clock_timestamp())
        where kid = $1 and retired_at is null";
    client.execute(sql, &[&kid, &compromised]).await?;
    Ok(())
}

const ALL: &str = "
    select kid, kind, alg, public_jwk, sealed_private, mac, token_seconds,
           extract(epoch from signs_from - clock_timestamp())::float8 as signs_in,
           coalesce(verifies_until <= clock_timestamp(), false) as is_over,
           pg_is_in_recovery() as standby
    from ah5.t_signing_keys where retired_at is null order by signs_from desc, kid";

fn read(row: &Row) -> StoredKey {
    let signs_in: f64 = row.get("signs_in");
    // What is negative, or no number at all, is no wait.
    let span = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    StoredKey {
        kid: row.get("kid"),
        kind: row.get("kind"),
        alg: row.get("alg"),
        public_jwk: row.get("public_jwk"),
        sealed_private: row.get("sealed_private"),
        mac: row.get("mac"),
        signs_in: span(signs_in),
        signed_for: span(-signs_in),
        token_seconds: row.get("token_seconds"),
        is_over: row.get("is_over"),
    }
}
