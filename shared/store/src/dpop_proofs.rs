//! `l_dpop_proofs`: proofs of possession that were used. Each may be used once.

use deadpool_postgres::GenericClient;

use crate::StoreError;

/// Marks the proof used; false if it was used before. `expires` is the last second at which it is
/// good, since 1970-01-01 UTC.
///
/// # Errors
/// The database fails; the caller must then refuse.
pub async fn spend(
    client: &impl GenericClient,
    id: &[u8; 32],
    expires: i64,
) -> Result<bool, StoreError> {
    let sql = "select ah5.spend_proof($1, $2)";
    let row = client.query_one(sql, &[&&id[..], &expires]).await?;
    Ok(row.get(0))
}
