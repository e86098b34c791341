//! One open connection, and one exchange on it.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep};

use super::{Failure, SendError};
use crate::body::Body;
use crate::io::Stream;

pub(super) struct Live {
    born: Instant,
    driver: Driver,
    sender: SendRequest<Body>,
    /// One timer for the life of the connection: moving a deadline further away is cheap, making a
    /// timer for every request is not.
    timer: Pin<Box<Sleep>>,
    written: Arc<AtomicBool>,
}

/// The connection's two directions; `None` once it has ended.
struct Driver(Option<Pin<Box<Http>>>);

type Http = Connection<TokioIo<Stream>, Body>;

pub(super) struct Failed {
    pub(super) error: SendError,
    /// The request, if none of it was serialised.
    pub(super) request: Option<Request<Body>>,
}

// === impl Live ===

impl Live {
    pub(super) async fn open(stream: Stream) -> Result<Self, Failure> {
        let written = stream.written();
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_BUFFER)
            .max_headers(MAX_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Failure::Reset)?;
        Ok(Self {
            born: Instant::now(),
            driver: Driver(Some(Box::pin(connection))),
            sender,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            written,
        })
    }

    pub(super) fn born(&self) -> Instant {
        self.born
    }

    /// Whether the next request may be sent: the last answer is read to its end, its request was
    /// sent to its end, and neither side wants to close.
    pub(super) fn is_reusable(&self) -> bool {
        self.driver.0.is_some() && self.sender.is_ready()
    }

    pub(super) async fn exchange(
        &mut self,
        request: Request<Body>,
        limit: Duration,
    ) -> Result<Response<Incoming>, Box<Failed>> {
        self.written.store(false, Ordering::Relaxed);
        self.arm(limit);
        let mut answer = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let timer = &mut self.timer;
        let outcome = poll_fn(|cx| {
            driver.poll(cx);
            if let Poll::Ready(outcome) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            timer.as_mut().poll(cx).map(|()| None)
        })
        .await;
        let sent = || self.written.load(Ordering::Relaxed);
        match outcome {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut error)) => Err(Box::new(Failed {
                request: error.take_message(),
                error: SendError {
                    failure: Failure::Reset,
                    sent: sent(),
                },
            })),
            None => Err(Box::new(Failed {
                request: None,
                error: SendError {
                    failure: Failure::Timeout,
                    sent: sent(),
                },
            })),
        }
    }

    /// Moves bytes both ways, as far as they go without waiting.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        self.driver.poll(cx);
    }

    pub(super) fn arm(&mut self, limit: Duration) {
        self.timer.as_mut().reset(Instant::now() + limit);
    }

    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().poll(cx)
    }
}

// === impl Driver ===

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(open) = &mut self.0
            && let Poll::Ready(ended) = open.as_mut().poll(cx)
        {
            if let Err(error) = ended {
                tracing::debug!(%error, "upstream connection ended");
            }
            self.0 = None;
        }
    }
}

/// Head and read buffer of one connection.
const MAX_BUFFER: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;
