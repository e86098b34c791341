//! Against real servers on loopback, reached through exemptions or through the operator's
//! overrides.

use std::convert::Infallible;
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{Full, StreamBody};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

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
async fn a_connection_that_died_while_idle_is_replaced_unseen() {
    let addr = raw_server(|_, mut tcp| async move {
        read_head(&mut tcp).await;
        tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await
            .unwrap();
    })
    .await;
    let (upstreams, key) = (client(Timeouts::default()), key());
    for _ in 0..5 {
        let request = Request::post(format!("http://{NAME}:{}/", addr.port()))
            .body(Bytes::from_static(b"x"))
            .unwrap();
        let response = upstreams.send(key, request).await.unwrap();
        assert_eq!(read(response).await.unwrap(), "ok");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_request_that_was_sent_is_never_sent_again() {
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let addr = raw_server(move |_, mut tcp| {
        let seen = Arc::clone(&seen);
        async move {
            // One answer, then a reset in the middle of the next exchange.
            read_head(&mut tcp).await;
            tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await
                .unwrap();
            if !read_head(&mut tcp).await.is_empty() {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let (upstreams, key) = (client(Timeouts::default()), key());
    read(upstreams.send(key, get(addr, "/1")).await.unwrap())
        .await
        .unwrap();
    let error = upstreams.send(key, get(addr, "/2")).await.unwrap_err();
    assert_eq!(error.failure, Failure::Reset);
    assert!(error.sent);
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stalled_provider_times_out_before_and_within_its_answer() {
    let addr = raw_server(|_, mut tcp| async move {
        if read_head(&mut tcp).await.starts_with("GET /body") {
            tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart")
                .await
                .unwrap();
        }
        pending::<()>().await;
    })
    .await;
    let upstreams = client(Timeouts {
        headers: Duration::from_millis(100),
        body_idle: Duration::from_millis(100),
        ..Timeouts::default()
    });
    let error = upstreams.send(key(), get(addr, "/head")).await.unwrap_err();
    assert_eq!((error.failure, error.sent), (Failure::Timeout, true));
    let response = upstreams.send(key(), get(addr, "/body")).await.unwrap();
    assert_eq!(read(response).await.unwrap_err(), BodyError::Idle);
    assert_eq!(upstreams.idle(), 0);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_not_an_end() {
    let addr = raw_server(|_, mut tcp| async move {
        read_head(&mut tcp).await;
        tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart")
            .await
            .unwrap();
    })
    .await;
    let upstreams = client(Timeouts::default());
    let response = upstreams.send(key(), get(addr, "/")).await.unwrap();
    assert_eq!(read(response).await.unwrap_err(), BodyError::Reset);
    assert_eq!(upstreams.idle(), 0);
}

#[tokio::test]
async fn dropping_the_answer_hangs_up_on_the_provider() {
    let (gone, hung_up) = tokio::sync::oneshot::channel();
    let gone = std::sync::Mutex::new(Some(gone));
    let addr = raw_server(move |_, mut tcp| {
        let gone = gone.lock().unwrap().take();
        async move {
            read_head(&mut tcp).await;
            tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\nendless")
                .await
                .unwrap();
            let read = tcp.read(&mut [0; 8]).await;
            let _ = gone.unwrap().send(read.map_or(true, |n| n == 0));
        }
    })
    .await;
    let upstreams = client(Timeouts::default());
    drop(upstreams.send(key(), get(addr, "/")).await.unwrap());
    let hung_up = tokio::time::timeout(Duration::from_secs(5), hung_up)
        .await
        .unwrap()
        .unwrap();
    assert!(hung_up);
    assert_eq!(upstreams.idle(), 0);
}

#[tokio::test]
async fn nothing_is_sent_to_addresses_that_are_not_public() {
    let (addr, connections) = echo_server().await;
    let upstreams = Upstreams::new(Config::default()).unwrap();
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "[fe80::1]",
    ] {
        let uri = format!("https://{host}:{}/", addr.port());
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let error = upstreams.send(key(), request).await.unwrap_err();
        assert!(
            matches!(error.failure, Failure::Blocked(_)),
            "{host}: {error}"
        );
        assert!(!error.sent);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn plain_http_is_for_exempt_hosts_only() {
    let upstreams = Upstreams::new(Config::default()).unwrap();
    let request = Request::get("http://93.184.216.34/")
        .body(Body::empty())
        .unwrap();
    let error = upstreams.send(key(), request).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Blocked(_)));
}

#[tokio::test]
async fn a_name_that_changes_between_check_and_use_gains_nothing() {
    let (addr, connections) = echo_server().await;
    // Another address at every question: were there a second one, it would be seen.
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let rebinding = resolving(config(Timeouts::default()), move |_| {
        let last = u8::try_from(count.fetch_add(1, Ordering::SeqCst)).unwrap();
        vec![IpAddr::from([127, 0, 0, 1 + last])]
    });
    read(rebinding.send(key(), get(addr, "/")).await.unwrap())
        .await
        .unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(connections.swap(0, Ordering::SeqCst), 1);
    // And a name with one private address among public ones is refused whole.
    let mixed = resolving(Config::default(), |_| {
        vec![
            IpAddr::from([93, 184, 216, 34]),
            IpAddr::from([127, 0, 0, 1]),
        ]
    });
    let uri = format!("https://rebind.test:{}/", addr.port());
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let error = mixed.send(key(), request).await.unwrap_err();
    assert_eq!(
        error.failure,
        Failure::Blocked("Blocked: hostname rebind.test resolves to private IP 127.0.0.1".into())
    );
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn we_do_not_call_ourselves() {
    let (addr, connections) = echo_server().await;
    let mut config = config(Timeouts::default());
    config.own_addrs = vec![addr];
    config.own_origins = vec!["https://ah5.example".into()];
    let upstreams = resolving(config, |_| vec![IpAddr::from([127, 0, 0, 1])]);
    assert!(upstreams.send(key(), get(addr, "/")).await.is_err());
    let own = Request::get("https://ah5.example/v1/proxy")
        .body(Body::empty())
        .unwrap();
    let error = upstreams.send(key(), own).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Blocked(_)));
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_says_so() {
    let upstreams = resolving(Config::default(), |_| Vec::new());
    let request = Request::get("https://nowhere.test/")
        .body(Body::empty())
        .unwrap();
    let error = upstreams.send(key(), request).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Failed to resolve hostname: nowhere.test"
    );
    assert_eq!(error.kind(), "resolve");
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

mod with_tls {
    use std::path::Path;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// Serves `name`, and writes its authority to `ca_file`.
    async fn server(name: &str, ca_file: &Path) -> SocketAddr {
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&ca_key).unwrap();
        std::fs::write(ca_file, ca.pem()).unwrap();
        let issuer = Issuer::new(params, ca_key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        raw_server(move |_, tcp| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(tls) = acceptor.accept(tcp).await else {
                    return;
                };
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http
                    .serve_connection(TokioIo::new(tls), service_fn(echo))
                    .await;
            }
        })
        .await
    }

    fn tls_config(addr: SocketAddr, ca_file: Option<&Path>) -> Config {
        let overrides = ["api.test", "other.test"].map(|name| format!("{name}:443={addr}"));
        Config {
            extra_ca: ca_file.map(Path::to_owned),
            resolve_overrides: ResolveOverrides::parse(&overrides, true).unwrap(),
            ..Config::default()
        }
    }

    #[tokio::test]
    async fn the_certificate_must_name_the_host_and_come_from_a_trusted_authority() {
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        let addr = server("api.test", &ca_file).await;
        let request = |host: &str| {
            Request::get(format!("https://{host}/a"))
                .body(Body::empty())
                .unwrap()
        };
        let trusting = Upstreams::new(tls_config(addr, Some(&ca_file))).unwrap();
        let owner = key();
        for _ in 0..3 {
            let response = trusting.send(owner, request("api.test")).await.unwrap();
            assert_eq!(read(response).await.unwrap(), "GET /a api.test ");
        }
        assert_eq!(trusting.idle(), 1);
        let error = trusting
            .send(key(), request("other.test"))
            .await
            .unwrap_err();
        assert_eq!((error.failure, error.sent), (Failure::Tls, false));
        let Ok(strict) = Upstreams::new(tls_config(addr, None)) else {
            return; // A machine without any authorities refuses to start at all.
        };
        let error = strict.send(key(), request("api.test")).await.unwrap_err();
        assert_eq!(error.failure, Failure::Tls);
    }

    #[tokio::test]
    async fn a_bad_authority_file_is_an_error_at_start() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        for path in [empty, folder.path().join("missing.pem")] {
            let config = Config {
                extra_ca: Some(path),
                ..Config::default()
            };
            assert!(matches!(Upstreams::new(config), Err(ConfigError::Tls(_))));
        }
    }
}
