//! Certificates, and who is trusted to issue them.

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
