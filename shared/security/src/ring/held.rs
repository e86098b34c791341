//! The key ring as a process holds it: another may take its place while requests are answered, and
//! what is derived from it changes with it. Readers take no lock.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::KeyRing;
use crate::audit::AuditKey;
use crate::dpop::nonce::Nonces;

/// Clones hold the same.
#[derive(Clone, Debug)]
pub struct Held(Arc<ArcSwap<InUse>>);

/// A ring with what is derived from it.
pub struct InUse {
    ring: KeyRing,
    pub audit: AuditKey,
    pub nonces: Nonces,
}

// === impl Held ===

impl Held {
    #[must_use]
    pub fn now(&self) -> Arc<InUse> {
        self.0.load_full()
    }

    pub fn replace(&self, ring: KeyRing) {
        self.0.store(Arc::new(ring.into()));
    }
}

impl From<KeyRing> for Held {
    fn from(ring: KeyRing) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(ring.into())))
    }
}

// === impl InUse ===

impl From<KeyRing> for InUse {
    fn from(ring: KeyRing) -> Self {
        Self {
            audit: ring.audit_key(),
            nonces: Nonces::new(&ring),
            ring,
        }
    }
}

impl Deref for InUse {
    type Target = KeyRing;

    fn deref(&self) -> &KeyRing {
        &self.ring
    }
}

impl std::fmt::Debug for InUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.ring.fmt(f)
    }
}
