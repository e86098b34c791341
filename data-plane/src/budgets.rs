//! What language models may use of policies' budgets, counted over all replicas: the most that a call
//! may take is reserved before it is sent, and what its answer says it took is put in that place. An
//! answer that never says leaves the reservation as it is.

use std::sync::Arc;
use std::time::Duration;

use ah5_contracts::id::{PolicyId, WorkspaceId};
use ah5_policy::budgets::Cap;
use ah5_store::StoreError;
use ah5_store::budgets::{self, Share};
use deadpool_postgres::Pool;
use jiff::Timestamp;
use tokio::time::timeout;

use crate::request::llm::measure::Measure;
use crate::request::llm::usage::Usage;

pub struct Budgets {
    pool: Pool,
}

/// What one call asks of its policies' budgets.
#[derive(Clone, Debug)]
pub struct Claims {
    workspace: WorkspaceId,
    shares: Vec<Share>,
    caps: Vec<Cap>,
    measure: Measure,
}

/// Why a call can't be put under a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It may take more than the whole of it.
    TooLarge {
        cap: Cap,
        needs: u64,
    },
    UnknownPrice,
}

/// One policy's budget has too little left.
#[derive(Clone, Copy, Debug)]
pub struct Exhausted {
    pub policy: PolicyId,
    pub cap: Cap,
    pub seconds: u32,
}

/// What was reserved for a call. Given back if it goes away unsent.
pub struct Reserved {
    budgets: Arc<Budgets>,
    claims: Claims,
    at: Timestamp,
    sent: bool,
}

// === impl Claims ===

impl Claims {
    /// # Errors
    /// No budget could ever hold it.
    pub fn new(
        workspace: WorkspaceId,
        caps: impl IntoIterator<Item = (PolicyId, Cap)>,
        measure: Measure,
    ) -> Result<Self, Unfit> {
        let mut claims = Self {
            workspace,
            shares: Vec::new(),
            caps: Vec::new(),
            measure,
        };
        for (policy, cap) in caps {
            let needs = measure.most(cap).ok_or(Unfit::UnknownPrice)?;
            if needs > cap.limit {
                return Err(Unfit::TooLarge { cap, needs });
            }
            claims.shares.push(Share {
                policy,
                budget: cap.kind.as_str(),
                limit: cap.limit.cast_signed(),
                amount: needs.cast_signed(),
            });
            claims.caps.push(cap);
        }
        Ok(claims)
    }

    /// As if this budget of this policy were twice as large.
    pub fn lift(&mut self, policy: PolicyId, budget: &str) {
        let shares = self.shares.iter_mut();
        for share in shares.filter(|share| share.policy == policy && share.budget == budget) {
            share.limit = share.limit.saturating_mul(2);
        }
    }

    fn spent(&self, usage: &Usage) -> Option<Vec<i64>> {
        let spent = self
            .caps
            .iter()
            .map(|cap| self.measure.spent(*cap, usage).map(bounded));
        spent.collect()
    }
}

// === impl Budgets ===

impl Budgets {
    #[must_use]
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// # Errors
    /// The database does not answer.
    pub async fn reserve(
        self: &Arc<Self>,
        claims: &Claims,
    ) -> Result<Result<Reserved, Exhausted>, StoreError> {
        let (budgets, claims) = (Arc::clone(self), claims.clone());
        // Goes on without an agent that goes away: or nobody would give back what it had reserved.
        let reserving = tokio::spawn(async move {
            let client = budgets.pool.get().await?;
            let reserved = budgets::reserve(&client, claims.workspace, &claims.shares).await?;
            drop(client);
            budgets.reserved(claims, reserved)
        });
        let late = |_| StoreError::Unavailable("it took too long".to_owned());
        let ended = |_| StoreError::Bug("a reservation ended".to_owned());
        timeout(DEADLINE, reserving)
            .await
            .map_err(late)?
            .map_err(ended)?
    }

    fn reserved(
        self: Arc<Self>,
        claims: Claims,
        reserved: budgets::Reserved,
    ) -> Result<Result<Reserved, Exhausted>, StoreError> {
        match reserved {
            budgets::Reserved::At(at) => Ok(Ok(Reserved {
                budgets: self,
                claims,
                at,
                sent: false,
            })),
            budgets::Reserved::Exhausted { share, seconds } => {
                let unknown = || StoreError::Bug("a budget that nobody asked for".to_owned());
                let cap = claims.caps.get(share).copied().ok_or_else(unknown)?;
                let policy = claims.shares.get(share).ok_or_else(unknown)?.policy;
                Ok(Err(Exhausted {
                    policy,
                    cap,
                    seconds: seconds.unsigned_abs(),
                }))
            }
        }
    }

    /// Asked once only: an answer that got lost may have been a yes. What isn't settled stays reserved.
    async fn settle(&self, claims: &Claims, at: Timestamp, spent: &[i64]) {
        let settling = async {
            let client = self.pool.get().await?;
            budgets::settle(&client, at, &claims.shares, spent).await
        };
        match timeout(DEADLINE, settling).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a budget keeps what was reserved"),
            Err(_) => tracing::warn!("a budget keeps what was reserved: it took too long"),
        }
    }
}

// === impl Reserved ===

impl Reserved {
    /// From here on it counts.
    pub const fn sending(&mut self) {
        self.sent = true;
    }

    /// No byte of the request has left.
    pub const fn not_sent(&mut self) {
        self.sent = false;
    }

    /// The provider has refused the request: it used nothing.
    pub fn refused(mut self) {
        self.sent = false;
    }

    /// The answer is there, and says what it took.
    pub fn used(self, usage: &Usage) {
        if let Some(spent) = self.claims.spent(usage) {
            self.settle(spent);
        }
    }

    fn settle(&self, spent: Vec<i64>) {
        let (budgets, claims, at) = (self.budgets.clone(), self.claims.clone(), self.at);
        tokio::spawn(async move { budgets.settle(&claims, at, &spent).await });
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.sent {
            self.settle(vec![0; self.claims.shares.len()]);
        }
    }
}

/// A provider's word is no reason for a sum to overflow.
fn bounded(amount: u64) -> i64 {
    amount.min(MOST).cast_signed()
}

const DEADLINE: Duration = Duration::from_secs(5);
const MOST: u64 = 1 << 53;
