//! What people are told. Called in the transaction of the change that it tells of.

use serde_json::Value;
use uuid::Uuid;

use ah5_contracts::id::UserId;
use ah5_store::StoreError;
use ah5_store::tenant::Tenant;

use crate::channels;

pub struct Notice {
    pub kind: &'static str,
    pub title: String,
    pub body: String,
    /// A path of ours.
    pub link: Option<String>,
    pub metadata: Value,
    pub to: To,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    Everyone,
    #[expect(dead_code, reason = "nobody is told alone yet")]
    One(UserId),
}

/// # Errors
/// The database fails.
pub async fn notify(tenant: &Tenant<'_>, notice: &Notice) -> Result<(), StoreError> {
    channels::enqueue(tenant, Uuid::now_v7(), notice).await
}
