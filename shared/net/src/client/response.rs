//! The answer's body: reading it drives the connection, finishing it returns the connection to the
//! pool, dropping it early closes the connection.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::live::Live;
use super::pool::{Key, Pool};

pub struct ResponseBody {
    /// Whether the timer runs for the wait that is going on.
    armed: bool,
    content: Content,
    idle_limit: Duration,
    /// Gone once the body is at its end.
    source: Option<Source>,
}

/// Why a body broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the provider sent nothing for too long")]
    Idle,
    #[error("the provider broke off its answer")]
    Reset,
}

enum Content {
    Incoming(Incoming),
    /// It came by another way than HTTP, and is all here.
    Whole(Option<Bytes>),
}

struct Source {
    key: Key,
    live: Live,
    pool: Arc<Pool>,
}

// === impl ResponseBody ===

impl ResponseBody {
    pub(super) fn new(
        incoming: Incoming,
        live: Live,
        key: Key,
        pool: Arc<Pool>,
        idle_limit: Duration,
    ) -> Self {
        let mut body = Self {
            armed: false,
            content: Content::Incoming(incoming),
            idle_limit,
            source: Some(Source { key, live, pool }),
        };
        if body.content.is_end_stream() {
            body.finish(None);
        }
        body
    }

    /// Of an answer that came by another way than HTTP.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self {
            armed: false,
            content: Content::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())),
            idle_limit: Duration::MAX,
            source: None,
        }
    }

    /// The body is at its end: the connection goes back, if it can be used again.
    fn finish(&mut self, cx: Option<&mut Context<'_>>) {
        let Some(mut source) = self.source.take() else {
            return;
        };
        if let Some(cx) = cx
            && !source.live.is_reusable()
        {
            source.live.drive(cx);
        }
        if source.live.is_reusable() {
            source.pool.put(source.key, source.live);
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let polled = self.content.poll_frame(cx);
        if polled.is_ready() {
            return polled;
        }
        let Some(source) = &mut self.source else {
            return polled;
        };
        source.live.drive(cx);
        self.content.poll_frame(cx)
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (limit, armed) = (self.idle_limit, self.armed);
        let Some(source) = &mut self.source else {
            return Poll::Pending;
        };
        if !armed {
            source.live.arm(limit);
        }
        self.armed = true;
        source.live.poll_timer(cx)
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseBody")
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.poll_incoming(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.armed = false;
                if self.content.is_end_stream() {
                    self.finish(Some(cx));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(%error, "provider broke off its answer");
                self.source = None;
                Poll::Ready(Some(Err(BodyError::Reset)))
            }
            Poll::Ready(None) => {
                self.finish(Some(cx));
                Poll::Ready(None)
            }
            Poll::Pending => {
                if self.poll_idle(cx).is_pending() {
                    return Poll::Pending;
                }
                self.source = None;
                Poll::Ready(Some(Err(BodyError::Idle)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Incoming(incoming) => incoming.size_hint(),
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
        }
    }
}

// === impl Content ===

impl Content {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match self {
            Self::Incoming(incoming) => Pin::new(incoming).poll_frame(cx),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Incoming(incoming) => incoming.is_end_stream(),
            Self::Whole(bytes) => bytes.is_none(),
        }
    }
}
