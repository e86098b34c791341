//! Pays what the call takes of its policies' hours: the last thing before an approval is taken, so that
//! nothing is used up by a call that is not made.

use super::{Call, Kind, Refusal};
use crate::plane::Plane;
use crate::quotas::{Exhausted, Quota, Taken, Toll};

/// # Errors
/// 429 when one of the hours is used up, 503 while the database does not answer.
pub async fn pay(plane: &Plane, call: &mut Call, toll: &Toll) -> Result<Taken, Refusal> {
    match plane.quotas.take(toll).await {
        Ok(Ok(taken)) => {
            call.quota = Some(taken.quota);
            Ok(taken)
        }
        Ok(Err(Exhausted(quota))) => {
            call.quota = Some(quota);
            Err(refused(quota))
        }
        Err(error) => {
            tracing::warn!(%error, "calls cannot be counted");
            let text = "Calls per hour cannot be counted at the moment";
            Err(Refusal::unavailable(Kind::Stale, text))
        }
    }
}

fn refused(quota: Quota) -> Refusal {
    let (hour, seconds) = (quota.hour, quota.seconds());
    let error = format!("Rate limit exceeded: {hour} requests per hour");
    Refusal::limited(error, seconds).hint(format!(
        "Rate limited at {hour} requests/hour. Retry after {seconds} seconds."
    ))
}
