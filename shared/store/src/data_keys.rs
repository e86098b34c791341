//! `t_workspace_keys`: each workspace's data key, wrapped by the ring, and the one before it for as
//! long as something may still be sealed under that.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use uuid::Uuid;

use ah5_contracts::id::WorkspaceId;
use ah5_security::ring::Wrapped;

use crate::StoreError;
use crate::tenant::Tenant;

pub struct DataKeys {
    pub current: Wrapped,
    pub previous: Option<Wrapped>,
}

/// None once the workspace is shredded. What is sealed with it in this transaction is found by a
/// change of keys: that waits for the transaction's end.
///
/// # Errors
/// The database fails.
pub async fn get(tenant: &Tenant<'_>) -> Result<Option<DataKeys>, StoreError> {
    let sql = format!("{SELECT} for share");
    let row = tenant
        .query_opt(&sql, &[&tenant.workspace().uuid()])
        .await?;
    Ok(row.as_ref().map(read))
}

/// To open with, or to seal what is in the database before long: a change of keys waits for nobody who
/// has only looked, and sweeps once more after its grace.
///
/// # Errors
/// The database fails.
pub async fn look(tenant: &Tenant<'_>) -> Result<Option<DataKeys>, StoreError> {
    let id = tenant.workspace().uuid();
    let row = tenant.query_opt(SELECT, &[&id]).await?;
    Ok(row.as_ref().map(read))
}

/// Keeps everybody else from the keys until the transaction ends.
///
/// # Errors
/// The database fails.
pub async fn lock(tenant: &Tenant<'_>) -> Result<Option<DataKeys>, StoreError> {
    let sql = format!("{SELECT} for update");
    let row = tenant
        .query_opt(&sql, &[&tenant.workspace().uuid()])
        .await?;
    Ok(row.as_ref().map(read))
}

/// As one of the snapshot's reads.
pub(crate) async fn read_at(
    client: &impl tokio_postgres::GenericClient,
    workspace: Uuid,
) -> Result<Option<DataKeys>, StoreError> {
    let row = client.query_opt(SELECT, &[&workspace]).await?;
    Ok(row.as_ref().map(read))
}

/// The same keys, wrapped anew.
///
/// # Errors
/// The database fails.
pub async fn rewrap(tenant: &Tenant<'_>, keys: &DataKeys) -> Result<(), StoreError> {
    let sql = "update ah5.t_workspace_keys
               set ring_key_id = $2, wrapped = $3, previous_ring_key_id = $4, previous_wrapped = $5
               where workspace_id = $1";
    let (id, previous) = (tenant.workspace().uuid(), keys.previous.as_ref());
    let current = &keys.current;
    let before = previous.map(|key| &key.ring_key_id);
    let wrapped = previous.map(|key| &key.bytes);
    tenant
        .execute(
            sql,
            &[&id, &current.ring_key_id, &current.bytes, &before, &wrapped],
        )
        .await?;
    Ok(())
}

/// Another key seals from now on. What is under the one of today still opens.
///
/// # Errors
/// The database fails.
pub async fn succeed(tenant: &Tenant<'_>, new: &Wrapped) -> Result<(), StoreError> {
    let sql = "update ah5.t_workspace_keys
               set previous_ring_key_id = ring_key_id, previous_wrapped = wrapped,
                   ring_key_id = $2, wrapped = $3, rotated_at = clock_timestamp()
               where workspace_id = $1 and previous_wrapped is null";
    let id = tenant.workspace().uuid();
    tenant
        .execute(sql, &[&id, &new.ring_key_id, &new.bytes])
        .await?;
    Ok(())
}

/// How long the key has been the one that seals; None if no other one opens beside it.
///
/// # Errors
/// The database fails.
pub async fn succeeded_for(tenant: &Tenant<'_>) -> Result<Option<Duration>, StoreError> {
    let sql = "select extract(epoch from clock_timestamp() - rotated_at)::float8
               from ah5.t_workspace_keys where workspace_id = $1 and previous_wrapped is not null";
    let row = tenant.query_opt(sql, &[&tenant.workspace().uuid()]).await?;
    let seconds = row.map(|row| row.get::<_, Option<f64>>(0).unwrap_or_default());
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}

/// Nothing is under the key before any more: it is gone.
///
/// # Errors
/// The database fails.
pub async fn forget_previous(tenant: &Tenant<'_>) -> Result<(), StoreError> {
    let sql = "update ah5.t_workspace_keys
               set previous_ring_key_id = null, previous_wrapped = null where workspace_id = $1";
    tenant.execute(sql, &[&tenant.workspace().uuid()]).await?;
    Ok(())
}

/// Shreds whatever is sealed under the workspace's keys.
///
/// # Errors
/// The database fails.
pub async fn delete(tenant: &Tenant<'_>) -> Result<bool, StoreError> {
    let sql = "delete from ah5.t_workspace_keys where workspace_id = $1";
    let gone = tenant.execute(sql, &[&tenant.workspace().uuid()]).await?;
    Ok(gone > 0)
}

/// Workspaces with a key that another key of the ring has wrapped than this one, some at a time, in
/// the order of their ids.
///
/// # Errors
/// The database fails.
pub async fn to_rewrap(
    client: &impl GenericClient,
    current: &str,
    after: WorkspaceId,
    most: i32,
) -> Result<Vec<WorkspaceId>, StoreError> {
    let sql = "select ah5.workspaces_to_rewrap($1, $2, $3)";
    let rows = client.query(sql, &[&current, &after.uuid(), &most]).await?;
    let id = |row: &Row| WorkspaceId::from_uuid(row.get(0));
    Ok(rows.iter().map(id).collect())
}

const SELECT: &str = "select ring_key_id, wrapped, previous_ring_key_id, previous_wrapped
                      from ah5.t_workspace_keys where workspace_id = $1";

fn read(row: &Row) -> DataKeys {
    let previous: (Option<String>, Option<Vec<u8>>) = (row.get(2), row.get(3));
    DataKeys {
        current: Wrapped {
            ring_key_id: row.get(0),
            bytes: row.get(1),
        },
        previous: match previous {
            (Some(ring_key_id), Some(bytes)) => Some(Wrapped { ring_key_id, bytes }),
            _ => None,
        },
    }
}
