//! Pays what the call takes of its policies' hours, before an approval is taken, so that nothing is used up
//! by a call that is not made.

use std::borrow::Cow;

use ah5_contracts::id::PolicyId;

use super::lift::{Lifting, Used};
use super::{Call, Kind, Refusal};
use crate::plane::Plane;
use crate::quotas::{Exhausted, Quota, Taken, Toll};

/// `lifting` for what people may let go beyond its hour.
///
/// # Errors
/// 429 when one of the hours is used up, or 202 where people are asked about it; 503 while the database
/// does not answer.
pub async fn pay(
    plane: &Plane,
    call: &mut Call,
    toll: &Toll,
    mut lifting: Option<Lifting<'_>>,
) -> Result<Taken, Refusal> {
    let mut toll = Cow::Borrowed(toll);
    loop {
        let Exhausted { policy, quota } = match plane.quotas.take(&toll).await {
            Ok(Ok(taken)) => {
                call.quota = Some(taken.quota);
                return Ok(taken);
            }
            Ok(Err(exhausted)) => exhausted,
            Err(error) => {
                tracing::warn!(%error, "calls cannot be counted");
                let text = "Calls per hour cannot be counted at the moment";
                return Err(Refusal::unavailable(Kind::Stale, text));
            }
        };
        call.quota = Some(quota);
        let Some(lifting) = &mut lifting else {
            return Err(refused(quota));
        };
        let used = used(policy, quota);
        lifting.lift(plane, call, &used, refused(quota)).await?;
        toll.to_mut().lift(policy);
    }
}

fn used(policy: PolicyId, quota: Quota) -> Used {
    let used = quota.hour.saturating_sub(quota.rest);
    Used {
        policy,
        limit: "requests_hour",
        most: quota.hour,
        used: Some(used),
        reason: format!("Rate limit exceeded ({used}/{} per hour)", quota.hour),
    }
}

fn refused(quota: Quota) -> Refusal {
    let (hour, seconds) = (quota.hour, quota.seconds());
    let error = format!("Rate limit exceeded: {hour} requests per hour");
    Refusal::limited(error, seconds).hint(format!(
        "Rate limited at {hour} requests/hour. Retry after {seconds} seconds."
    ))
}
