//! Pays what the call takes of its policies' hours: the last thing before an approval is taken, so that
//! nothing is used up by a call that is not made.

use super::{Kind, Refusal};
use crate::plane::Plane;
use crate::quotas::{Exhausted, Taken, Toll};

/// # Errors
/// 429 when one of the hours is used up, 503 while the database does not answer.
pub async fn pay(plane: &Plane, toll: &Toll) -> Result<Taken, Refusal> {
    match plane.quotas.take(toll).await {
        Ok(Ok(taken)) => Ok(taken),
        Ok(Err(exhausted)) => Err(refused(exhausted)),
        Err(error) => {
            tracing::warn!(%error, "calls cannot be counted");
            let text = "Calls per hour cannot be counted at the moment";
            Err(Refusal::unavailable(Kind::Stale, text))
        }
    }
}

fn refused(exhausted: Exhausted) -> Refusal {
    let Exhausted { hour, seconds } = exhausted;
    let error = format!("Rate limit exceeded: {hour} requests per hour");
    Refusal::limited(error, seconds).hint(format!(
        "Rate limited at {hour} requests/hour. Retry after {seconds} seconds."
    ))
}
