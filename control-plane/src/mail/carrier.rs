//! What takes a letter out of the house: the operator's mail server, or a folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use lettre::address::Envelope;
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use uuid::Uuid;

use super::config::{Provider, Security, Smtp};

pub enum Carrier {
    Folder(PathBuf),
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
}

/// Why a letter was not taken. Texts of a mail server may quote addresses: they are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    #[error("it has no sender or receiver")]
    Malformed,
    #[error("the mail server refuses it for good")]
    Refused,
    #[error("the mail server cannot be reached or is busy")]
    Later,
}

// === impl Carrier ===

impl Carrier {
    /// # Errors
    /// The folder can't be made, or the authority's file can't be read.
    pub fn new(provider: &Provider) -> anyhow::Result<Self> {
        match provider {
            Provider::Outbox(folder) => {
                make_private(folder).with_context(|| {
                    format!("EMAIL_OUTBOX_DIR: cannot make {}", folder.display())
                })?;
                Ok(Self::Folder(folder.clone()))
            }
            Provider::Smtp(smtp) => Ok(Self::Smtp(Box::new(transport(smtp)?))),
        }
    }

    pub async fn take(&self, id: Uuid, envelope: &Envelope, letter: &[u8]) -> Result<(), NotTaken> {
        match self {
            Self::Folder(folder) => {
                // Readers never see half a letter.
                let (partial, whole) = (
                    folder.join(format!(".{id}")),
                    folder.join(format!("{id}.eml")),
                );
                let written = async {
                    tokio::fs::write(&partial, letter).await?;
                    tokio::fs::rename(&partial, &whole).await
                };
                written.await.map_err(|_| NotTaken::Later)
            }
            Self::Smtp(transport) => match transport.send_raw(envelope, letter).await {
                Ok(_) => Ok(()),
                Err(error) if error.is_permanent() => Err(NotTaken::Refused),
                Err(_) => Err(NotTaken::Later),
            },
        }
    }
}

fn transport(smtp: &Smtp) -> anyhow::Result<AsyncSmtpTransport<Tokio1Executor>> {
    let tls = || {
        let mut parameters = TlsParameters::builder(smtp.host.clone());
        if let Some(path) = &smtp.ca_file {
            let pem = std::fs::read(path)
                .with_context(|| format!("SMTP_CA_FILE: cannot read {}", path.display()))?;
            let authority = Certificate::from_pem(&pem).context("SMTP_CA_FILE is not PEM")?;
            parameters = parameters.add_root_certificate(authority);
        }
        parameters.build_rustls().context("SMTP: no TLS")
    };
    // Never opportunistic: whoever strips STARTTLS would get to read the links.
    let tls = match smtp.security {
        Security::None => Tls::None,
        Security::StartTls => Tls::Required(tls()?),
        Security::Tls => Tls::Wrapper(tls()?),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.host)
        .port(smtp.port)
        .tls(tls)
        .timeout(Some(TIMEOUT))
        .pool_config(PoolConfig::new().max_size(1));
    if let Some((user, password)) = &smtp.credentials {
        let credentials = Credentials::new(user.clone(), password.expose().to_owned());
        builder = builder.credentials(credentials);
    }
    Ok(builder.build())
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

/// For each word that is waited for.
const TIMEOUT: Duration = Duration::from_secs(20);
