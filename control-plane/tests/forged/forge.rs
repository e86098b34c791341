//! Makes tokens, right and wrong, with the installation's own keys: what an attacker can't have, so
//! that each attack fails for the one reason that it is about.

use std::collections::HashMap;

use ah5_harness::stack::Stack;
use ah5_security::ring::KeyRing;
use ah5_security::secret::SecretBytes;
use ah5_security::token::{KeyKind, SigningKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::support;

/// A key pair and the algorithm of its kind.
pub struct Key {
    pair: SigningKey,
    algorithm: Algorithm,
}

/// The keys of an installation, by kind.
pub struct Forge(HashMap<&'static str, Key>);

/// A token of the installation's, taken apart.
pub struct Genuine<'a> {
    pub token: String,
    pub key: &'a Key,
    pub kind: &'static str,
    pub header: Value,
    pub claims: Value,
}

// === impl Key ===

impl Key {
    /// A stranger's.
    pub fn new(kind: &str) -> Self {
        Self::of(SigningKey::generate(KeyKind::from_stored(kind).unwrap()))
    }

    fn of(pair: SigningKey) -> Self {
        let algorithm = match pair.kind() {
            KeyKind::Agent => Algorithm::EdDSA,
            KeyKind::User => Algorithm::ES256,
        };
        Self { pair, algorithm }
    }

    pub fn kid(&self) -> &str {
        self.pair.kid()
    }

    pub fn public_jwk(&self) -> &Value {
        self.pair.public_jwk()
    }

    pub fn token(&self, header: &Value, claims: &Value) -> String {
        self.raw(&header.to_string(), &claims.to_string())
    }

    /// Whatever the two texts are.
    pub fn raw(&self, header: &str, claims: &str) -> String {
        let message = message(header, claims);
        let private = self.pair.private().expose();
        let key = match self.algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_der(private),
            _ => EncodingKey::from_ec_der(private),
        };
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, self.algorithm);
        format!("{message}.{}", signature.unwrap())
    }
}

// === impl Forge ===

impl Forge {
    pub async fn of(stack: &Stack) -> Self {
        let ring = KeyRing::load(&stack.folder().join("secrets/key-ring.json")).unwrap();
        let client = support::at_database(stack).await;
        let sql = "select kid, kind, sealed_private from ah5.t_signing_keys
                   where sealed_private is not null";
        let mut keys = HashMap::new();
        for row in client.query(sql, &[]).await.unwrap() {
            let (kid, kind): (String, String) = (row.get(0), row.get(1));
            let private: SecretBytes = ring.open_private(&kid, row.get(2)).unwrap();
            let kind = KeyKind::from_stored(&kind).unwrap();
            let key = Key::of(SigningKey::from_stored(kind, private).unwrap());
            keys.insert(kind.as_str(), key);
        }
        Self(keys)
    }

    pub fn key(&self, kind: &str) -> &Key {
        &self.0[kind]
    }

    pub fn other(&self, kind: &str) -> &Key {
        self.key(if kind == "agent" { "user" } else { "agent" })
    }

    pub fn genuine(&self, kind: &'static str, token: &str) -> Genuine<'_> {
        Genuine {
            token: token.to_owned(),
            key: self.key(kind),
            kind,
            header: header_of(token),
            claims: claims_of(token),
        }
    }
}

// === impl Genuine ===

impl Genuine<'_> {
    /// Signed by the right key, with members changed; null takes one away.
    pub fn with(&self, header: &Value, claims: &Value) -> String {
        let (header, claims) = (changed(&self.header, header), changed(&self.claims, claims));
        self.key.token(&header, &claims)
    }

    pub fn without(&self, claim: &str) -> String {
        self.with(&json!({}), &json!({claim: null}))
    }

    /// Seconds since 1970-01-01 UTC, about.
    pub fn now(&self) -> i64 {
        self.claims["iat"].as_i64().unwrap()
    }

    /// Header, claims, signature.
    pub fn parts(&self) -> [&str; 3] {
        let parts: Vec<&str> = self.token.split('.').collect();
        parts.try_into().unwrap()
    }
}

pub fn changed(object: &Value, changes: &Value) -> Value {
    let mut object = object.clone();
    let members = object.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    object
}

pub fn message(header: &str, claims: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}", encode(header), encode(claims))
}

pub fn header_of(token: &str) -> Value {
    part(token, 0)
}

pub fn claims_of(token: &str) -> Value {
    part(token, 1)
}

fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
