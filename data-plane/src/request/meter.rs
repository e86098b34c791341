//! Counts a request's body on its way through, and stops it at the policy's limit.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::Refusal;

/// How many bytes of the request's body went out.
pub enum Sent {
    Known(u64),
    Metered(Arc<Meter>),
}

pub struct Meter {
    max: u64,
    seen: AtomicU64,
}

/// A body of undeclared length.
pub struct Metered {
    body: Incoming,
    meter: Arc<Meter>,
}

#[derive(Debug, thiserror::Error)]
pub enum MeteredError {
    #[error("the request's body broke off")]
    Broken(#[from] hyper::Error),
    #[error("the request's body is larger than the policy allows")]
    TooLarge,
}

// === impl Sent ===

impl Sent {
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Known(bytes) => *bytes,
            Self::Metered(meter) => meter.seen.load(Ordering::Relaxed).min(meter.max),
        }
    }

    /// # Errors
    /// The body was stopped at the limit.
    pub fn check(&self) -> Result<(), Refusal> {
        match self {
            Self::Metered(meter) if meter.seen.load(Ordering::Relaxed) > meter.max => {
                Err(too_large(meter.max, "is larger".to_owned()))
            }
            Self::Known(_) | Self::Metered(_) => Ok(()),
        }
    }
}

pub fn too_large(max: u64, given: String) -> Refusal {
    Refusal::too_large(format!("Payload size exceeds limit of {max} bytes")).hint(format!(
        "Your payload {given}. Maximum allowed is {max} bytes ({}MB).",
        max / 1_048_576
    ))
}

// === impl Meter ===

impl Meter {
    pub const fn new(max: u64) -> Self {
        Self {
            max,
            seen: AtomicU64::new(0),
        }
    }
}

// === impl Metered ===

impl Metered {
    pub const fn new(body: Incoming, meter: Arc<Meter>) -> Self {
        Self { body, meter }
    }
}

impl Body for Metered {
    type Data = Bytes;
    type Error = MeteredError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, MeteredError>>> {
        let polled = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        let Some(frame) = polled.transpose()? else {
            return Poll::Ready(None);
        };
        let Ok(piece) = frame.into_data() else {
            // Trailers belong to this hop.
            return Poll::Ready(None);
        };
        let before = self
            .meter
            .seen
            .fetch_add(piece.len() as u64, Ordering::Relaxed);
        if before + piece.len() as u64 > self.meter.max {
            return Poll::Ready(Some(Err(MeteredError::TooLarge)));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
