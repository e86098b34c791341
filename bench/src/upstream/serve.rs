//! The serving side of the upstream: one read and one write a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem::find;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{SECRET, Seen, TOKEN_START};
use crate::http1::Message;
use crate::load::request::json;

#[derive(Clone)]
pub struct Server {
    pub acceptor: TlsAcceptor,
    pub seen: Arc<Seen>,
}

// === impl Server ===

impl Server {
    pub async fn run(self, plain: TcpListener, tls: TcpListener) {
        let answer: Arc<[u8]> = answer().into();
        loop {
            let (accepted, is_tls) = tokio::select! {
                accepted = plain.accept() => (accepted, false),
                accepted = tls.accept() => (accepted, true),
            };
            let Ok((stream, _)) = accepted else { continue };
            let (server, answer) = (self.clone(), Arc::clone(&answer));
            tokio::spawn(async move {
                server.connection(stream, is_tls, &answer).await;
            });
        }
    }

    async fn connection(&self, stream: TcpStream, is_tls: bool, answer: &[u8]) {
        // Only a matter of speed.
        let _ = stream.set_nodelay(true);
        if !is_tls {
            self.answer_all(stream, answer).await;
        } else if let Ok(stream) = self.acceptor.accept(stream).await {
            self.answer_all(stream, answer).await;
        }
    }

    async fn answer_all(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) {
        if self.exchange(&mut stream, answer).await.is_err() {
            self.seen.faults.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends well whenever the peer goes: a proxy may drop a kept connection.
    async fn exchange<S>(&self, stream: &mut S, answer: &[u8]) -> anyhow::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut buffer = Vec::with_capacity(BUFFER);
        while stream
            .read_buf(&mut buffer)
            .await
            .is_ok_and(|read| read > 0)
        {
            while let Some(message) = Message::request(&buffer)? {
                self.count(&buffer[..message.head]);
                buffer.drain(..message.len());
                if stream.write_all(answer).await.is_err() || stream.flush().await.is_err() {
                    return Ok(());
                }
            }
            anyhow::ensure!(buffer.len() < BUFFER, "a request that never ends");
        }
        Ok(())
    }

    fn count(&self, head: &[u8]) {
        let add = |counter: &AtomicU64, mark: &str| {
            if find(head, mark.as_bytes()).is_some() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        };
        self.seen.requests.fetch_add(1, Ordering::Relaxed);
        add(&self.seen.with_secret, SECRET);
        add(&self.seen.with_token, TOKEN_START);
    }
}

fn answer() -> Vec<u8> {
    let body = json();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

const BUFFER: usize = 64 * 1024;
