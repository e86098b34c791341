//! The keys that sign and verify tokens, as this process holds them. They are in the database, private
//! halves sealed, the same for every control plane of the installation; `jobs/keys.rs` keeps what is
//! held here as new as what is there. A row that the key ring doesn't vouch for is never trusted.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use deadpool_postgres::GenericClient;
use serde_json::{Value, json};
use tokio::time::Instant;

use ah5_security::ring::{KeyRing, PublicKeyRow};
use ah5_security::secret::SecretBytes;
use ah5_security::token::{KeyKind, SigningKey, VerificationKey};
use ah5_settings::Settings;
use ah5_store::StoreError;
use ah5_store::signing_keys::{self, StoredKey};

use crate::app::App;
use crate::error::AppError;

pub mod rotation;

pub const KINDS: [KeyKind; 2] = [KeyKind::Agent, KeyKind::User];

pub struct Config {
    /// How long a key signs; unset: until an operator replaces it.
    pub rotate_after: Option<Duration>,
    /// How long a new key is published before it signs.
    pub publication: Duration,
}

/// The keys in force.
pub struct Keys {
    /// Those that sign or will, newest first.
    signing: Vec<Signer>,
    verification: HashMap<String, VerificationKey>,
    /// The public halves, as a JWK set (RFC 7517).
    pub jwks: Value,
    /// Rows that are not trusted, by their `kid`.
    pub refused: Vec<String>,
}

struct Signer {
    from: Instant,
    key: SigningKey,
}

/// The keys and their age. Readers take no lock.
pub struct Held {
    current: ArcSwapOption<Keys>,
    start: Instant,
    /// Milliseconds from `start` to the sending of the last read that found the keys to be these.
    confirmed: AtomicU64,
}

// === impl Config ===

impl Config {
    pub fn read(settings: &mut Settings) -> Self {
        let days: u16 = settings.parsed_or("KEY_ROTATION_DAYS", 90);
        let publication: u32 = settings.parsed_or("KEY_PUBLICATION_SECONDS", 3900);
        if publication < 2 {
            settings.fault("KEY_PUBLICATION_SECONDS", "must be 2 or more");
        }
        Self {
            rotate_after: (days > 0).then(|| Duration::from_secs(u64::from(days) * 86_400)),
            publication: Duration::from_secs(publication.into()),
        }
    }
}

// === impl Keys ===

impl Keys {
    /// Loads the keys when the process starts. At the installation's first start it makes them.
    pub async fn load(app: &App) -> anyhow::Result<Self> {
        let mut client = app.db().await?;
        let tx = client.transaction().await.map_err(StoreError::from)?;
        let mut stored = signing_keys::lock_all(&tx).await?;
        for kind in KINDS {
            if !stored.iter().any(|key| key.kind == kind.as_str()) {
                let new = rotation::New::at_first_start(kind);
                rotation::publish(app, &tx, new, &stored).await?;
            }
        }
        rotation::raise_life(app, &tx, &stored).await?;
        stored = signing_keys::lock_all(&tx).await?;
        tx.commit().await.map_err(StoreError::from)?;
        let keys = Self::open(&app.ring(), &stored);
        for kind in KINDS {
            let unknown = stored.iter().find(|key| key.kind == kind.as_str());
            if let Some(unknown) = unknown.filter(|_| !keys.has(kind)) {
                // All of them: it is the ring that is another one.
                anyhow::bail!(
                    "signing key {} is not vouched for by the key ring: is KEY_RING_FILE the one this database was made with?",
                    unknown.kid
                );
            }
        }
        Ok(keys)
    }

    /// What was read just now, newest first.
    pub fn open(ring: &KeyRing, stored: &[StoredKey]) -> Self {
        let now = Instant::now();
        let mut keys = Self {
            signing: Vec::new(),
            verification: HashMap::new(),
            jwks: Value::Null,
            refused: Vec::new(),
        };
        let mut published = Vec::new();
        for row in stored {
            let Some(key) = vouched(ring, row) else {
                keys.refused.push(row.kid.clone());
                continue;
            };
            if let Some(sealed) = &row.sealed_private {
                match private_half(ring, row, key.kind(), sealed) {
                    Some(private) => keys.signing.push(Signer {
                        from: now + row.signs_in,
                        key: private,
                    }),
                    None => {
                        tracing::error!(kid = row.kid, "a signing key's private half does not open")
                    }
                }
            }
            published.push(public(row));
            keys.verification.insert(row.kid.clone(), key);
        }
        keys.jwks = json!({ "keys": published });
        keys
    }

    /// The newest key whose time has come.
    pub fn signing(&self, kind: KeyKind) -> Option<&SigningKey> {
        let now = Instant::now();
        let mut ours = self.signing.iter().filter(|it| it.key.kind() == kind);
        ours.find(|it| it.from <= now).map(|it| &it.key)
    }

    pub fn verification(&self, kid: &str) -> Option<&VerificationKey> {
        self.verification.get(kid)
    }

    fn has(&self, kind: KeyKind) -> bool {
        self.signing.iter().any(|it| it.key.kind() == kind)
    }
}

// === impl Held ===

impl Held {
    pub fn new() -> Self {
        Self {
            current: ArcSwapOption::empty(),
            start: Instant::now(),
            confirmed: AtomicU64::new(0),
        }
    }

    /// None before the first, and when nobody has confirmed them for long: they may have been given up.
    pub fn current(&self) -> Option<Arc<Keys>> {
        let confirmed = Duration::from_millis(self.confirmed.load(Ordering::Acquire));
        let age = self.start.elapsed().saturating_sub(confirmed);
        self.current.load_full().filter(|_| age <= MAX_AGE)
    }

    pub fn replace(&self, keys: Keys, sent: Instant) {
        self.current.store(Some(Arc::new(keys)));
        self.confirm(sent);
    }

    pub fn confirm(&self, sent: Instant) {
        let since = sent.saturating_duration_since(self.start).as_millis();
        let since = u64::try_from(since).unwrap_or_default();
        self.confirmed.store(since, Ordering::Release);
    }
}

/// The key to sign with now. There is none for a moment when all have been given up.
pub async fn signer<'a>(
    keys: &'a Keys,
    client: &impl GenericClient,
    kind: KeyKind,
) -> Result<&'a SigningKey, AppError> {
    let key = keys.signing(kind).ok_or_else(AppError::unavailable)?;
    // What is held here may be half a second old, and what a key signs that was given up is no good.
    if signing_keys::is_in_force(client, key.kid()).await? {
        Ok(key)
    } else {
        Err(AppError::unavailable())
    }
}

/// The key, if the ring says that it is ours.
pub fn vouched(ring: &KeyRing, row: &StoredKey) -> Option<VerificationKey> {
    let kind = KeyKind::from_stored(&row.kind)?;
    let public = PublicKeyRow {
        kid: &row.kid,
        kind: &row.kind,
        alg: &row.alg,
        public_jwk: &row.public_jwk,
    };
    let ours = ring.check_public_key(&public, &row.mac);
    ours.then(|| VerificationKey::from_jwk(kind, &row.kid, &row.public_jwk).ok())
        .flatten()
}

fn private_half(
    ring: &KeyRing,
    row: &StoredKey,
    kind: KeyKind,
    sealed: &[u8],
) -> Option<SigningKey> {
    let private: SecretBytes = ring.open_private(&row.kid, sealed).ok()?;
    let key = SigningKey::from_stored(kind, private).ok()?;
    (key.kid() == row.kid).then_some(key)
}

/// Only what is vouched for: whoever writes to the database may have added members.
fn public(row: &StoredKey) -> Value {
    let mut jwk = json!({"kid": row.kid, "alg": row.alg, "use": "sig"});
    for name in ["kty", "crv", "x", "y"] {
        if let Some(member) = row.public_jwk.get(name) {
            jwk[name] = member.clone();
        }
    }
    jwk
}

/// Without word from the database for so long no token is signed or verified here.
const MAX_AGE: Duration = Duration::from_secs(10);
