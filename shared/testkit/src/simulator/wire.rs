//! The socket under a connection, plain or TLS, on which an answer may be scripted byte by byte:
//! what no well-behaved server library sends.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::lock;

/// Sent in front of, or instead of, what the HTTP library is about to send.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub bytes: Bytes,
    pub then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The library's own answer follows.
    Answer,
    /// The connection ends in good order.
    Close,
    /// The connection is reset.
    Reset,
}

/// Where a request's answer leaves its script.
#[derive(Clone, Default)]
pub(super) struct Prompter(Arc<Mutex<Option<Script>>>);

pub(super) struct Wire {
    link: Link,
    prompter: Prompter,
}

pub(super) enum Link {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

// === impl Prompter ===

impl Prompter {
    pub(super) fn give(&self, script: Script) {
        *lock(&self.0) = Some(script);
    }

    fn peek(&self) -> Option<Script> {
        lock(&self.0).clone()
    }

    fn advance(&self, sent: usize) {
        if let Some(script) = lock(&self.0).as_mut() {
            script.bytes.advance(sent);
        }
    }

    fn forget(&self) {
        *lock(&self.0) = None;
    }
}

// === impl Wire ===

impl Wire {
    pub(super) fn new(link: Link, prompter: Prompter) -> Self {
        Self { link, prompter }
    }

    /// What is to become of the library's bytes, once the script's are sent.
    fn perform(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Then>> {
        loop {
            let Some(script) = self.prompter.peek() else {
                return Poll::Ready(Ok(Then::Answer));
            };
            if script.bytes.is_empty() {
                if script.then == Then::Answer {
                    self.prompter.forget();
                }
                ready!(self.link.flush(cx))?;
                return Poll::Ready(Ok(script.then));
            }
            let sent = ready!(self.link.write(cx, &script.bytes))?;
            self.prompter.advance(sent);
        }
    }
}

impl AsyncRead for Wire {
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

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.perform(cx))? {
            Then::Answer => self.link.write(cx, buf),
            Then::Close => Poll::Ready(Ok(buf.len())),
            Then::Reset => {
                // A socket that may not linger resets its connection when it is closed.
                self.link.tcp().set_zero_linger()?;
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.link {
            Link::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Link::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}

// === impl Link ===

impl Link {
    /// The name that the client asked for in its handshake.
    pub(super) fn server_name(&self) -> Option<String> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(io) => io.get_ref().1.server_name().map(str::to_owned),
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(io) => io,
            Self::Tls(io) => io.get_ref().0,
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }
}
