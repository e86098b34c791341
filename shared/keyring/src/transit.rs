//! HashiCorp Vault's transit engine, and OpenBao's, which is the same: a key that never leaves it wraps
//! the keys of the ring. Spoken to through the guarded way out, at exactly one host and port.

use std::fmt;
use std::path::PathBuf;

use ah5_contracts::id::{ConnectionId, WorkspaceId};
use ah5_net::guard::Exemptions;
use ah5_net::{Config, PoolKey, Upstreams};
use ah5_security::ring::Material;
use ah5_security::ring::file;
use ah5_security::secret::SecretText;
use ah5_settings::Settings;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OnceCell;
use url::{Host, Url};

use crate::kms::{Kms, KmsError};

pub struct Transit {
    address: Url,
    mount: String,
    key: String,
    namespace: Option<HeaderValue>,
    token: HeaderValue,
    ca_file: Option<PathBuf>,
    /// Made at the first call: it takes a runtime.
    net: OnceCell<Upstreams>,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    plaintext: Option<SecretText>,
    ciphertext: Option<String>,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

// === impl Transit ===

impl Transit {
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let address = settings.required("VAULT_ADDR");
        let address = Url::parse(&address).ok().filter(may_be_spoken_to);
        if address.is_none() {
            let fault = "must be https://HOST[:PORT], or http:// at a loopback address";
            settings.fault("VAULT_ADDR", fault);
        }
        let token = settings.required("VAULT_TOKEN");
        let mut token = HeaderValue::try_from(token.trim()).ok();
        match &mut token {
            Some(token) => token.set_sensitive(true),
            None => settings.fault("VAULT_TOKEN", "holds characters that cannot be sent"),
        }
        let key = settings.required("VAULT_TRANSIT_KEY");
        let mount = settings.optional("VAULT_TRANSIT_MOUNT");
        let mount = mount.unwrap_or_else(|| "transit".to_owned());
        for (name, text) in [("VAULT_TRANSIT_KEY", &key), ("VAULT_TRANSIT_MOUNT", &mount)] {
            if !text.bytes().all(is_plain) {
                settings.fault(name, "may hold letters, digits and -_/ only");
            }
        }
        let namespace = settings.optional("VAULT_NAMESPACE");
        let namespace = namespace.map(|text| HeaderValue::try_from(text).ok());
        if namespace == Some(None) {
            settings.fault("VAULT_NAMESPACE", "holds characters that cannot be sent");
        }
        Some(Self {
            address: address?,
            mount,
            key,
            namespace: namespace.flatten(),
            token: token?,
            ca_file: settings.path("VAULT_CA_FILE"),
            net: OnceCell::new(),
        })
    }

    async fn ask(&self, verb: &str, body: &serde_json::Value) -> Result<Data, KmsError> {
        let net = self
            .net
            .get_or_try_init(|| async { self.way_out() })
            .await?;
        let url = self
            .address
            .join(&format!("/v1/{}/{verb}/{}", self.mount, self.key));
        let url = url.map_err(|_| KmsError::Refused("no such address".to_owned()))?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .header("content-type", "application/json")
            .header("x-vault-request", "true")
            .header("x-vault-token", self.token.clone());
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace.clone());
        }
        let request = request.body(Bytes::from(body.to_string()));
        let request = request.map_err(|_| KmsError::Refused("no such address".to_owned()))?;
        let answer = net.fetch(own_pool(), request, MAX_ANSWER).await;
        let answer = answer.map_err(|error| KmsError::Unavailable(format!("{error}")))?;
        let status = answer.status();
        if status == StatusCode::OK {
            let answer: Result<Answer, _> = serde_json::from_slice(answer.body());
            let unreadable = |_| KmsError::Refused("its answer is of no known form".to_owned());
            return answer.map(|answer| answer.data).map_err(unreadable);
        }
        let why = format!("{status}: {}", said(answer.body()));
        // 412 and 472 ff.: a replica that is behind or standing by; 503: sealed, or in maintenance.
        let passing = status.is_server_error()
            || matches!(status.as_u16(), 412 | 429 | 472 | 473)
            || status.is_redirection();
        Err(match passing {
            true => KmsError::Unavailable(why),
            false => KmsError::Refused(why),
        })
    }

    fn way_out(&self) -> Result<Upstreams, KmsError> {
        let host = self.address.host_str().unwrap_or_default();
        let port = self.address.port_or_known_default().unwrap_or(443);
        let failed = |why: String| KmsError::Refused(why);
        // It usually has a private address. Nothing else is exempt on this way out.
        let exempt = [format!("{host}:{port}")];
        let exemptions = Exemptions::parse(&exempt, false);
        let config = Config {
            exemptions: exemptions.map_err(|faults| failed(faults.join("; ")))?,
            extra_ca: self.ca_file.clone(),
            ..Config::default()
        };
        Upstreams::new(config).map_err(|error| failed(error.to_string()))
    }
}

#[async_trait]
impl Kms for Transit {
    async fn wrap(&self, key: &Material) -> Result<String, KmsError> {
        let body = json!({"plaintext": file::plain_text(key)});
        let text = self.ask("encrypt", &body).await?.ciphertext;
        // What is no wrapped key must not come into the file: it might be the key itself.
        let text = text.filter(|text| text.starts_with("vault:v"));
        text.ok_or_else(|| KmsError::Refused("it gave no ciphertext".to_owned()))
    }

    async fn unwrap(&self, text: &str) -> Result<Material, KmsError> {
        let plain = self.ask("decrypt", &json!({"ciphertext": text})).await?;
        let plain = plain.plaintext.as_ref();
        let key = plain.and_then(|plain| file::plain(plain.expose()));
        key.ok_or_else(|| KmsError::Refused("what it gave is no key".to_owned()))
    }
}

impl fmt::Debug for Transit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transit({} at {})", self.key, self.address)
    }
}

fn may_be_spoken_to(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return false,
    };
    let plain = url.path() == "/" && url.query().is_none() && url.username().is_empty();
    plain && (url.scheme() == "https" || (url.scheme() == "http" && loopback))
}

/// What it says is wrong, for a log: bounded, on one line.
fn said(body: &[u8]) -> String {
    let errors = serde_json::from_slice::<Errors>(body).map(|it| it.errors.join("; "));
    let text = errors.unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

fn own_pool() -> PoolKey {
    PoolKey {
        workspace: WorkspaceId::from_uuid(uuid::Uuid::nil()),
        connection: ConnectionId::from_uuid(uuid::Uuid::nil()),
    }
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/')
}

const MAX_ANSWER: usize = 64 * 1024;
