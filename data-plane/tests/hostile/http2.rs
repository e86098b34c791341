//! Requests of HTTP/2 that carry what HTTP/1 would read otherwise, or far too much: in the clear and
//! over TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use ah5_harness::stack::Stack;
use ah5_testkit::certificates::{Authority, crypto};
use ah5_testkit::client::Http;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::fate::{self, Fate, Tried, judge, others_are_served};
use crate::frames::{End, Fields};
use crate::rows::http2::{Row, rows};
use crate::support::{self, World};

#[tokio::test(flavor = "multi_thread")]
async fn frames_in_the_clear_are_one_request_or_none() {
    let world = fate::world().await;
    let address = world.stack.data_plane(0).listen;
    all(&world, async || TcpStream::connect(address).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_over_tls_are_one_request_or_none() {
    let authority = Authority::generate().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let leaf = authority.issue(&["localhost"]).unwrap();
    let (cert, key) = leaf.write(folder.path(), "listener").unwrap();
    let builder = support::settings(Stack::builder().front_door(false))
        .data_planes(1)
        .env("TLS_CERT_FILE", cert.to_str().unwrap())
        .env("TLS_KEY_FILE", key.to_str().unwrap());
    let mut world = World::closed(Arc::new(builder.start().unwrap())).await;
    let address = world.stack.data_plane(0).listen;
    let base = format!("https://localhost:{}", address.port());
    world.planes = vec![Http::trusting(base, authority.pem()).unwrap()];
    world.allow(&["GET", "POST", "PUT"], "/v2/echo/**").await;
    all(&world, async || tls(address, &authority).await).await;
}

async fn all<S>(world: &World, connect: impl AsyncFn() -> S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut tried = Vec::new();
    let mut faults = Vec::new();
    for row in rows() {
        let path = fate::path(world, &tried.len().to_string());
        let frames = (row.frames)(fields(world, &path));
        let end = frames.play(connect().await).await;
        let one = row.tried(path);
        if let Err(fault) = one.hear_end(&end) {
            faults.push(format!("{}: {:?}, {fault}: {end:?}", row.what, row.fate));
        }
        tried.push(one);
        let served = others_are_served(world, &world.planes[0]).await;
        faults.extend(served.err().map(|fault| format!("{}: {fault}", row.what)));
    }
    faults.extend(judge(world, &tried).await);
    println!("{} attempts", tried.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Of a good request.
fn fields(world: &World, path: &str) -> Fields {
    Fields::of(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "h"),
        (":path", &format!("/v1/proxy/{}{path}", world.connection)),
        ("authorization", &format!("Bearer {}", world.agent.token)),
        ("content-type", "text/plain"),
    ])
}

async fn tls(
    address: SocketAddr,
    authority: &Authority,
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
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = stream.await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream
}

// === impl Row ===

impl Row {
    fn tried(&self, path: String) -> Tried {
        let body = match self.fate {
            Fate::Sent(body) => body.to_owned(),
            _ => String::new(),
        };
        Tried {
            what: self.what.to_owned(),
            fate: self.fate,
            path,
            body,
            recorded: Vec::new(),
        }
    }
}

// === impl Tried ===

impl Tried {
    fn hear_end(&self, end: &End) -> Result<(), &'static str> {
        let echoed = format!("\"path\":\"/v2{}\"", self.path);
        let is_taken = matches!(end, End::Answered(body) if body.contains(&echoed));
        match (self.fate, is_taken) {
            (Fate::Sent(_), true) => Ok(()),
            (Fate::Broken | Fate::Denied(_) | Fate::Refused(_), false) => Ok(()),
            _ => Err("the end is another one"),
        }
    }
}
