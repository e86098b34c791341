//! Signatures of webhooks, as Standard Webhooks has them: HMAC-SHA-256 over id, time and body, so that
//! a receiver knows who sent it, that it is whole, and that it is not an old one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::random;
use crate::secret::SecretText;

/// A new secret for sender and receiver.
#[must_use]
pub fn secret() -> SecretText {
    let bytes = Zeroizing::new(random::bytes::<32>());
    let mut text = PREFIX.to_owned();
    STANDARD.encode_string(*bytes, &mut text);
    SecretText::new(text)
}

/// The value of `webhook-signature`; `None` if the secret is none.
#[must_use]
pub fn sign(secret: &SecretText, id: &str, seconds: i64, body: &[u8]) -> Option<String> {
    let encoded = secret.expose().strip_prefix(PREFIX)?;
    let key = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    let tag = STANDARD.encode(mac.finalize().into_bytes());
    Some(format!("v1,{tag}"))
}

const PREFIX: &str = "whsec_";

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the published implementations.
    #[test]
    fn signs_as_receivers_expect() {
        let secret = SecretText::new("whsec_plJ3nmyCDGBKInavdOK15jsl".into());
        let body = br#"{"event_type":"ping","data":{"success":true}}"#;
        let signed = sign(&secret, "msg_loFOjxBNrRLzqYUf", 1_731_705_121, body);
        assert_eq!(
            signed.as_deref(),
            Some("v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=")
        );
        assert!(
            sign(
                &SecretText::new("plJ3nmyCDGBKInavdOK15jsl".into()),
                "a",
                1,
                body
            )
            .is_none()
        );
    }

    #[test]
    fn a_new_secret_signs() {
        let (one, other) = (secret(), secret());
        let tag = |secret| sign(secret, "a", 1, b"x");
        assert!(tag(&one).is_some() && tag(&one) != tag(&other));
    }
}
