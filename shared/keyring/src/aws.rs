//! AWS KMS: a key that never leaves it wraps the keys of the ring, by its JSON protocol.

mod failure;
mod signature;

use std::fmt;

use ah5_security::ring::Material;
use ah5_security::ring::file;
use ah5_security::secret::SecretText;
use ah5_settings::Settings;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Position;

use crate::kms::{Kms, KmsError};
use crate::way::Way;
use signature::Signer;

pub struct AwsKms {
    way: Way,
    key_id: String,
    region: String,
    access_key_id: String,
    secret: SecretText,
    session_token: Option<SecretText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    plaintext: Option<SecretText>,
    ciphertext_blob: Option<String>,
}

// === impl AwsKms ===

impl AwsKms {
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let key_id = settings.required("AWS_KMS_KEY_ID");
        let region = settings.required("AWS_REGION");
        let access_key_id = settings.required("AWS_ACCESS_KEY_ID");
        let secret = settings.required("AWS_SECRET_ACCESS_KEY");
        for (name, text) in [
            ("AWS_KMS_KEY_ID", &key_id),
            ("AWS_REGION", &region),
            ("AWS_ACCESS_KEY_ID", &access_key_id),
        ] {
            if !text.bytes().all(is_plain) {
                settings.fault(name, "may hold letters, digits and -_/: only");
            }
        }
        let session_token = settings.optional("AWS_SESSION_TOKEN");
        let session_token = session_token.map(SecretText::new);
        let unfit = |token: &SecretText| !token.expose().bytes().all(|it| it.is_ascii_graphic());
        if session_token.as_ref().is_some_and(unfit) {
            settings.fault("AWS_SESSION_TOKEN", "holds characters that cannot be sent");
        }
        let address = settings.optional("AWS_KMS_ENDPOINT");
        let address = address.unwrap_or_else(|| format!("https://kms.{region}.amazonaws.com"));
        let way = Way::new(settings, "AWS_KMS_ENDPOINT", &address);
        Some(Self {
            way: way?,
            key_id,
            region,
            access_key_id,
            secret: SecretText::new(secret),
            session_token,
        })
    }

    async fn ask(&self, action: &str, body: &Value) -> Result<Answer, KmsError> {
        let body = Bytes::from(body.to_string());
        let request = self.request(action, body, Timestamp::now());
        let request = request.map_err(|_| KmsError::Refused("no such address".to_owned()))?;
        let answer = self.way.send(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(failure::of(answer.status(), answer.body()));
        }
        let unreadable = |_| KmsError::Refused("its answer is of no known form".to_owned());
        serde_json::from_slice(answer.body()).map_err(unreadable)
    }

    fn request(
        &self,
        action: &str,
        body: Bytes,
        now: Timestamp,
    ) -> Result<Request<Bytes>, http::Error> {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let target = format!("TrentService.{action}");
        let address = self.way.address();
        let mut headers = vec![
            ("content-type", "application/x-amz-json-1.1"),
            ("host", &address[Position::BeforeHost..Position::AfterPort]),
            ("x-amz-date", &time),
        ];
        if let Some(token) = &self.session_token {
            headers.push(("x-amz-security-token", token.expose()));
        }
        headers.push(("x-amz-target", &target));
        let signer = Signer {
            access_key_id: &self.access_key_id,
            secret: &self.secret,
            region: &self.region,
            service: "kms",
        };
        let signed = signer.sign(Method::POST.as_str(), &headers, &body, &time);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(address.as_str())
            .header("authorization", sensitive(&signed)?);
        // The way out names the host itself, from the address.
        for (name, value) in headers.into_iter().filter(|(name, _)| *name != "host") {
            request = request.header(name, sensitive(value)?);
        }
        request.body(body)
    }

    /// The key is named at decryption, too: a text that another key has wrapped, perhaps somebody
    /// else's, opens nothing.
    fn ask_for(&self, member: &str, text: &str) -> Value {
        let mut body = json!({"KeyId": self.key_id, "EncryptionContext": {"purpose": PURPOSE}});
        body[member] = text.into();
        body
    }
}

#[async_trait]
impl Kms for AwsKms {
    async fn wrap(&self, key: &Material) -> Result<String, KmsError> {
        let body = self.ask_for("Plaintext", &file::plain_text(key));
        let text = self.ask("Encrypt", &body).await?.ciphertext_blob;
        // What is no wrapped key must not come into the file: it might be the key itself.
        let wrapped = text.filter(|text| {
            let bytes = STANDARD.decode(text).unwrap_or_default();
            bytes.len() > key.len() && !bytes.windows(key.len()).any(|it| it == key.as_slice())
        });
        let wrapped = wrapped.ok_or_else(|| KmsError::Refused("it gave no ciphertext".to_owned()));
        Ok(format!("{PREFIX}{}", wrapped?))
    }

    async fn unwrap(&self, text: &str) -> Result<Material, KmsError> {
        // A plain key is not sent anywhere.
        let foreign = || KmsError::Refused("a key in the ring is none that it wrapped".to_owned());
        let blob = text.strip_prefix(PREFIX).ok_or_else(foreign)?;
        let body = self.ask_for("CiphertextBlob", blob);
        let plain = self.ask("Decrypt", &body).await?.plaintext;
        let key = plain.and_then(|plain| file::plain(plain.expose()));
        key.ok_or_else(|| KmsError::Refused("what it gave is no key".to_owned()))
    }
}

impl fmt::Debug for AwsKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AwsKms({} at {})", self.key_id, self.way.address())
    }
}

fn sensitive(text: &str) -> Result<HeaderValue, http::Error> {
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    Ok(value)
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/' | b':')
}

/// In the file before what the service gave, which doesn't tell whose it is.
const PREFIX: &str = "aws-kms:";

/// Bound to each wrapped key: a text wrapped for another purpose is none of the ring's, and a policy
/// of the key can demand it.
const PURPOSE: &str = "ah5-key-ring";
