//! Ways out of the product for what people are told. There are none yet.

use ah5_store::StoreError;
use ah5_store::tenant::Tenant;
use uuid::Uuid;

use crate::notices::Notice;

/// Hands a notification on to the workspace's channels, in the transaction of what it tells of.
#[allow(clippy::unused_async, reason = "a channel's outbox is in the database")]
pub async fn enqueue(
    _tenant: &Tenant<'_>,
    _notification: Uuid,
    _notice: &Notice,
) -> Result<(), StoreError> {
    // There is no channel to hand it to.
    Ok(())
}
