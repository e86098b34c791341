//! Accepts connections and speaks HTTP on them, until told to stop. Answers under way are finished.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Version, header};
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use crate::edge;

/// A head that takes longer belongs to nobody's browser.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than any answer may take.
const FINISH: Duration = Duration::from_secs(35);
/// When the process is out of file descriptors, accepting at once fails again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// From `draining` on answers ask for the connection to be closed, so that by the time of `stop` a
/// front door has few left on which it could just be sending.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    draining: Arc<AtomicBool>,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let builder = builder();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                connect(&builder, &graceful, &router, &draining, stream, peer);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(FINISH, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some connections had to be cut");
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    builder
}

fn connect(
    builder: &Builder<TokioExecutor>,
    graceful: &GracefulShutdown,
    router: &Router,
    draining: &Arc<AtomicBool>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    // Only a hint to the kernel.
    drop(stream.set_nodelay(true));
    let (router, draining) = (router.clone(), draining.clone());
    let seen = Arc::new(AtomicBool::new(false));
    let spoken = seen.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        spoken.store(true, Ordering::Relaxed);
        let (router, draining) = (router.clone(), draining.clone());
        async move {
            let http2 = request.version() == Version::HTTP_2;
            let mut request = edge::drop_trailing_slash(request.map(Body::new));
            request.extensions_mut().insert(ConnectInfo(peer));
            let answered = router.oneshot(request).await;
            let mut response = answered.unwrap_or_else(|e| match e {});
            if draining.load(Ordering::Relaxed) && !http2 {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection.into_owned());
    tokio::spawn(async move {
        tokio::select! {
            // How a connection ends is the client's affair.
            _ = connection => {}
            () = silence(&seen) => {}
        }
    });
}

/// Ends when there was no request for so long. Nothing else limits how long a client takes to say
/// which version of HTTP it speaks.
async fn silence(seen: &AtomicBool) {
    tokio::time::sleep(HEAD_TIMEOUT).await;
    if seen.load(Ordering::Relaxed) {
        std::future::pending().await
    }
}
