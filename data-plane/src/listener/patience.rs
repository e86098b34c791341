//! How long a client may leave an answer unread. One that takes no byte for so long holds memory and a
//! place that others need: its connection is ended and counted.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A connection whose writing ends with an error once nothing of it was taken for so long.
pub struct Patient<S> {
    limit: Duration,
    stream: S,
    /// From the moment that the client stopped taking.
    waits: Option<Pin<Box<Sleep>>>,
}

/// The answers on one HTTP/2 connection that wait to be read: there one can stand still while the
/// connection itself is alive.
#[derive(Default)]
pub struct Unread {
    /// By number, when the last piece was handed out.
    since: Mutex<HashMap<u64, Instant>>,
}

/// An answer that tells when it is asked for more.
pub struct Told<B> {
    body: B,
    number: u64,
    unread: Option<Arc<Unread>>,
}

// === impl Patient ===

impl<S> Patient<S> {
    pub const fn new(stream: S, limit: Duration) -> Self {
        Self {
            limit,
            stream,
            waits: None,
        }
    }

    fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waits = None;
            return polled;
        }
        let limit = self.limit;
        let waits = self.waits.get_or_insert_with(|| Box::pin(sleep(limit)));
        std::task::ready!(waits.as_mut().poll(cx));
        count();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judge(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge(cx, polled)
    }
}

// === impl Unread ===

impl Unread {
    /// Ends once an answer has not been asked for more for `limit`.
    pub async fn too_long(&self, limit: Duration) {
        loop {
            sleep(limit / 4).await;
            let now = Instant::now();
            let late = |since: &Instant| now.saturating_duration_since(*since) >= limit;
            if self.with(|since| since.values().any(late)) {
                count();
                return;
            }
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<u64, Instant>) -> T) -> T {
        act(&mut self.since.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Told ===

impl<B> Told<B> {
    /// `unread` only where the connection says nothing of its answers.
    pub const fn new(body: B, number: u64, unread: Option<Arc<Unread>>) -> Self {
        Self {
            body,
            number,
            unread,
        }
    }
}

impl<B: Body + Unpin> Body for Told<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Some(unread) = &self.unread {
            let number = self.number;
            unread.with(|since| match &polled {
                Poll::Ready(Some(Ok(_))) => since.insert(number, Instant::now()),
                _ => since.remove(&number),
            });
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Told<B> {
    fn drop(&mut self) {
        if let Some(unread) = &self.unread {
            unread.with(|since| since.remove(&self.number));
        }
    }
}

fn count() {
    metrics::counter!("ah5_connections_stalled_total").increment(1);
    tracing::info!("a client stopped reading its answer; its connection was ended");
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_byte_now_and_then_is_waited_for_and_who_takes_none_is_not() {
        let (ours, mut theirs) = duplex(16);
        let mut ours = Patient::new(ours, LIMIT);
        let reader = tokio::spawn(async move {
            for _ in 0..20 {
                sleep(LIMIT / 2).await;
                theirs.read_u8().await.unwrap();
            }
            theirs
        });
        let began = Instant::now();
        let error = ours.write_all(&[7; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), LIMIT / 2 * 20 + LIMIT);
        drop(reader.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_asked_for_more_is_not_unread() {
        let unread = Arc::new(Unread::default());
        let body = http_body_util::Full::new(bytes::Bytes::from_static(b"x"));
        let mut body = Told::new(body, 1, Some(unread.clone()));
        let mut late = tokio::spawn({
            let unread = unread.clone();
            async move { unread.too_long(LIMIT).await }
        });
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        assert!(frame.is_some());
        sleep(LIMIT / 2).await;
        std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        assert!(tokio::time::timeout(LIMIT * 2, &mut late).await.is_err());
        unread.with(|since| since.insert(1, Instant::now()));
        tokio::time::timeout(LIMIT * 2, late)
            .await
            .unwrap()
            .unwrap();
        drop(body);
        assert!(unread.with(|since| since.is_empty()));
    }
}
