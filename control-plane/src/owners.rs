//! Tells the owners of a workspace of what concerns its safety. For now they read it in the trail.

use ah5_contracts::id::UserId;
use ah5_store::tenant::Tenant;
use ah5_store::{StoreError, members};

use crate::app::{App, Record};

/// In the transaction of the change that it tells of.
pub async fn tell_owners(app: &App, tenant: &Tenant<'_>, record: Record) -> Result<(), StoreError> {
    app.record(tenant, record).await.map(drop)
}

/// Tells the owners of every workspace that the person belongs to. Ends inside one of them.
pub async fn tell_owners_of<'a>(
    app: &App,
    mut tenant: Tenant<'a>,
    user: UserId,
    record: Record,
) -> Result<Tenant<'a>, StoreError> {
    let mut memberships = members::of_user(&*tenant, user).await?;
    // Always in the same order: each row waits for its trail's head, and two may cross.
    memberships.sort_unstable_by_key(|membership| membership.workspace);
    for membership in memberships {
        tenant = tenant.enter(membership.workspace).await?;
        tell_owners(app, &tenant, record.clone()).await?;
    }
    Ok(tenant)
}
