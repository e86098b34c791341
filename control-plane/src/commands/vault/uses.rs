//! How much is sealed under each key of the ring.

use std::collections::{BTreeMap, BTreeSet};

use ah5_security::ring::{KeyRing, PublicKeyRow};
use ah5_store::{StoreError, ring, signing_keys};

use crate::app::App;

/// By the key's id, then by what it is.
pub struct Uses(BTreeMap<String, BTreeMap<String, i64>>);

// === impl Uses ===

impl Uses {
    pub async fn read(app: &App) -> Result<Self, StoreError> {
        let mut db = app.db().await?;
        let tx = db.transaction().await?;
        let mut uses: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
        let mut add = |id: &str, what: &str, count| {
            let of = uses.entry(id.to_owned()).or_default();
            *of.entry(what.to_owned()).or_default() += count;
        };
        for it in ring::uses(&tx).await? {
            add(&it.ring_key_id, &it.what, it.count);
        }
        // The MAC of a public key doesn't say whose it is.
        for key in signing_keys::lock_all(&tx).await? {
            let row = PublicKeyRow {
                kid: &key.kid,
                kind: &key.kind,
                alg: &key.alg,
                public_jwk: &key.public_jwk,
            };
            if let Some(id) = app.ring().public_key_signer(&row, &key.mac) {
                add(id, "public key", 1);
            }
        }
        Ok(Self(uses))
    }

    pub fn is_used(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    pub fn of(&self, id: &str) -> String {
        let Some(uses) = self.0.get(id) else {
            return "none".to_owned();
        };
        let shown: Vec<String> = uses
            .iter()
            .map(|(what, count)| format!("{what}: {count}"))
            .collect();
        shown.join(", ")
    }

    pub fn unknown_to(&self, ring: &KeyRing) -> impl Iterator<Item = &str> {
        let known: BTreeSet<String> = ring
            .ids()
            .chain(ring.retired())
            .map(str::to_owned)
            .collect();
        let used = self.0.keys().map(String::as_str);
        used.filter(move |id| !known.contains(*id))
    }
}
