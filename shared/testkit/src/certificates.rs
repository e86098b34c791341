//! A certificate authority of one's own, and what it issues. Its key never leaves the process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

/// A server's certificate and its key.
pub struct Leaf {
    pem: String,
    der: CertificateDer<'static>,
    key: KeyPair,
}

/// What a client of ours verifies servers with: rustls on its default cryptography.
#[must_use]
pub fn crypto() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

// === impl Authority ===

impl Authority {
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn generate() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        let name = format!("AgentHiFive test authority {}", uuid::Uuid::new_v4());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        })
    }

    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    #[must_use]
    pub const fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// A certificate for these DNS names and addresses.
    ///
    /// # Errors
    /// One of them is neither.
    pub fn issue(&self, names: &[&str]) -> anyhow::Result<Leaf> {
        self.sign(params(names)?)
    }

    /// A certificate that nobody may accept any more.
    ///
    /// # Errors
    /// As [`Self::issue`].
    pub fn issue_expired(&self, names: &[&str]) -> anyhow::Result<Leaf> {
        let mut params = params(names)?;
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> anyhow::Result<Leaf> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Leaf {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            key,
        })
    }
}

fn params(names: &[&str]) -> anyhow::Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

// === impl Leaf ===

impl Leaf {
    /// For a server that offers these protocols by ALPN, best first.
    ///
    /// # Errors
    /// rustls takes key or certificate for unusable.
    pub fn server_config(&self, alpn: &[&str]) -> anyhow::Result<Arc<ServerConfig>> {
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(crypto())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], key.into())?;
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }

    /// Writes `NAME.pem` and `NAME.key` for a process that is told of both by path.
    ///
    /// # Errors
    /// The folder can't be written to.
    pub fn write(&self, folder: &Path, name: &str) -> anyhow::Result<(PathBuf, PathBuf)> {
        let files = [("pem", self.pem.clone()), ("key", self.key.serialize_pem())];
        let [certificate, key] = files.map(|(extension, text)| {
            let path = folder.join(format!("{name}.{extension}"));
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))
                .map(|()| path)
        });
        Ok((certificate?, key?))
    }
}
