use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{SECRET, TOKEN_START, Upstream};
use crate::http1::Message;
use crate::load::request::BODY;

#[tokio::test]
async fn counts_what_arrives_with_a_secret_and_with_a_token() {
    let upstream = Upstream::start(None).await.unwrap();
    let mut stream = TcpStream::connect(upstream.plain).await.unwrap();
    for authorization in [SECRET, TOKEN_START, "neither"] {
        ask(&mut stream, authorization).await;
    }
    let arrived = upstream.arrived().unwrap();
    let counts = (arrived.requests, arrived.with_secret, arrived.with_token);
    assert_eq!(counts, (3, 1, 1));
}

#[tokio::test]
async fn answers_over_tls_to_who_trusts_its_authority() {
    let upstream = Upstream::start(None).await.unwrap();
    let mut roots = rustls::RootCertStore::empty();
    let authority = upstream.authority.as_bytes();
    let authority = rustls::pki_types::CertificateDer::from_pem_slice(authority).unwrap();
    roots.add(authority).unwrap();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(upstream.tls).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    ask(&mut stream, SECRET).await;
    assert_eq!(upstream.arrived().unwrap().with_secret, 1);
}

#[tokio::test]
async fn what_is_no_request_makes_the_run_fail() {
    let upstream = Upstream::start(None).await.unwrap();
    let mut stream = TcpStream::connect(upstream.plain).await.unwrap();
    stream.write_all(b"\0\0\0\r\n\r\n").await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
    assert!(upstream.arrived().is_err());
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), authorization: &str) {
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\nauthorization: {authorization}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = Vec::new();
    let answer = loop {
        assert_ne!(stream.read_buf(&mut buffer).await.unwrap(), 0);
        if let Some(answer) = Message::response(&buffer).unwrap() {
            break answer;
        }
    };
    assert_eq!(
        (answer.status, answer.body, answer.len()),
        (200, BODY, buffer.len())
    );
}
