//! Units of policies' hours, as a data plane takes them: by functions only.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use uuid::Uuid;

use ah5_contracts::id::{PolicyId, WorkspaceId};

use crate::StoreError;

/// What is to be taken, from all of the policies or from none.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub workspace: WorkspaceId,
    /// Each with what its hour holds.
    pub policies: &'a [(PolicyId, i64)],
    /// Units of this call.
    pub least: i32,
    /// Units to have in hand, if there are plenty.
    pub most: i32,
}

#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// None where an hour is used up.
    pub granted: Option<Granted>,
    /// The policy whose hour has the least left.
    pub policy: usize,
    /// What it has left after this.
    pub rest: i64,
    /// Until its oldest minute counts no more.
    pub seconds: i32,
}

#[derive(Clone, Copy, Debug)]
pub struct Granted {
    pub units: i32,
    /// What [`give_back`] must be told.
    pub minute: Timestamp,
}

/// # Errors
/// The database fails, or one of the policies is gone.
pub async fn lease(client: &impl GenericClient, wanted: Wanted<'_>) -> Result<Lease, StoreError> {
    let (policies, hours): (Vec<Uuid>, Vec<i64>) = wanted
        .policies
        .iter()
        .map(|(policy, hour)| (policy.uuid(), *hour))
        .unzip();
    let sql = "select granted, minute, at, seconds, rest from ah5.lease_quota($1, $2, $3, $4, $5)";
    let workspace = wanted.workspace.uuid();
    let row = client
        .query_one(
            sql,
            &[&workspace, &policies, &hours, &wanted.least, &wanted.most],
        )
        .await?;
    let (units, at): (i32, i32) = (row.get(0), row.get(2));
    let minute = row.get(1);
    Ok(Lease {
        granted: (units > 0).then_some(Granted { units, minute }),
        policy: usize::try_from(at - 1).unwrap_or_default(),
        rest: row.get(4),
        seconds: row.get(3),
    })
}

/// # Errors
/// The database fails.
pub async fn give_back(
    client: &impl GenericClient,
    policies: &[PolicyId],
    minute: Timestamp,
    units: i32,
) -> Result<(), StoreError> {
    let policies: Vec<Uuid> = policies.iter().map(|policy| policy.uuid()).collect();
    let sql = "select ah5.return_quota($1, $2, $3)";
    client.execute(sql, &[&policies, &minute, &units]).await?;
    Ok(())
}

/// Drops minutes that count no more.
///
/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<(), StoreError> {
    client.execute("select ah5.prune_quotas()", &[]).await?;
    Ok(())
}
