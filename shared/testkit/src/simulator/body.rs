//! Answer bodies.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};

use super::Shared;
use super::journal::Outcome;

/// The provider cut its answer off.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut off on purpose")]
pub struct Cut;

pub struct Body(UnsyncBoxBody<Bytes, Cut>);

/// Tells the journal how the answer ended.
pub(super) struct Watched {
    body: Body,
    shared: Arc<Shared>,
    seq: u64,
    done: bool,
}

// === impl Body ===

impl Body {
    #[must_use]
    pub fn empty() -> Self {
        Self::from(Bytes::new())
    }

    /// An error ends the connection in the middle of the answer.
    pub fn stream(frames: impl Stream<Item = Result<Bytes, Cut>> + Send + 'static) -> Self {
        use futures_util::StreamExt as _;
        let frames = frames.map(|frame| frame.map(Frame::data));
        Self(StreamBody::new(frames).boxed_unsync())
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        let full = Full::new(bytes.into()).map_err(|never| match never {});
        Self(full.boxed_unsync())
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

// === impl Watched ===

impl Watched {
    /// A `bodiless` answer (to HEAD) is sent without what it holds.
    pub(super) const fn new(body: Body, shared: Arc<Shared>, seq: u64, bodiless: bool) -> Self {
        Self {
            body,
            shared,
            seq,
            done: bodiless,
        }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.done |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let outcome = match self.done || self.body.is_end_stream() {
            true => Outcome::Sent,
            false => Outcome::Aborted,
        };
        self.shared.journal.end(self.seq, outcome);
    }
}
