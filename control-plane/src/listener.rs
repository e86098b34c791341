//! Accepts connections and speaks HTTP on them, until told to stop. Answers under way are finished.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use ah5_edge::connection::{Heard, Phase};

use crate::edge;

const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// For those who were being answered when everything was closed.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// When the process is out of file descriptors, accepting at once fails again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Ends an HTTP/1 connection at once, whatever waits to be written on it.
#[derive(Clone, Default)]
pub struct Hangup(Arc<Notify>);

// === impl Hangup ===

impl Hangup {
    pub fn now(&self) {
        self.0.notify_one();
    }
}

/// Returns once every connection is gone, or shortly after the phase has become [`Phase::Ending`].
/// A connection that is idle, or takes longer for a head, than `keep_alive` is closed: longer than the
/// front door keeps one, which must never send on one that is being closed. `closed` is called when
/// nobody can come any more: to end what would go on for ever.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    keep_alive: Duration,
    mut phase: watch::Receiver<Phase>,
    closed: impl FnOnce(),
) {
    let server = Arc::new(Server::new(router, keep_alive));
    let mut connections = JoinSet::new();
    let phases = phase.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = phase.wait_for(|phase| *phase > Phase::Serving) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (server, phase) = (server.clone(), phases.clone());
                connections.spawn(async move { server.converse(stream, peer, phase).await });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop((listener, phases));
    closed();
    let all = async { while connections.join_next().await.is_some() {} };
    let ending = async {
        // Nobody is left to change the phase: that is an end as well.
        let _ = phase.wait_for(|phase| *phase == Phase::Ending).await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        () = all => {}
        () = ending => tracing::warn!("some connections had to be cut"),
    }
}

struct Server {
    builder: Builder<TokioExecutor>,
    keep_alive: Duration,
    router: Router,
}

// === impl Server ===

impl Server {
    fn new(router: Router, keep_alive: Duration) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(keep_alive);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Some(PING_EVERY))
            .keep_alive_timeout(PING_TIMEOUT);
        Self {
            builder,
            keep_alive,
            router,
        }
    }

    async fn converse(&self, stream: TcpStream, peer: SocketAddr, phase: watch::Receiver<Phase>) {
        // Only a hint to the kernel.
        drop(stream.set_nodelay(true));
        let heard = Heard::default();
        let hangup = Hangup::default();
        let service = service_fn(|request: Request<Incoming>| {
            heard.request(request.version());
            let http1 = request.version() < Version::HTTP_2;
            let last = http1 && *phase.borrow() > Phase::Serving;
            let hangup = http1.then(|| hangup.clone());
            answer(self.router.clone(), request, peer, hangup, last)
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            () = heard.drive(connection.as_mut(), phase.clone()) => {}
            () = heard.silence(self.keep_alive) => {}
            () = hangup.0.notified() => {}
        }
    }
}

/// The last answer on its connection says so (RFC 9112 §9.6).
async fn answer(
    router: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    hangup: Option<Hangup>,
    last: bool,
) -> Result<Response<Body>, Infallible> {
    let mut request = edge::drop_trailing_slash(request.map(Body::new));
    request.extensions_mut().insert(ConnectInfo(peer));
    if let Some(hangup) = hangup {
        request.extensions_mut().insert(hangup);
    }
    let answered = router.oneshot(request).await;
    let mut response = answered.unwrap_or_else(|e| match e {});
    if last {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    Ok(response)
}
