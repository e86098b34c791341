//! TLS to providers: the platform's authorities, plus the operator's extra file. No caller can
//! relax verification; there is no switch for it.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) struct Tls {
    http: TlsConnector,
    /// Names no protocol (RFC 7301): mail servers have none to agree on.
    other: TlsConnector,
}

/// What is spoken inside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Speaks {
    Http,
    Other,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("UPSTREAM_CA_FILE: {0}")]
    File(rustls::pki_types::pem::Error),
    #[error("UPSTREAM_CA_FILE holds no certificate")]
    NoCertificate,
    #[error("no trusted certificate authorities: {0}")]
    Roots(rustls::Error),
}

// === impl Tls ===

impl Tls {
    pub(crate) fn new(extra_ca: Option<&Path>) -> Result<Self, TlsError> {
        let extra = match extra_ca {
            Some(path) => read_authorities(path)?,
            None => Vec::new(),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            rustls_platform_verifier::Verifier::new_with_extra_roots(extra, Arc::clone(&provider))
                .map_err(TlsError::Roots)?;
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Roots)?
            // The platform's verifier is the strict one; the name "dangerous" covers any other
            // than the built-in.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        let other = TlsConnector::from(Arc::new(config.clone()));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let http = TlsConnector::from(Arc::new(config));
        Ok(Self { http, other })
    }

    /// The name in the certificate must be `host`.
    pub(crate) async fn connect(
        &self,
        host: &str,
        tcp: TcpStream,
        speaks: Speaks,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;
        let connector = match speaks {
            Speaks::Http => &self.http,
            Speaks::Other => &self.other,
        };
        connector.connect(name, tcp).await
    }
}

fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let authorities = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(TlsError::File)?;
    if authorities.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(authorities)
}
