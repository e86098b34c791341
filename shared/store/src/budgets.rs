//! What language models may use of policies' budgets, as a data plane takes it: by functions only.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use uuid::Uuid;

use ah5_contracts::id::{PolicyId, WorkspaceId};

use crate::StoreError;

/// What a call may take at most of one budget.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    pub policy: PolicyId,
    /// As it is stored: `tokens_hour` and so on.
    pub budget: &'static str,
    pub limit: i64,
    pub amount: i64,
}

#[derive(Clone, Copy, Debug)]
pub enum Reserved {
    /// All of it. [`settle`] must be told the time.
    At(Timestamp),
    /// This share has not enough left.
    Exhausted {
        share: usize,
        /// Until its oldest span counts no more.
        seconds: i32,
    },
}

/// # Errors
/// The database fails, or one of the policies is gone.
pub async fn reserve(
    client: &impl GenericClient,
    workspace: WorkspaceId,
    shares: &[Share],
) -> Result<Reserved, StoreError> {
    let limits: Vec<i64> = shares.iter().map(|share| share.limit).collect();
    let sql = "select at, seconds, taken from ah5.reserve_budgets($1, $2, $3, $4, $5)";
    let row = client
        .query_one(
            sql,
            &[
                &workspace.uuid(),
                &policies(shares),
                &budgets(shares),
                &limits,
                &amounts(shares),
            ],
        )
        .await?;
    let at: i32 = row.get(0);
    Ok(match usize::try_from(at - 1) {
        Err(_) => Reserved::At(row.get(2)),
        Ok(share) => Reserved::Exhausted {
            share,
            seconds: row.get(1),
        },
    })
}

/// Puts what was `spent` of each share in place of what was reserved.
///
/// # Errors
/// The database fails. It may have done it all the same: once is the most that it may be asked.
pub async fn settle(
    client: &impl GenericClient,
    taken: Timestamp,
    shares: &[Share],
    spent: &[i64],
) -> Result<(), StoreError> {
    let sql = "select ah5.settle_budgets($1, $2, $3, $4, $5)";
    client
        .execute(
            sql,
            &[
                &policies(shares),
                &budgets(shares),
                &taken,
                &amounts(shares),
                &spent,
            ],
        )
        .await?;
    Ok(())
}

fn policies(shares: &[Share]) -> Vec<Uuid> {
    shares.iter().map(|share| share.policy.uuid()).collect()
}

fn budgets(shares: &[Share]) -> Vec<&'static str> {
    shares.iter().map(|share| share.budget).collect()
}

fn amounts(shares: &[Share]) -> Vec<i64> {
    shares.iter().map(|share| share.amount).collect()
}
