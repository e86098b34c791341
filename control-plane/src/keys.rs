//! The keys that sign tokens. Made at first start, kept sealed in the database, the same for every
//! control plane of the installation.

use anyhow::anyhow;
use deadpool_postgres::Pool;
use serde_json::{Value, json};

use ah5_security::ring::{KeyRing, PublicKeyRow};
use ah5_security::token::{KeyKind, SigningKey, VerificationKey};
use ah5_store::StoreError;
use ah5_store::signing_keys::{self, StoredKey};

pub struct Keys {
    pub agent: SigningKey,
    pub user: SigningKey,
    verification: Vec<(String, VerificationKey)>,
    /// The public halves, as a JWK set (RFC 7517).
    pub jwks: Value,
}

// === impl Keys ===

impl Keys {
    /// Loads the keys, making those that are missing.
    pub async fn load(pool: &Pool, ring: &KeyRing) -> anyhow::Result<Self> {
        let mut client = pool.get().await.map_err(StoreError::from)?;
        let tx = client.transaction().await.map_err(StoreError::from)?;
        let mut stored = signing_keys::lock_all(&tx).await?;
        for kind in [KeyKind::Agent, KeyKind::User] {
            if !stored.iter().any(|key| key.kind == kind.as_str()) {
                let key = seal(ring, &SigningKey::generate(kind));
                signing_keys::insert(&tx, &key).await?;
                stored.push(key);
            }
        }
        tx.commit().await.map_err(StoreError::from)?;
        Self::open(ring, &stored)
    }

    pub fn verification(&self, kid: &str) -> Option<&VerificationKey> {
        self.verification
            .iter()
            .find(|(name, _)| name == kid)
            .map(|(_, key)| key)
    }

    fn open(ring: &KeyRing, stored: &[StoredKey]) -> anyhow::Result<Self> {
        let (mut verification, mut public) = (Vec::new(), Vec::new());
        let (mut agent, mut user) = (None, None);
        for key in stored {
            let row = row(&key.kid, &key.kind, &key.alg, &key.public_jwk);
            let kind =
                KeyKind::from_stored(&key.kind).filter(|_| ring.check_public_key(&row, &key.mac));
            let Some(kind) = kind else {
                // Somebody wrote to the database who doesn't hold the ring, or the ring was changed.
                anyhow::bail!(
                    "signing key {} is not vouched for by the key ring: is KEY_RING_FILE the one this database was made with?",
                    key.kid
                );
            };
            let private = ring.open_private(&key.kid, &key.sealed_private)?;
            let signing = SigningKey::from_stored(kind, private)?;
            verification.push((
                key.kid.clone(),
                VerificationKey::from_jwk(kind, &key.kid, &key.public_jwk)?,
            ));
            public.push(published(&signing));
            let slot = if kind == KeyKind::Agent {
                &mut agent
            } else {
                &mut user
            };
            slot.get_or_insert(signing);
        }
        let missing = || anyhow!("a signing key is missing");
        Ok(Self {
            agent: agent.ok_or_else(missing)?,
            user: user.ok_or_else(missing)?,
            verification,
            jwks: json!({ "keys": public }),
        })
    }
}

fn seal(ring: &KeyRing, key: &SigningKey) -> StoredKey {
    let row = row(key.kid(), key.kind().as_str(), key.alg(), key.public_jwk());
    StoredKey {
        kid: key.kid().to_owned(),
        kind: key.kind().as_str().to_owned(),
        alg: key.alg().to_owned(),
        public_jwk: key.public_jwk().clone(),
        sealed_private: ring.seal_private(key.kid(), key.private()),
        mac: ring.mac_public_key(&row).to_vec(),
    }
}

fn row<'a>(kid: &'a str, kind: &'a str, alg: &'a str, public_jwk: &'a Value) -> PublicKeyRow<'a> {
    PublicKeyRow {
        kid,
        kind,
        alg,
        public_jwk,
    }
}

fn published(key: &SigningKey) -> Value {
    let mut jwk = key.public_jwk().clone();
    jwk["kid"] = key.kid().into();
    jwk["alg"] = key.alg().into();
    jwk["use"] = "sig".into();
    jwk
}
