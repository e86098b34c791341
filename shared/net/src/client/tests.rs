//! Against real servers on loopback, reached through exemptions or through the operator's
//! overrides.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{Full, StreamBody};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

mod broken;
mod refused;
mod with_tls;

const NAME: &str = "api.test";

fn key() -> PoolKey {
    PoolKey {
        workspace: WorkspaceId::random(),
        connection: ConnectionId::random(),
    }
}

fn config(timeouts: Timeouts) -> Config {
    Config {
        exemptions: Exemptions::parse(&[NAME.into(), "127.0.0.1".into(), "[::1]".into()], true)
            .unwrap(),
        timeouts,
        ..Config::default()
    }
}

/// A client for whom every name is at 127.0.0.1.
fn client(timeouts: Timeouts) -> Upstreams {
    resolving(config(timeouts), |_| vec![IpAddr::from([127, 0, 0, 1])])
}

fn resolving(
    config: Config,
    answer: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static,
) -> Upstreams {
    Upstreams::with_lookup(config, Lookup::Scripted(Box::new(answer))).unwrap()
}

fn get(addr: SocketAddr, path: &str) -> Request<Body> {
    Request::get(format!("http://{NAME}:{}{path}", addr.port()))
        .body(Body::empty())
        .unwrap()
}

async fn read(response: Response<ResponseBody>) -> Result<Bytes, BodyError> {
    Ok(response.into_body().collect().await?.to_bytes())
}

/// Echoes method, path, `host` and body; counts its connections.
async fn echo_server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http
                    .serve_connection(TokioIo::new(tcp), service_fn(echo))
                    .await;
            });
        }
    });
    (addr, connections)
}

async fn echo(
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().to_string();
    if path == "/redirect" {
        let response = Response::builder()
            .status(302)
            .header("location", "http://evil.test/");
        return Ok(response.body(Full::default()).unwrap());
    }
    let host = request.headers()[HOST].to_str().unwrap().to_owned();
    let method = request.method().clone();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let text = format!("{method} {path} {host} {}", String::from_utf8_lossy(&body));
    Ok(Response::new(Full::new(text.into())))
}

/// Hands each accepted connection to `serve`.
async fn raw_server<F, S>(serve: F) -> SocketAddr
where
    F: Fn(usize, TcpStream) -> S + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut n = 0;
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(n, tcp));
            n += 1;
        }
    });
    addr
}

async fn read_head(tcp: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match tcp.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

#[tokio::test]
async fn connections_are_reused_by_their_owner_only() {
    let (addr, connections) = echo_server().await;
    let upstreams = client(Timeouts::default());
    let (ours, theirs) = (key(), key());
    for i in 0..20 {
        let response = upstreams
            .send(ours, get(addr, &format!("/{i}?q=1")))
            .await
            .unwrap();
        let text = read(response).await.unwrap();
        assert_eq!(text, format!("GET /{i}?q=1 {NAME}:{} ", addr.port()));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    assert_eq!(upstreams.idle(), 1);
    read(upstreams.send(theirs, get(addr, "/")).await.unwrap())
        .await
        .unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let (addr, connections) = echo_server().await;
    let upstreams = client(Timeouts::default());
    let (key, big) = (key(), Bytes::from(vec![b'x'; 300_000]));
    for _ in 0..3 {
        let chunks = [big.clone(), Bytes::from_static(b"end")]
            .map(|bytes| Ok::<_, Infallible>(http_body::Frame::data(bytes)));
        let body = Body::boxed(StreamBody::new(futures_util::stream::iter(chunks)));
        let uri = format!("http://{NAME}:{}/up", addr.port());
        let request = Request::post(uri).body(body).unwrap();
        let text = read(upstreams.send(key, request).await.unwrap())
            .await
            .unwrap();
        assert!(text.starts_with(b"POST /up ") && text.ends_with(b"xend"));
        assert!(text.len() > 300_000);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_each_get_their_own_answer() {
    let (addr, connections) = echo_server().await;
    let (upstreams, key) = (client(Timeouts::default()), key());
    let callers: Vec<_> = (0..32)
        .map(|caller| {
            let upstreams = upstreams.clone();
            tokio::spawn(async move {
                for call in 0..200 {
                    let body = format!("{caller}.{call}.").repeat(1 + call * 7 % 500);
                    let uri = format!("http://{NAME}:{}/{caller}/{call}", addr.port());
                    let request = Request::post(uri).body(Bytes::from(body.clone())).unwrap();
                    let answer = read(upstreams.send(key, request).await.unwrap())
                        .await
                        .unwrap();
                    let head = format!("POST /{caller}/{call} ");
                    assert!(
                        answer.starts_with(head.as_bytes()) && answer.ends_with(body.as_bytes())
                    );
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let opened = connections.load(Ordering::SeqCst);
    assert!(opened <= 32, "{opened} connections for 32 callers");
    assert_eq!(upstreams.idle(), opened);
}

#[tokio::test]
async fn redirects_come_back_untouched() {
    let (addr, _) = echo_server().await;
    let upstreams = client(Timeouts::default());
    let response = upstreams.send(key(), get(addr, "/redirect")).await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], "http://evil.test/");
    // Without a body the connection is free at once.
    assert_eq!(upstreams.idle(), 1);
}

#[tokio::test]
async fn fetch_bounds_the_answer() {
    let (addr, _) = echo_server().await;
    let upstreams = client(Timeouts::default());
    let request = |path| get(addr, path).map(|_| Bytes::new());
    let small = upstreams.fetch(key(), request("/a"), 1024).await.unwrap();
    assert!(small.body().starts_with(b"GET /a"));
    let error = upstreams.fetch(key(), request("/a"), 4).await.unwrap_err();
    assert_eq!(error.failure, Failure::TooLarge);
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let (addr, _) = echo_server().await;
    let mut config = config(Timeouts::default());
    config.pool.idle_for = Duration::from_millis(80);
    let upstreams = resolving(config, |_| vec![IpAddr::from([127, 0, 0, 1])]);
    read(upstreams.send(key(), get(addr, "/")).await.unwrap())
        .await
        .unwrap();
    assert_eq!(upstreams.idle(), 1);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(upstreams.idle(), 0);
}
