//! The socket under an upstream connection, plain or TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

pub(crate) struct Stream {
    link: Link,
    /// Set once a byte of a request was handed to the link, so that "was it sent?" has an answer
    /// that never errs towards no.
    written: Arc<AtomicBool>,
}

pub(crate) enum Link {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

// === impl Stream ===

impl Stream {
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            written: Arc::default(),
        }
    }

    pub(crate) fn into_link(self) -> Link {
        self.link
    }

    pub(crate) fn written(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.written)
    }

    fn mark(&self, polled: &Poll<io::Result<usize>>) {
        if matches!(polled, Poll::Ready(Ok(1..))) {
            self.written.store(true, Ordering::Relaxed);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.link {
            Link::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Link::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = match &mut self.link {
            Link::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Link::Tls(io) => Pin::new(io).poll_write(cx, buf),
        };
        self.mark(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = match &mut self.link {
            Link::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Link::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        };
        self.mark(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        match &self.link {
            Link::Plain(io) => io.is_write_vectored(),
            Link::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.link {
            Link::Plain(io) => Pin::new(io).poll_flush(cx),
            Link::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.link {
            Link::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Link::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
