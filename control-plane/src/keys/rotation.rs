//! How one key follows another. A new key is published first and signs once everybody who verifies
//! can know it. From then on the old one only verifies, until its last token has expired. A key that
//! somebody else may have is given up at once.
//!
//! Whoever changes keys holds the lock of their table, so any number of control planes may try.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;

use ah5_contracts::claims::USER_TOKEN_SECONDS;
use ah5_security::ring::{KeyRing, PublicKeyRow};
use ah5_security::token::{KeyKind, SigningKey};
use ah5_store::StoreError;
use ah5_store::signing_keys::{self, NewKey, StoredKey};

use super::{Config, KINDS, vouched};
use crate::app::App;

/// A key to be made.
#[derive(Clone, Copy)]
pub struct New {
    kind: KeyKind,
    reason: &'static str,
    signs_in: Duration,
}

/// One that was made.
pub struct Published {
    pub kind: KeyKind,
    pub kid: String,
    pub signs_from: Timestamp,
}

/// What time has made due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Publish(KeyKind),
    /// Another one signs: it only verifies from now on.
    Replace(String),
    /// Its last token has expired.
    Retire(String),
}

/// Why keys are given up.
#[derive(Clone, Copy)]
pub enum Ended {
    Compromised,
    /// They come from a backup: since it was made they may have been given up.
    Restored,
}

// === impl New ===

impl New {
    /// There is nobody yet who would have to learn of it.
    pub const fn at_first_start(kind: KeyKind) -> Self {
        Self {
            kind,
            reason: "first start",
            signs_in: Duration::ZERO,
        }
    }

    const fn in_turn(kind: KeyKind, reason: &'static str, config: &Config) -> Self {
        Self {
            kind,
            reason,
            signs_in: config.publication,
        }
    }
}

/// Does what is due. Nothing, if another process is at it.
pub async fn tend(app: &App) -> Result<(), StoreError> {
    let mut db = app.db().await?;
    let tx = db.transaction().await?;
    let Some(stored) = signing_keys::try_lock_all(&tx).await? else {
        return Ok(());
    };
    for step in due(&app.ring(), &app.config.keys, &stored) {
        match step {
            Step::Publish(kind) => {
                let new = New::in_turn(kind, "schedule", &app.config.keys);
                let made = publish(app, &tx, new, &stored).await?;
                let (kid, from) = (made.kid, made.signs_from);
                tracing::info!(kid, kind = kind.as_str(), signs_from = %from, "a new signing key is published");
            }
            Step::Replace(kid) => {
                signing_keys::replace(&tx, &kid, LEEWAY).await?;
                tracing::info!(
                    kid,
                    "a signing key was replaced; its private half is deleted"
                );
            }
            Step::Retire(kid) => {
                signing_keys::retire(&tx, &kid, false).await?;
                tracing::info!(
                    kid,
                    "a replaced signing key is retired: its last token has expired"
                );
            }
        }
    }
    Ok(tx.commit().await?)
}

/// `stored` is every key in force, newest first. Rows that nobody vouches for don't count: they must
/// not push ours aside.
pub fn due(ring: &KeyRing, config: &Config, stored: &[StoredKey]) -> Vec<Step> {
    let ours: Vec<&StoredKey> = stored
        .iter()
        .filter(|key| vouched(ring, key).is_some())
        .collect();
    let mut steps = Vec::new();
    for kind in KINDS {
        let mut signing = ours.iter().filter(|key| signs(key, kind));
        let current = signing.next();
        steps.extend(signing.map(|old| Step::Replace(old.kid.clone())));
        let waits = is_waiting(&ours, kind).is_some();
        let old = |current: &&&StoredKey| {
            let limit = config.rotate_after;
            !waits && limit.is_some_and(|limit| current.signed_for >= limit)
        };
        steps.extend(current.filter(old).map(|_| Step::Publish(kind)));
    }
    let over = ours.iter().filter(|key| key.is_over);
    steps.extend(over.map(|key| Step::Retire(key.kid.clone())));
    steps
}

/// # Errors
/// There are keys, and none of them is of our ring. Whoever went on would give up all that work.
pub async fn check_ring(app: &App) -> anyhow::Result<()> {
    let mut db = app.db().await?;
    let tx = db.transaction().await.map_err(StoreError::from)?;
    let stored = signing_keys::lock_all(&tx).await?;
    let is_ours = |key: &StoredKey| vouched(&app.ring(), key).is_some();
    anyhow::ensure!(
        stored.is_empty() || stored.iter().any(is_ours),
        "no signing key is vouched for by the key ring: is KEY_RING_FILE the one this database was made with?"
    );
    Ok(())
}

/// Publishes a key of each kind, unless one waits for its time already; returns those that do. Where
/// none signs there is nobody to wait for.
pub async fn begin(app: &App, kinds: &[KeyKind]) -> Result<Vec<Published>, StoreError> {
    let mut db = app.db().await?;
    let tx = db.transaction().await?;
    let stored = signing_keys::lock_all(&tx).await?;
    let ours: Vec<&StoredKey> = stored
        .iter()
        .filter(|key| vouched(&app.ring(), key).is_some())
        .collect();
    let mut made = Vec::new();
    for &kind in kinds {
        if is_waiting(&ours, kind).is_none() {
            let mut new = New::in_turn(kind, "operator", &app.config.keys);
            if !ours.iter().any(|key| signs(key, kind)) {
                new.signs_in = EVERYWHERE;
            }
            made.push(publish(app, &tx, new, &stored).await?);
        }
    }
    tx.commit().await?;
    Ok(made)
}

/// Gives up every key of these kinds, at once, and makes another of each. It signs after the second
/// within which every replica has heard of it; until then no token is issued.
pub async fn give_up(
    app: &App,
    client: &impl GenericClient,
    kinds: &[KeyKind],
    why: Ended,
) -> Result<Vec<Published>, StoreError> {
    let stored = signing_keys::lock_all(client).await?;
    let (reason, compromised) = match why {
        Ended::Compromised => ("compromised", true),
        Ended::Restored => ("restore", false),
    };
    let mut made = Vec::new();
    for &kind in kinds {
        for old in stored.iter().filter(|key| key.kind == kind.as_str()) {
            signing_keys::retire(client, &old.kid, compromised).await?;
        }
        let new = New {
            kind,
            reason,
            signs_in: EVERYWHERE,
        };
        made.push(publish(app, client, new, &stored).await?);
    }
    Ok(made)
}

/// In a transaction that holds the lock.
pub async fn publish(
    app: &App,
    client: &impl GenericClient,
    new: New,
    stored: &[StoredKey],
) -> Result<Published, StoreError> {
    let (ring, kind) = (app.ring(), new.kind);
    let key = SigningKey::generate(kind);
    let row = PublicKeyRow {
        kid: key.kid(),
        kind: kind.as_str(),
        alg: key.alg(),
        public_jwk: key.public_jwk(),
    };
    // Whatever any control plane has set as the life of its tokens, the next key has to bear it too.
    let same = stored.iter().filter(|old| old.kind == kind.as_str());
    let longest = same.map(|old| old.token_seconds).max().unwrap_or_default();
    let stored = NewKey {
        kid: row.kid,
        kind: row.kind,
        alg: row.alg,
        public_jwk: row.public_jwk,
        sealed_private: &ring.seal_private(key.kid(), key.private()),
        mac: &ring.mac_public_key(&row),
        reason: new.reason,
        signs_in: new.signs_in,
        token_seconds: longest.max(token_seconds(app, kind)),
    };
    let signs_from = signing_keys::insert(client, &stored).await?;
    Ok(Published {
        kind,
        kid: key.kid().to_owned(),
        signs_from,
    })
}

/// Notes how long the tokens of this control plane live. Keys that have been replaced are none of its.
pub async fn raise_life(
    app: &App,
    client: &impl GenericClient,
    stored: &[StoredKey],
) -> Result<(), StoreError> {
    for key in stored {
        let Some(kind) = KeyKind::from_stored(&key.kind) else {
            continue;
        };
        let seconds = token_seconds(app, kind);
        if key.token_seconds < seconds {
            signing_keys::raise_life(client, &key.kid, seconds).await?;
        }
    }
    Ok(())
}

fn signs(key: &StoredKey, kind: KeyKind) -> bool {
    key.kind == kind.as_str() && key.sealed_private.is_some() && key.signs_in.is_zero()
}

fn is_waiting<'a>(ours: &[&'a StoredKey], kind: KeyKind) -> Option<&'a StoredKey> {
    let mut same = ours.iter().filter(|key| key.kind == kind.as_str());
    same.find(|key| !key.signs_in.is_zero()).copied()
}

fn token_seconds(app: &App, kind: KeyKind) -> i32 {
    let seconds = match kind {
        KeyKind::Agent => app.config.agent_token_ttl,
        KeyKind::User => USER_TOKEN_SECONDS,
    };
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// Between a key's last token and its end: for clocks that differ, and for a control plane that has
/// not heard yet that another key signs.
const LEEWAY: Duration = Duration::from_secs(300);
/// Within it every replica knows what was committed.
const EVERYWHERE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
