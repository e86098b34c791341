//! The way to the approvals in the database: asked for, looked up and claimed by calls, each within
//! a limit of time. What has to be said after a call is said in the background, again and again.

use std::sync::Arc;
use std::time::Duration;

use ah5_contracts::id::{AgentId, ApprovalId, BootId, ClaimId, PolicyId, WorkspaceId};
use ah5_store::StoreError;
use ah5_store::database::Database;
use ah5_store::redemption::{self, Asked, Ended, Granted, Question, Word};
use deadpool_postgres::Pool;
use tokio::time::{sleep, timeout};

#[derive(Clone)]
pub struct Approvals {
    pool: Pool,
    boot: BootId,
}

/// One redemption: who claims what.
#[derive(Clone, Copy, Debug)]
pub struct Redemption {
    pub workspace: WorkspaceId,
    pub approval: ApprovalId,
    pub agent: AgentId,
    /// Of the request that was shown.
    pub digest: [u8; 32],
    pub claim: ClaimId,
}

/// An approval that is claimed by us. It is given back if it goes away unsent, and if it goes away
/// after that nobody knows what became of the call.
pub struct Held {
    approvals: Arc<Approvals>,
    claim: ClaimId,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Over,
    Sent,
    Unsent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Finish(Ended),
    Release,
}

// === impl Approvals ===

impl Approvals {
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self {
            pool: database.pool(CONNECTIONS),
            boot: BootId::random(),
        }
    }

    /// `None` where the agent has too many pending.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn ask(&self, question: &Question<'_>) -> Result<Option<Asked>, StoreError> {
        within(async { redemption::ask(&self.pool.get().await?, question).await }).await
    }

    /// # Errors
    /// The database does not answer.
    pub async fn find(
        &self,
        workspace: WorkspaceId,
        id: ApprovalId,
        agent: AgentId,
    ) -> Result<Option<Granted>, StoreError> {
        within(async { redemption::find(&self.pool.get().await?, workspace, id, agent).await })
            .await
    }

    /// What people have said of one of a policy's limits as it is, if that holds now.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn find_word(
        &self,
        workspace: WorkspaceId,
        policy: PolicyId,
        limit: (&str, i64),
    ) -> Result<Option<Word>, StoreError> {
        within(async {
            redemption::find_word(&self.pool.get().await?, workspace, policy, limit).await
        })
        .await
    }

    /// Takes the approval for one sending; `None` if it is not to be had any more. An answer that
    /// got lost is asked for again; what can't be known is not ours.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn claim(
        self: &Arc<Self>,
        redeemed: &Redemption,
    ) -> Result<Option<Held>, StoreError> {
        let mut held = Held {
            approvals: Arc::clone(self),
            claim: redeemed.claim,
            state: State::Unsent,
        };
        let is_ours = match within(self.try_claim(redeemed)).await {
            Ok(is_ours) => is_ours,
            Err(error) => {
                tracing::warn!(%error, "no answer to a claim");
                within(self.holds(redeemed.claim))
                    .await
                    .ok()
                    .filter(|is_ours| *is_ours)
                    .ok_or(error)?
            }
        };
        if !is_ours {
            held.state = State::Over;
            return Ok(None);
        }
        Ok(Some(held))
    }

    async fn try_claim(&self, redeemed: &Redemption) -> Result<bool, StoreError> {
        let Redemption {
            workspace,
            approval,
            agent: _,
            digest,
            claim,
        } = redeemed;
        let client = self.pool.get().await?;
        redemption::claim(&client, *workspace, *approval, digest, *claim, self.boot).await
    }

    async fn holds(&self, claim: ClaimId) -> Result<bool, StoreError> {
        redemption::holds(&self.pool.get().await?, claim).await
    }

    async fn say(&self, claim: ClaimId, last: Last) -> Result<bool, StoreError> {
        let client = self.pool.get().await?;
        match last {
            Last::Finish(ended) => redemption::finish(&client, claim, ended).await,
            Last::Release => redemption::release(&client, claim).await,
        }
    }

    /// Until it is heard. What never is becomes an unknown outcome when its time is over.
    async fn say_until_heard(self: Arc<Self>, claim: ClaimId, last: Last) {
        for attempt in 0..ATTEMPTS {
            match within(self.say(claim, last)).await {
                Ok(true) => return,
                // A claim whose own answer got lost may yet come into being.
                Ok(false) if last == Last::Release => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%claim, %error, "an approval could not be settled"),
            }
            sleep(PAUSE * 2_u32.pow(attempt)).await;
        }
    }
}

// === impl Held ===

impl Held {
    /// From here on it can't be given back, unless it turns out that nothing was sent.
    pub const fn sending(&mut self) {
        self.state = State::Sent;
    }

    /// No byte of the request has left. The approval is good again.
    pub async fn release(mut self) {
        self.state = State::Unsent;
        let said = within(self.approvals.say(self.claim, Last::Release)).await;
        if said.is_ok() {
            self.state = State::Over;
        }
    }

    /// The provider has answered.
    pub fn executed(mut self) {
        self.settle(Last::Finish(Ended::Consumed));
    }

    fn settle(&mut self, last: Last) {
        self.state = State::Over;
        tokio::spawn(Arc::clone(&self.approvals).say_until_heard(self.claim, last));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        match self.state {
            State::Over => {}
            State::Sent => self.settle(Last::Finish(Ended::Unknown)),
            State::Unsent => self.settle(Last::Release),
        }
    }
}

async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = |_| StoreError::Unavailable("it took too long".to_owned());
    timeout(DEADLINE, work).await.map_err(late)?
}

const ATTEMPTS: u32 = 6;
const CONNECTIONS: usize = 4;
const DEADLINE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(250);
