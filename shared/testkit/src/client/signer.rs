//! An ES256 key and what it signs: any header over any claims, also such that nobody should take.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

pub struct Signer(KeyPair);

// === impl Signer ===

impl Signer {
    /// With a new key.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    /// The public half of the key (RFC 7517).
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        // An uncompressed point: 4, then the two coordinates of 32 bytes each (SEC 1 §2.3.3).
        let point = self.0.public_key_raw();
        let coordinate = |range: std::ops::Range<usize>| {
            URL_SAFE_NO_PAD.encode(point.get(range).unwrap_or_default())
        };
        json!({"kty": "EC", "crv": "P-256", "x": coordinate(1..33), "y": coordinate(33..65)})
    }

    /// A compact JWS, whatever algorithm the header names.
    ///
    /// # Errors
    /// The key can't sign.
    pub fn sign(&self, header: &Value, claims: &Value) -> anyhow::Result<String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let key = EncodingKey::from_ec_der(self.0.serialized_der());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::ES256)?;
        Ok(format!("{message}.{signature}"))
    }
}
