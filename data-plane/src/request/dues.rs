//! What a call takes before it is sent, in one order for every way of sending: nothing is used up for
//! a call that is not made, and the approval comes last. What was taken is given back where nothing left.

use super::approve::{lost, unavailable};
use super::lift::Lifting;
use super::unseal::Exchange;
use super::{Call, Kind, Refusal, budget, toll};
use crate::approvals::{Held, Redemption};
use crate::budgets::{Claims, Reserved};
use crate::plane::Plane;
use crate::quotas::{Taken, Toll};

/// What a call is to take of its policies' limits.
#[derive(Default)]
pub struct Dues {
    /// Of their hours.
    pub toll: Option<Toll>,
    /// Of their budgets.
    pub claims: Option<Claims>,
}

/// What it has taken. Gone without a word, the call counts, and nobody knows what became of it.
pub struct Paid {
    hours: Option<Taken>,
    budgets: Option<Reserved>,
    approval: Option<Held>,
}

// === impl Dues ===

impl Dues {
    /// The last step before a call is sent.
    ///
    /// # Errors
    /// 429 when the provider has asked for a pause, or an hour or a budget is used up (202 where people are
    /// asked about that); 403 when the call
    /// stopped being allowed; 409 or 410 when its approval is not to be had any more; 503 when it can't be
    /// counted, recorded or claimed.
    pub async fn pay(
        &self,
        plane: &Plane,
        call: &mut Call,
        exchange: &Exchange,
        redemption: Option<&Redemption>,
    ) -> Result<Paid, Refusal> {
        check_pause(plane, exchange)?;
        let hours = match &self.toll {
            Some(toll) => Some(toll::pay(plane, call, toll, Some(Lifting::of(exchange))).await?),
            None => None,
        };
        let budgets = match &self.claims {
            Some(claims) => {
                Some(budget::reserve(plane, call, claims, Lifting::of(exchange)).await?)
            }
            None => None,
        };
        call.intend(plane).await?;
        // The last look before anything leaves: all this may have taken its time.
        check(plane, exchange)?;
        let approval = match redemption {
            Some(redemption) => Some(claim(plane, redemption, exchange).await?),
            None => None,
        };
        let mut paid = Paid {
            hours,
            budgets,
            approval,
        };
        paid.sending();
        call.sending(&plane.recorder);
        Ok(paid)
    }
}

// === impl Paid ===

impl Paid {
    fn sending(&mut self) {
        if let Some(held) = &mut self.approval {
            held.sending();
        }
        if let Some(taken) = &mut self.hours {
            taken.sending();
        }
        if let Some(reserved) = &mut self.budgets {
            reserved.sending();
        }
    }

    /// No byte of the request has left.
    pub async fn not_sent(mut self, call: &mut Call) {
        call.not_sent();
        if let Some(taken) = &mut self.hours {
            taken.not_sent();
        }
        if let Some(reserved) = &mut self.budgets {
            reserved.not_sent();
        }
        self.not_done().await;
    }

    /// The provider was asked, and has done nothing of what was approved: it may be asked again.
    pub async fn not_done(self) {
        if let Some(held) = self.approval {
            held.release().await;
        }
    }

    /// The provider has answered. Budgets are settled once the answer says what it took.
    pub fn answered(self) -> Option<Reserved> {
        if let Some(held) = self.approval {
            held.executed();
        }
        self.budgets
    }
}

/// Before a call is sent.
///
/// # Errors
/// 403 when it stopped being allowed, 503 when this replica can't tell any more.
pub fn check(plane: &Plane, exchange: &Exchange) -> Result<(), Refusal> {
    if plane.allows(&exchange.claim) {
        Ok(())
    } else if plane.knows(exchange.key.workspace) {
        Err(no_longer())
    } else {
        let hint = "Nothing was sent. Try again in a moment; another replica may answer.";
        Err(Refusal::unavailable(Kind::Stale, TOO_OLD).hint(hint))
    }
}

/// After it was.
///
/// # Errors
/// As [`check`]; its answer stays here.
pub fn check_sent(plane: &Plane, exchange: &Exchange) -> Result<(), Refusal> {
    if plane.allows(&exchange.claim) {
        Ok(())
    } else if plane.knows(exchange.key.workspace) {
        Err(no_longer())
    } else {
        Err(too_old())
    }
}

pub fn no_longer() -> Refusal {
    Refusal::forbidden("The call stopped being allowed while it was made", None)
}

/// Of a call that was sent. Nobody is told to send it again.
pub fn too_old() -> Refusal {
    let refusal = Refusal::unavailable(Kind::Stale, TOO_OLD);
    Refusal {
        retry_after: None,
        ..refusal.hint("The call was sent; its answer stays here.")
    }
}

/// A provider that has asked to be left alone is.
fn check_pause(plane: &Plane, exchange: &Exchange) -> Result<(), Refusal> {
    match plane.pauses.left(exchange.key.connection) {
        None => Ok(()),
        Some(seconds) => Err(Refusal::paused(seconds)),
    }
}

/// Takes the approval, and looks once more: taking it took its time. Given back if the call is not
/// allowed any more.
async fn claim(
    plane: &Plane,
    redemption: &Redemption,
    exchange: &Exchange,
) -> Result<Held, Refusal> {
    let claimed = plane.approvals.claim(redemption).await;
    let Some(held) = claimed.map_err(unavailable)? else {
        return Err(lost(plane, redemption).await);
    };
    if let Err(refusal) = check(plane, exchange) {
        held.release().await;
        return Err(refusal);
    }
    Ok(held)
}

const TOO_OLD: &str = "This replica's knowledge of policies became too old while the call was made";
