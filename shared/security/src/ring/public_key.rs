//! Published verification keys carry a MAC of the ring, so that a database writer can't add one.

use super::{KeyRing, mac};
use crate::encode::Fields;
use crate::hash;

/// What the MAC of a published verification key covers.
#[derive(Clone, Copy)]
pub struct PublicKeyRow<'a> {
    pub kid: &'a str,
    pub kind: &'a str,
    pub alg: &'a str,
    pub public_jwk: &'a serde_json::Value,
}

// === impl KeyRing ===

impl KeyRing {
    #[must_use]
    pub fn mac_public_key(&self, row: &PublicKeyRow<'_>) -> [u8; 32] {
        mac(
            &self.derive(&self.keys[&self.current], "public-key"),
            &row.encode(),
        )
    }

    /// Whether some key of the ring made this MAC: rows outlive a rotation of the current key.
    #[must_use]
    pub fn check_public_key(&self, row: &PublicKeyRow<'_>, tag: &[u8]) -> bool {
        self.keys
            .values()
            .any(|key| hash::equal(&mac(&self.derive(key, "public-key"), &row.encode()), tag))
    }

    /// Which key made this MAC.
    #[must_use]
    pub fn public_key_signer(&self, row: &PublicKeyRow<'_>, tag: &[u8]) -> Option<&str> {
        let message = row.encode();
        let made = |key| hash::equal(&mac(&self.derive(key, "public-key"), &message), tag);
        let mut keys = self.keys.iter();
        keys.find(|(_, key)| made(key)).map(|(id, _)| id.as_str())
    }
}

// === impl PublicKeyRow ===

impl PublicKeyRow<'_> {
    fn encode(&self) -> Vec<u8> {
        // Member by member, as the database may give JSON members back in another order.
        let mut fields = Fields::new("ah5.public-key.v1")
            .text(self.kid)
            .text(self.kind)
            .text(self.alg);
        for name in ["kty", "crv", "x", "y"] {
            let member = self.public_jwk.get(name).and_then(|m| m.as_str());
            fields = fields.optional(member.map(str::as_bytes));
        }
        fields.finish()
    }
}
