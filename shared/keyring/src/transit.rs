//! HashiCorp Vault's transit engine, and OpenBao's, which is the same: a key that never leaves it wraps
//! the keys of the ring.

use std::fmt;

use ah5_security::ring::Material;
use ah5_security::ring::file;
use ah5_security::secret::SecretText;
use ah5_settings::Settings;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::kms::{Kms, KmsError};
use crate::way::{Way, one_line};

pub struct Transit {
    way: Way,
    mount: String,
    key: String,
    namespace: Option<HeaderValue>,
    token: HeaderValue,
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
        let way = Way::new(settings, "VAULT_ADDR", &address);
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
            way: way?.trusting(settings.path("VAULT_CA_FILE")),
            mount,
            key,
            namespace: namespace.flatten(),
            token: token?,
        })
    }

    async fn ask(&self, verb: &str, body: &serde_json::Value) -> Result<Data, KmsError> {
        let url = self
            .way
            .address()
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
        let answer = self.way.send(request).await?;
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
}

#[async_trait]
impl Kms for Transit {
    async fn wrap(&self, key: &Material) -> Result<String, KmsError> {
        let body = json!({"plaintext": file::plain_text(key)});
        let text = self.ask("encrypt", &body).await?.ciphertext;
        // What is no wrapped key must not come into the file: it might be the key itself.
        let text = text.filter(|text| text.starts_with(PREFIX));
        text.ok_or_else(|| KmsError::Refused("it gave no ciphertext".to_owned()))
    }

    async fn unwrap(&self, text: &str) -> Result<Material, KmsError> {
        // A plain key is not sent anywhere.
        if !text.starts_with(PREFIX) {
            let why = "a key in the ring is none that it wrapped";
            return Err(KmsError::Refused(why.to_owned()));
        }
        let plain = self.ask("decrypt", &json!({"ciphertext": text})).await?;
        let plain = plain.plaintext.as_ref();
        let key = plain.and_then(|plain| file::plain(plain.expose()));
        key.ok_or_else(|| KmsError::Refused("what it gave is no key".to_owned()))
    }
}

impl fmt::Debug for Transit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transit({} at {})", self.key, self.way.address())
    }
}

fn said(body: &[u8]) -> String {
    let errors = serde_json::from_slice::<Errors>(body).map(|it| it.errors.join("; "));
    one_line(&errors.unwrap_or_default())
}

/// Of all that it has wrapped.
const PREFIX: &str = "vault:v";

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/')
}
