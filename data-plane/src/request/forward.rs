//! Sends the request to its provider and waits for the head of the answer.

use ah5_net::client::Failure;
use ah5_net::{ResponseBody, SendError};
use ah5_providers::scrub::Scrubber;
use http::Response;

use super::meter::Sent;
use super::unseal::{Exchange, Unsealed};
use super::{Call, Refusal};
use crate::plane::Plane;

/// A provider's answer, its body still under way.
pub struct Provider {
    pub response: Response<ResponseBody>,
    pub scrubber: Scrubber,
    pub exchange: Exchange,
}

/// # Errors
/// 403 for a target that no call may go to, 413, 502 or 504 when the provider gave no answer; also
/// 403 when the call stopped being allowed while it was made: its answer then stays here.
pub async fn forward(
    plane: &Plane,
    call: &mut Call,
    unsealed: Unsealed,
) -> Result<Provider, Refusal> {
    let Unsealed {
        request,
        scrubber,
        exchange,
    } = unsealed;
    let response = plane.upstreams.send(exchange.key, request).await;
    call.mark();
    let response = match response {
        Ok(response) => response,
        Err(error) => return Err(refused(&error, &exchange.sent)),
    };
    if !exchange.claim.holds(&plane.published) {
        return Err(Refusal::forbidden(
            "The call stopped being allowed while it was made",
            None,
        ));
    }
    Ok(Provider {
        response,
        scrubber,
        exchange,
    })
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
