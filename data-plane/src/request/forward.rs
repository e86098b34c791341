//! Sends the request to its provider and waits for the head of the answer.

use std::sync::Arc;

use ah5_net::client::Failure;
use ah5_net::{ResponseBody, SendError};
use ah5_providers::scrub::Scrubber;
use http::Response;

use super::approve::{lost, unavailable};
use super::meter::Sent;
use super::unseal::{Exchange, Unsealed};
use super::{Call, Refusal, budget, follow, renewal, toll};
use crate::approvals::{Held, Redemption};
use crate::plane::Plane;

/// A provider's answer, its body still under way.
pub struct Provider {
    pub response: Response<ResponseBody>,
    pub scrubber: Scrubber,
    pub exchange: Exchange,
}

/// # Errors
/// 403 for a target that no call may go to, 429 when a policy's hour or budget is used up or the
/// provider has asked for a pause, 413, 502 or 504 when the provider gave no answer, 503 when the call can't be recorded as
/// its policy demands; also 403 when the call stopped being allowed while it was made: its answer then
/// stays here.
pub async fn forward(
    plane: &Arc<Plane>,
    call: &mut Call,
    unsealed: Unsealed,
    redemption: Option<Redemption>,
) -> Result<Provider, Refusal> {
    let Unsealed {
        request,
        scrubber,
        mut exchange,
        toll,
        claims,
        account,
    } = unsealed;
    // Before anything is used up for a call that is not made.
    check_pause(plane, &exchange)?;
    let mut taken = match &toll {
        Some(toll) => Some(toll::pay(plane, call, toll).await?),
        None => None,
    };
    let mut reserved = match &claims {
        Some(claims) => Some(budget::reserve(plane, claims).await?),
        None => None,
    };
    call.intend(plane).await?;
    // The last look before anything leaves: all this may have taken its time.
    check(plane, &exchange)?;
    let mut held = match &redemption {
        Some(redemption) => Some(take(plane, redemption, &exchange).await?),
        None => None,
    };
    if let Some(held) = &mut held {
        held.sending();
    }
    if let Some(taken) = &mut taken {
        taken.sending();
    }
    if let Some(reserved) = &mut reserved {
        reserved.sending();
    }
    call.sending(&plane.recorder);
    let sending = plane.upstreams.send(exchange.key, request);
    let response = match exchange.uploads {
        false => sending.await,
        true => until_cut(plane, &exchange, sending).await?,
    };
    call.mark();
    let response = match response {
        Ok(response) => response,
        Err(error) => {
            if !error.sent {
                call.not_sent();
                if let Some(taken) = &mut taken {
                    taken.not_sent();
                }
                if let Some(reserved) = &mut reserved {
                    reserved.not_sent();
                }
                if let Some(held) = held {
                    held.release().await;
                }
            }
            return Err(refused(&error, &exchange.sent));
        }
    };
    exchange.reserved = reserved;
    call.answered(response.status().as_u16(), exchange.sent.bytes());
    if let Some(held) = held {
        held.executed();
    }
    check(plane, &exchange)?;
    let provider = Provider {
        response,
        scrubber,
        exchange,
    };
    let provider = renewal::after_refusal(plane, provider, account, redemption.is_some()).await?;
    let (connection, response) = (provider.exchange.key.connection, &provider.response);
    plane
        .pauses
        .learn(connection, response.status(), response.headers());
    follow::follow(plane, provider, redemption.is_some()).await
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
pub async fn take(
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

/// A request that the agent is still sending goes on only while the call is allowed.
pub async fn until_cut<T>(
    plane: &Plane,
    exchange: &Exchange,
    sending: impl Future<Output = T>,
) -> Result<T, Refusal> {
    let watch = plane.streams.register(exchange.claim.clone());
    check(plane, exchange)?;
    tokio::select! {
        done = sending => Ok(done),
        () = std::future::poll_fn(|cx| watch.poll_cut(cx)) => Err(no_longer()),
    }
}

pub fn check(plane: &Plane, exchange: &Exchange) -> Result<(), Refusal> {
    if plane.allows(&exchange.claim) {
        Ok(())
    } else {
        Err(no_longer())
    }
}

fn no_longer() -> Refusal {
    Refusal::forbidden("The call stopped being allowed while it was made", None)
}

fn refused(error: &SendError, sent: &Sent) -> Refusal {
    if let Err(too_large) = sent.check() {
        return too_large;
    }
    let kind = error.kind();
    tracing::info!(kind, sent = error.sent, "a provider gave no answer");
    match &error.failure {
        Failure::Blocked(why) | Failure::Resolve(why) => {
            Refusal::forbidden(why.clone(), None).record_as("the target may not be called")
        }
        Failure::Timeout => Refusal::gateway_timeout("Provider request timed out"),
        Failure::Invalid => Refusal::internal("the request has no absolute URI"),
        Failure::Connect | Failure::Reset | Failure::Tls | Failure::TooLarge => {
            Refusal::bad_gateway("Provider request failed")
        }
    }
}
