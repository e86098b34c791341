//! Accepts connections and speaks HTTP/1.1 and HTTP/2 on them, plain or over TLS, until told to
//! stop. A panic in one answer is that answer's alone.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ah5_edge::connection::{Heard, Phase};
use ah5_settings::Settings;
use futures_util::FutureExt as _;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::answer::{self, AnswerBody};
use crate::plane::Plane;
use crate::request;

mod patience;
mod tls;

use patience::{Patient, Told, Unread};

pub struct Config {
    /// An idle connection, and a head under way, are given so long. Longer than the front door
    /// keeps an idle connection: it must never send on one that is being closed.
    pub keep_alive: Duration,
    /// A client that takes no byte of its answer for so long is given up.
    pub stall: Duration,
    pub tls: Option<TlsAcceptor>,
}

pub struct Server {
    builder: Builder<TokioExecutor>,
    config: Config,
    plane: Arc<Plane>,
    phase: watch::Receiver<Phase>,
}

// === impl Config ===

impl Config {
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let tls = tls::read(settings);
        Some(Self {
            keep_alive: Duration::from_millis(settings.positive("KEEP_ALIVE_MS", 75_000)),
            stall: Duration::from_millis(settings.positive("WRITE_STALL_MS", 60_000)),
            tls: tls?,
        })
    }
}

// === impl Server ===

impl Server {
    pub fn new(config: Config, plane: Arc<Plane>, phase: watch::Receiver<Phase>) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(config.keep_alive)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Some(PING_EVERY))
            .keep_alive_timeout(PING_TIMEOUT)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD as u32);
        Self {
            builder,
            config,
            plane,
            phase,
        }
    }

    /// Returns once the phase is [`Phase::Ending`] and every connection is gone, or has been given
    /// [`LAST_WORDS`].
    pub async fn run(self, listener: TcpListener) {
        let server = Arc::new(self);
        let mut connections = JoinSet::new();
        let mut phase = server.phase.clone();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => server.clone().take(stream, peer, &mut connections),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                _ = phase.wait_for(|phase| *phase > Phase::Serving) => break,
            }
            while connections.try_join_next().is_some() {}
        }
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        let ending = async {
            // Nobody is left to change the phase: that is an end as well.
            let _ = phase.wait_for(|phase| *phase == Phase::Ending).await;
            sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = all => {}
            () = ending => tracing::warn!("some connections had to be cut"),
        }
    }

    fn take(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, connections: &mut JoinSet<()>) {
        let Some(seat) = self.plane.admission.seat() else {
            // No words are wasted on it: a flood would have us write them all.
            metrics::counter!("ah5_connections_refused_total").increment(1);
            return;
        };
        // Only a hint to the kernel.
        drop(stream.set_nodelay(true));
        connections.spawn(async move {
            match &self.config.tls {
                None => self.serve(stream, peer).await,
                Some(tls) => {
                    if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
                        self.serve(stream, peer).await;
                    }
                }
            }
            drop(seat);
        });
    }

    async fn serve<S>(&self, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let heard = Heard::default();
        let (unread, count) = (Arc::new(Unread::default()), AtomicU64::new(0));
        let service = service_fn(|request: Request<Incoming>| {
            let h2 = request.version() == Version::HTTP_2;
            heard.request(request.version());
            let (plane, closing) = (self.plane.clone(), self.phase.borrow().ne(&Phase::Serving));
            let number = count.fetch_add(1, Ordering::Relaxed);
            let unread = h2.then(|| unread.clone());
            async move {
                let response = answer_safely(plane, request, peer).await;
                let response = response.map(|body| Told::new(body, number, unread));
                Ok::<_, Infallible>(if closing && !h2 {
                    last(response)
                } else {
                    response
                })
            }
        });
        let stream = Patient::new(stream, self.config.stall);
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            () = heard.drive(connection.as_mut(), self.phase.clone()) => {}
            () = heard.silence(self.config.keep_alive) => {}
            () = unread.too_long(self.config.stall) => {}
        }
    }
}

async fn answer_safely(
    plane: Arc<Plane>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Response<AnswerBody> {
    let answered = AssertUnwindSafe(request::answer(plane, request, peer)).catch_unwind();
    answered.await.unwrap_or_else(|_| {
        tracing::error!("a call panicked");
        metrics::counter!("ah5_panics_total").increment(1);
        answer::internal()
    })
}

/// RFC 9112 §9.6.
fn last<B>(mut response: Response<B>) -> Response<B> {
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;
const MAX_STREAMS: u32 = 256;
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
const HANDSHAKE: Duration = Duration::from_secs(10);
/// When the process is out of file descriptors, accepting at once fails again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const LAST_WORDS: Duration = Duration::from_secs(1);
