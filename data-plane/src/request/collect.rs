//! Takes a whole answer into memory, for those who can't pass it on piece by piece.

use std::time::Duration;

use ah5_net::client::BodyError;
use ah5_policy::response::{OnUnfilterable, ResponseFilter, Unfilterable};
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::Refusal;
use super::dues::{no_longer, too_old};
use super::relay::{Relay, RelayError};

/// # Errors
/// 502 or 504 when the answer breaks off, is too large, or holds the credential; 503 when there is
/// no memory for it.
pub async fn collect(relay: &mut Relay) -> Result<Bytes, Refusal> {
    let late = |_| Refusal::gateway_timeout("Provider request timed out");
    timeout(DEADLINE, whole(relay)).await.map_err(late)?
}

async fn whole(relay: &mut Relay) -> Result<Bytes, Refusal> {
    let expected = relay.size_hint().lower();
    if expected > relay.max() {
        return Err(broken(relay, RelayError::TooLarge));
    }
    relay.reserve(usize::try_from(expected).unwrap_or(usize::MAX))?;
    let mut reserved = expected;
    let mut whole = BytesMut::new();
    while let Some(frame) = relay.frame().await {
        let piece = frame.map_err(|error| broken(relay, error))?;
        let Ok(piece) = piece.into_data() else {
            continue;
        };
        if whole.is_empty() && relay.is_end_stream() {
            return Ok(piece);
        }
        let length = (whole.len() + piece.len()) as u64;
        if length > reserved {
            relay.reserve(usize::try_from(length - reserved).unwrap_or(usize::MAX))?;
            reserved = length;
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// Waits for the first of what is passed on, so that an answer which can't be filtered is refused in
/// words and not broken off. Not for long: who waits for a stream is to know that it has begun.
///
/// # Errors
/// As [`collect`]; 403 for an answer that rules can't filter from its beginning.
pub async fn begin(relay: &mut Relay) -> Result<(), Refusal> {
    match timeout(HEAD_WAITS, relay.begin()).await {
        Ok(begun) => begun.map_err(|error| broken(relay, error)),
        Err(_) => Ok(()),
    }
}

fn broken(relay: &Relay, error: RelayError) -> Refusal {
    match error {
        RelayError::TooLarge => {
            let max = relay.max();
            Refusal::bad_gateway(format!("Provider response exceeds limit of {max} bytes"))
                .hint("Ask for less, or use /v1/proxy under a policy with a larger limit.")
        }
        RelayError::Overload => {
            Refusal::unavailable(super::Kind::Overload, "Too many requests are in progress")
        }
        RelayError::Unfilterable(why) => unfilterable(why),
        RelayError::Cut => no_longer(),
        RelayError::TooOld => too_old(),
        RelayError::Echoed => Refusal::bad_gateway("The provider's answer holds the credential"),
        RelayError::Provider(BodyError::Idle) => {
            Refusal::gateway_timeout("Provider request timed out")
        }
        RelayError::Provider(_) => Refusal::bad_gateway("Provider request failed"),
    }
}

/// The answer without what rules take out of it.
///
/// # Errors
/// 403 when they can't be applied and don't say that it may pass all the same.
pub fn filtered(
    filter: &ResponseFilter,
    content_type: Option<&str>,
    bytes: Bytes,
) -> Result<Bytes, Refusal> {
    match filter.body(content_type, &bytes) {
        Ok(None) => Ok(bytes),
        Ok(Some(filtered)) => Ok(Bytes::from(filtered)),
        Err(why) if filter.action(why) == OnUnfilterable::Pass => Ok(bytes),
        Err(why) => Err(unfilterable(why)),
    }
}

fn unfilterable(why: Unfilterable) -> Refusal {
    Refusal::forbidden(
        format!("The provider's answer cannot be filtered as the policy asks: {why}"),
        Some("The call was made; its answer stays here.".to_owned()),
    )
}

/// From the answer's head to its end, however steadily it drips.
const DEADLINE: Duration = Duration::from_secs(120);
const HEAD_WAITS: Duration = Duration::from_secs(5);
