//! The wire itself: both versions of HTTP, TLS, and clients that say or take nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "plays clients that speak no proper HTTP"
)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ah5_testkit::certificates::{Authority, crypto};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use support::World;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
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
