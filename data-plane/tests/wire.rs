//! The wire itself: both versions of HTTP, TLS, and bytes that no well-meaning client sends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "plays clients that speak no proper HTTP"
)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ah5_harness::stack::Stack;
use ah5_testkit::certificates::{Authority, crypto};
use ah5_testkit::client::{Agent, Http, Owner};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use support::World;
use support::sealed::{Sealed, insert};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

async fn http2<S>(stream: S) -> SendRequest<Full<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(async move { drop(connection.await) });
    sender
}

fn request(world: &World, host: &str, path: &str) -> Request<Full<Bytes>> {
    let uri = format!("http://{host}/v1/proxy/{}{path}", world.connection);
    Request::post(uri)
        .header("authorization", format!("Bearer {}", world.agent.token))
        .header("content-type", "text/plain")
        .body(Full::from("over two"))
        .unwrap()
}

#[tokio::test]
async fn many_calls_share_one_http2_connection() {
    let world = World::open().await;
    let address = world.stack.data_plane(0).listen;
    let mut sender = http2(TcpStream::connect(address).await.unwrap()).await;
    let mut answers = Vec::new();
    for number in 0..50 {
        sender.ready().await.unwrap();
        let path = format!("/echo/h2?n={number}");
        answers.push(sender.send_request(request(&world, &address.to_string(), &path)));
    }
    for (number, answer) in answers.into_iter().enumerate() {
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains(&format!("n={number}\"")) || body.contains(&format!("\"{number}\"")));
    }
    let seen = world.seen("/v2/echo/h2").await;
    assert_eq!(seen.len(), 50);
    assert!(seen.iter().all(|entry| entry.body == "over two"));
}

#[tokio::test]
async fn tls_offers_both_versions_of_http() {
    let authority = Authority::generate().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let leaf = authority.issue(&["localhost"]).unwrap();
    let (cert, key) = leaf.write(folder.path(), "listener").unwrap();
    let builder = support::two_planes()
        .data_planes(1)
        .env("TLS_CERT_FILE", cert.to_str().unwrap())
        .env("TLS_KEY_FILE", key.to_str().unwrap());
    let world = World::closed(Arc::new(builder.start().unwrap())).await;
    let lists = world.allowlists(&["POST"], "/v2/**");
    world
        .owner
        .allow(&world.agent.id, &world.connection, &lists)
        .await
        .unwrap();
    let address = world.stack.data_plane(0).listen;
    for (offered, expected) in [
        (&["h2", "http/1.1"][..], "h2"),
        (&["http/1.1"][..], "http/1.1"),
    ] {
        let stream = tls(address, &authority, offered).await;
        assert_eq!(
            stream.get_ref().1.alpn_protocol(),
            Some(expected.as_bytes())
        );
        if expected == "h2" {
            let mut sender = http2(stream).await;
            world
                .until(|| {
                    let mut sender = sender.clone();
                    let request = request(&world, "localhost", "/echo/tls");
                    async move { sender.send_request(request).await.unwrap().status() == 200 }
                })
                .await;
            sender.ready().await.unwrap();
        }
    }
    assert!(!world.seen("/v2/echo/tls").await.is_empty());
}

async fn tls(
    address: SocketAddr,
    authority: &Authority,
    offered: &[&str],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from(authority.der().to_vec()))
        .unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(crypto())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = offered
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap()
}

/// What comes back until the connection ends or nothing comes for a while.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has read enough may close while we write.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(Ok(length @ 1..)) = timeout(Duration::from_secs(2), stream.read(&mut piece)).await
    {
        answer.extend_from_slice(&piece[..length]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_that_could_be_read_in_two_ways_reach_nobody() {
    let world = World::open().await;
    let address = world.stack.data_plane(0).listen;
    let line = format!(
        "POST /v1/proxy/{}/echo/smuggled HTTP/1.1\r\n",
        world.connection
    );
    let auth = format!("host: h\r\nauthorization: Bearer {}\r\n", world.agent.token);
    let many = "x-flood: 1\r\n".repeat(200);
    let long = format!("x-long: {}\r\n", "x".repeat(100_000));
    for (headers, body, statuses) in [
        (
            "content-length: 3\r\ncontent-length: 4\r\n",
            "abcd",
            &["400"][..],
        ),
        ("content-length: +3\r\n", "abc", &["400"]),
        (
            "transfer-encoding: xchunked\r\n",
            "0\r\n\r\n",
            &["400", "501"],
        ),
        (
            "transfer-encoding: chunked, identity\r\n",
            "0\r\n\r\n",
            &["400", "501"],
        ),
        (
            "x-a: 1\r\n x-folded: 2\r\ncontent-length: 0\r\n",
            "",
            &["400"],
        ),
        ("x y: 1\r\ncontent-length: 0\r\n", "", &["400"]),
        (
            "authorization: Bearer other\r\ncontent-length: 0\r\n",
            "",
            &["401"],
        ),
        (&many, "", &["431"]),
        (&long, "", &["431"]),
    ] {
        let text = format!("{line}{auth}{headers}\r\n{body}");
        let answer = raw(address, text.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(statuses.contains(&status), "{headers:.60}: {answer}");
        assert_eq!(
            answer.matches("HTTP/1.1").count(),
            1,
            "{headers:.60}: {answer}"
        );
    }
    assert!(world.seen("/v2/echo/smuggled").await.is_empty());
}

// RFC 9112 §6.1: the coding alone counts, and the connection ends with the answer.
#[tokio::test]
async fn a_length_beside_a_coding_means_nothing() {
    let world = World::open().await;
    let address = world.stack.data_plane(0).listen;
    let both = ["content-length: 31", "transfer-encoding: chunked"];
    for (first, second) in [(both[0], both[1]), (both[1], both[0])] {
        let text = format!(
            "POST /v1/proxy/{}/echo/both HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {}\r\n\
             {first}\r\n{second}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n",
            world.connection, world.agent.token
        );
        let answer = raw(address, text.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    for seen in world.seen("/v2/echo/both").await {
        assert_eq!(seen.body_length, 0);
        assert!(
            seen.header("content-length")
                .is_none_or(|length| length == "0")
        );
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_is_not_waited_for() {
    let builder = support::two_planes()
        .data_planes(1)
        .env("KEEP_ALIVE_MS", "300");
    let stack = builder.start().unwrap();
    let address = stack.data_plane(0).listen;
    for said in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /v1/proxy HTTP/1.1\r\nhost",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let closed = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "{said:?}");
    }
}

#[tokio::test]
async fn a_client_that_stops_reading_does_not_keep_its_place() {
    let builder = support::two_planes()
        .data_planes(1)
        .env("WRITE_STALL_MS", "400");
    let world = World::closed(Arc::new(builder.start().unwrap())).await;
    world.allow(&["GET", "POST"], "/v2/**").await;
    let address = world.stack.data_plane(0).listen;
    let long = "/bytes/9900000?chunked=1";
    // HTTP/1: nothing of the connection is read.
    let head = format!(
        "GET /v1/proxy/{}{long} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        world.connection, world.agent.token
    );
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(head.as_bytes()).await.unwrap();
    // HTTP/2: the connection lives, one answer on it is not read.
    let stream = TcpStream::connect(address).await.unwrap();
    let mut sender = http2(stream).await;
    let answer = sender
        .send_request(request(&world, "x", long))
        .await
        .unwrap();
    world
        .until(|| async {
            let rows = world.audit("execution_completed", 1).await;
            let given_up = rows.iter().filter(|row| {
                row["decision"] == "error" && row["metadata"]["fault"] == "agent_gone"
            });
            given_up.count() == 2
        })
        .await;
    drop((silent, answer));
}

#[tokio::test]
async fn a_call_that_has_been_through_us_is_not_made_again() {
    let world = World::open().await;
    let origin = world.stack.origin().split_once("://").unwrap().1.to_owned();
    let call = world
        .agent
        .proxy(&world.connection, http::Method::GET, "/echo/loop");
    let answer = world
        .send(call.header("cdn-loop", format!("other, {origin}")))
        .await;
    answer.expect(508).unwrap();
    assert!(world.seen("/v2/echo/loop").await.is_empty());
}

/// What listens here is exempted for one workspace; the replica that serves it serves others, too.
#[tokio::test(flavor = "multi_thread")]
async fn an_exemption_is_of_one_workspace_alone() {
    let builder = support::settings(Stack::builder().front_door(false));
    let mut stack = builder.data_planes(1).simulator(false).start().unwrap();
    let control = Http::new(format!("http://{}", stack.control_plane().listen));
    let known = Owner::sign_up(&control, stack.origin()).await.unwrap();
    let workspace = known.get("/v1/workspaces/current").await.unwrap().json();
    let workspace = workspace["id"].as_str().unwrap();
    let (port, heard) = listening().await;
    // A control plane that lets both connect: what is tried is the data plane's own judgement.
    stack.set_env("SSRF_ALLOWLIST_HOSTS", &format!("127.0.0.1:{port}"));
    let control = stack.add_control_plane().unwrap().listen;
    let control = Http::new(format!("http://{control}"));
    let entry = format!("{workspace}@127.0.0.1:{port}=127.0.0.0/8");
    stack.set_env("SSRF_ALLOWLIST_HOSTS", &entry);
    stack.restart_data_plane(0).unwrap();
    let plane = Http::new(format!("http://{}", stack.data_plane(0).listen));

    let first = Owner::sign_in(&control, stack.origin(), &known.email, &known.password);
    let first = first.await.unwrap();
    let second = Owner::sign_up(&control, stack.origin()).await.unwrap();
    let bearer = serde_json::json!({"kind": "bearer"});
    let plain = format!("http://127.0.0.1:{port}");
    let tls = format!("https://127.0.0.1:{port}");
    for (owner, base, status) in [(&second, &tls, 403), (&first, &plain, 200)] {
        let connection = owner.connect(base, &bearer, support::SECRET).await.unwrap();
        let agent = owner.create_agent("bot").await.unwrap();
        let agent = Agent::ready(&control, stack.origin(), agent).await.unwrap();
        let lists =
            serde_json::json!([{"baseUrl": base, "methods": ["GET"], "pathPatterns": ["/**"]}]);
        owner.allow(&agent.id, &connection, &lists).await.unwrap();
        let call = agent.proxy(&connection, http::Method::GET, "/");
        let mut answer = plane.send(call.clone()).await.unwrap();
        for _ in 0..1000 {
            if !answer.contains("No policy") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer = plane.send(call.clone()).await.unwrap();
        }
        assert_eq!(answer.status, status, "{}", answer.text());
        let blocked = answer.contains("Blocked: request to private IP address 127.0.0.1");
        assert_eq!(blocked, status == 403);
        assert_eq!(heard.load(Ordering::SeqCst), usize::from(status == 200));
    }
}

/// Answers everybody, and counts them.
async fn listening() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 4096];
            let _ = tcp.read(&mut head).await;
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";
            let _ = tcp.write_all(answer.as_bytes()).await;
        }
    });
    (port, heard)
}

#[tokio::test]
async fn private_addresses_are_out_of_reach_however_they_are_written() {
    let world = World::open().await;
    let auth = serde_json::json!({"kind": "bearer"});
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "10.0.0.1",
        "100.64.0.1",
        "0.0.0.0",
        "localhost",
        "sub.localhost",
        "127.0.0.1.nip.test",
    ] {
        let base = format!("https://{host}");
        // What a route refuses already is written past it: the way out judges for itself.
        let connection = match world.owner.connect(&base, &auth, support::SECRET).await {
            Ok(connection) => connection,
            Err(_) => inside(&world, &base).await,
        };
        let lists =
            serde_json::json!([{"baseUrl": base, "methods": ["GET"], "pathPatterns": ["**"]}]);
        if world
            .owner
            .allow(&world.agent.id, &connection, &lists)
            .await
            .is_err()
        {
            continue;
        }
        let call = world.agent.proxy(&connection, http::Method::GET, "/");
        world
            .until(|| async { !world.send(call.clone()).await.contains("No policy") })
            .await;
        let answer = world.send(call).await;
        let body = answer.expect(403).unwrap();
        let error = body["error"].as_str().unwrap();
        assert!(
            error.starts_with("Blocked") || error.starts_with("Failed to resolve"),
            "{host}: {error}"
        );
    }
}

async fn inside(world: &World, base: &str) -> String {
    let new = Sealed {
        service: "custom-http",
        base_url: base,
        secret: support::SECRET,
        ..Sealed::default()
    };
    insert(world, new).await
}
