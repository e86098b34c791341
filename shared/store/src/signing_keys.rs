//! `t_signing_keys`: the key pairs that sign tokens, private halves sealed by the ring.

use deadpool_postgres::GenericClient;
use serde_json::Value;

use crate::StoreError;

pub struct StoredKey {
    pub kid: String,
    pub kind: String,
    pub alg: String,
    pub public_jwk: Value,
    pub sealed_private: Vec<u8>,
    pub mac: Vec<u8>,
}

/// Every key in force, newest first. Takes a lock first that keeps two control planes from both
/// finding none; it lasts until the transaction ends.
///
/// # Errors
/// The database fails.
pub async fn lock_all(
    tx: &deadpool_postgres::Transaction<'_>,
) -> Result<Vec<StoredKey>, StoreError> {
    tx.execute(
        "select pg_advisory_xact_lock(hashtext('ah5.t_signing_keys'))",
        &[],
    )
    .await?;
    all(tx).await
}

/// # Errors
/// The database fails.
pub async fn all(client: &impl GenericClient) -> Result<Vec<StoredKey>, StoreError> {
    let sql = "select kid, kind, alg, public_jwk, sealed_private, mac from ah5.t_signing_keys
               where retired_at is null order by created_at desc, kid";
    let rows = client.query(sql, &[]).await?;
    let key = |row: tokio_postgres::Row| StoredKey {
        kid: row.get(0),
        kind: row.get(1),
        alg: row.get(2),
        public_jwk: row.get(3),
        sealed_private: row.get(4),
        mac: row.get(5),
    };
    Ok(rows.into_iter().map(key).collect())
}

/// # Errors
/// The database fails.
pub async fn insert(client: &impl GenericClient, key: &StoredKey) -> Result<(), StoreError> {
    let sql = "insert into ah5.t_signing_keys (kid, kind, alg, public_jwk, sealed_private, mac)
               values ($1, $2, $3, $4, $5, $6)";
    client
        .execute(
            sql,
            &[
                &key.kid,
                &key.kind,
                &key.alg,
                &key.public_jwk,
                &key.sealed_private,
                &key.mac,
            ],
        )
        .await?;
    Ok(())
}
