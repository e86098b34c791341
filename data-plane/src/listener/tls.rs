//! The listener's own certificate: `TLS_CERT_FILE` and `TLS_KEY_FILE`.

use std::path::Path;
use std::sync::Arc;

use ah5_settings::Settings;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// `None` exactly when a fault was noted; `Some(None)` is a plain listener.
#[allow(
    clippy::option_option,
    reason = "a fault, none, and one are three things"
)]
pub fn read(settings: &mut Settings) -> Option<Option<TlsAcceptor>> {
    // Read by hand: `NAME_FILE` would otherwise stand for a setting `NAME`.
    let (cert, key) = (
        settings.path("TLS_CERT_FILE"),
        settings.path("TLS_KEY_FILE"),
    );
    match (cert, key) {
        (None, None) => Some(None),
        (Some(cert), Some(key)) => acceptor(&cert, &key)
            .map(Some)
            .map_err(|why| settings.fault("TLS_CERT_FILE", why))
            .ok(),
        _ => {
            settings.fault("TLS_CERT_FILE", "and TLS_KEY_FILE belong together");
            None
        }
    }
}

fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let at = |path: &Path, error: String| format!("{}: {error}", path.display());
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| at(cert, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| at(key, error.to_string()))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| at(cert, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
