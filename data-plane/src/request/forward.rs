//! Sends the request to its provider and waits for the head of the answer.

use std::sync::Arc;

use ah5_net::client::Failure;
use ah5_net::{ResponseBody, SendError};
use ah5_providers::scrub::Scrubber;
use http::Response;

use super::dues::{check, check_sent, no_longer};
use super::meter::Sent;
use super::unseal::{Exchange, Unsealed};
use super::{Call, Refusal, follow, renewal};
use crate::approvals::Redemption;
use crate::plane::Plane;

/// A provider's answer, its body still under way.
pub struct Provider {
    pub response: Response<ResponseBody>,
    pub scrubber: Scrubber,
    pub exchange: Exchange,
}

/// # Errors
/// As [`Dues::pay`](super::dues::Dues::pay); also 403 for a target that no call may go to, 413, 502 or 504
/// when the provider gave no answer, and 403 when the call stopped being allowed while it was made: its
/// answer then stays here.
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
        dues,
        account,
    } = unsealed;
    let paid = dues.pay(plane, call, &exchange, redemption.as_ref());
    let paid = paid.await?;
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
                paid.not_sent(call).await;
            }
            return Err(refused(&error, &exchange.sent));
        }
    };
    exchange.reserved = paid.answered();
    call.answered(response.status().as_u16(), exchange.sent.bytes());
    check_sent(plane, &exchange)?;
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
        () = std::future::poll_fn(|cx| watch.poll_cut(cx)) => {
            Err(check_sent(plane, exchange).err().unwrap_or_else(no_longer))
        }
    }
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
