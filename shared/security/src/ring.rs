//! The key ring: the installation's key-encryption keys, from a file that only the planes can
//! read. It wraps each workspace's data key, seals signing keys, and authenticates public keys and
//! audit rows. The database alone, without this file, opens nothing and forges nothing.

use std::collections::BTreeMap;
use std::path::Path;

use aes_gcm_siv::Aes256GcmSiv;
use aes_gcm_siv::aead::KeyInit as _;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use ah5_contracts::audit::AuditRow;
use ah5_contracts::id::WorkspaceId;

use crate::audit::AuditKey;
use crate::encode::Fields;
use crate::hash;
use crate::secret::SecretBytes;
use crate::vault::{self, DataKey, OpenError};

pub mod file;
pub mod held;
mod public_key;

pub use file::{Material, RingError, RingFile};
pub use public_key::PublicKeyRow;

pub struct KeyRing {
    current: String,
    keys: BTreeMap<String, Material>,
    /// Of keys that are no more: what still tells whether an old audit row is genuine.
    retired: BTreeMap<String, Material>,
}

/// A data key as it is stored.
pub struct Wrapped {
    pub ring_key_id: String,
    pub bytes: Vec<u8>,
}

// === impl KeyRing ===

impl KeyRing {
    /// From a file whose keys are plain.
    ///
    /// # Errors
    /// The file is missing, malformed, or readable by others than its owner.
    pub fn load(path: &Path) -> Result<Self, RingError> {
        let ring = RingFile::read(path)?.open(file::plain);
        ring.ok_or_else(|| RingError::Malformed(path.display().to_string()))
    }

    /// Makes a ring with one random key, readable by its owner only.
    ///
    /// # Errors
    /// The file exists already or can't be written.
    pub fn create(path: &Path) -> Result<(), RingError> {
        let (id, key) = file::new_key();
        RingFile::new(id, file::plain_text(&key)).create(path)
    }

    /// The id of the key that wraps and seals.
    #[must_use]
    pub fn current(&self) -> &str {
        &self.current
    }

    /// The ids of all its keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// The keys whose audit rows can be told from forged ones, though they are no more.
    pub fn retired(&self) -> impl Iterator<Item = &str> {
        self.retired.keys().map(String::as_str)
    }

    /// The first key of this ring that `other` has neither kept nor retired. A file that has one is no
    /// later state of this ring: it would open nothing of what is sealed under it.
    #[must_use]
    pub fn lost_by<'a>(&'a self, other: &Self) -> Option<&'a str> {
        let kept = |id: &str, key: &Material| {
            let same = |it: &Material| hash::equal(&**it, &**key);
            other.keys.get(id).is_some_and(same)
                || other.has_remains(id, &self.derive(key, "audit"))
        };
        let mut keys = self.keys.iter();
        if let Some((id, _)) = keys.find(|(id, key)| !kept(id, key)) {
            return Some(id);
        }
        let mut retired = self.retired.iter();
        let lost = retired.find(|(id, remains)| !other.has_remains(id, remains));
        lost.map(|(id, _)| id.as_str())
    }

    /// Of a key that is retired, or still one of the ring's.
    fn has_remains(&self, id: &str, remains: &Material) -> bool {
        let same = |it: &Material| hash::equal(&**it, &**remains);
        self.retired.get(id).is_some_and(same) || self.audit_remains(id).is_some_and(|it| same(&it))
    }

    #[must_use]
    pub fn wrap(&self, workspace: WorkspaceId, key: &DataKey) -> Wrapped {
        let aad = wrap_aad(workspace, &self.current);
        // The constructors made sure that `current` is among the keys.
        let cipher = self
            .cipher(&self.current, "wrap")
            .expect("the current key exists");
        Wrapped {
            ring_key_id: self.current.clone(),
            bytes: vault::seal(&cipher, &aad, key.bytes()),
        }
    }

    /// # Errors
    /// The ring lacks the key, or the wrap is not this workspace's.
    pub fn unwrap(
        &self,
        workspace: WorkspaceId,
        ring_key_id: &str,
        wrapped: &[u8],
    ) -> Result<DataKey, OpenError> {
        let cipher = self.cipher(ring_key_id, "wrap").ok_or(OpenError)?;
        let opened = vault::open(&cipher, &wrap_aad(workspace, ring_key_id), wrapped)?;
        let bytes: [u8; 32] = opened.expose().try_into().map_err(|_| OpenError)?;
        Ok(DataKey::from_bytes(Zeroizing::new(bytes)))
    }

    /// The data key as it is stored, with the one before it for as long as that is stored, too.
    ///
    /// # Errors
    /// As [`Self::unwrap`].
    pub fn unwrap_pair(
        &self,
        workspace: WorkspaceId,
        current: &Wrapped,
        previous: Option<&Wrapped>,
    ) -> Result<DataKey, OpenError> {
        let open = |key: &Wrapped| self.unwrap(workspace, &key.ring_key_id, &key.bytes);
        let key = open(current)?;
        Ok(match previous {
            Some(previous) => key.after(open(previous)?),
            None => key,
        })
    }

    /// Seals the private half of a signing key. The ring key's id stands in front.
    #[must_use]
    pub fn seal_private(&self, kid: &str, private: &SecretBytes) -> Vec<u8> {
        self.seal("signing", &private_aad(kid), private)
    }

    /// # Errors
    /// The ring lacks the key, or what is sealed is another key's private half.
    pub fn open_private(&self, kid: &str, sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        self.open("signing", &private_aad(kid), sealed)
    }

    /// Seals a mail that waits to be sent.
    #[must_use]
    pub fn seal_mail(&self, id: Uuid, mail: &SecretBytes) -> Vec<u8> {
        self.seal("mail", &mail_aad(id), mail)
    }

    /// # Errors
    /// The ring lacks the key, or what is sealed is another mail.
    pub fn open_mail(&self, id: Uuid, sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        self.open("mail", &mail_aad(id), sealed)
    }

    /// A digest that only the holders of the ring can compute. It changes with the current key, so
    /// it serves what is forgotten soon.
    #[must_use]
    pub fn digest(&self, purpose: &str, text: &str) -> [u8; 32] {
        self.digest_by(&self.keys[&self.current], purpose, text)
    }

    /// The digest by each key of the ring, the current one's first: for what must be known again by
    /// a process whose current key is another.
    #[must_use]
    pub fn digests(&self, purpose: &str, text: &str) -> Vec<[u8; 32]> {
        let others = self.keys.iter().filter(|(id, _)| **id != self.current);
        std::iter::once(self.digest(purpose, text))
            .chain(others.map(|(_, key)| self.digest_by(key, purpose, text)))
            .collect()
    }

    fn digest_by(&self, key: &[u8; 32], purpose: &str, text: &str) -> [u8; 32] {
        let fields = Fields::new("ah5.digest.v1").text(purpose).text(text);
        mac(&self.derive(key, "digest"), &fields.finish())
    }

    /// The key that something was sealed by with the key's id in front.
    #[must_use]
    pub fn sealer(sealed: &[u8]) -> Option<&str> {
        let (&length, rest) = sealed.split_first()?;
        std::str::from_utf8(rest.get(..length.into())?).ok()
    }

    fn seal(&self, purpose: &str, aad: &[u8], secret: &SecretBytes) -> Vec<u8> {
        let cipher = self
            .cipher(&self.current, purpose)
            .expect("the current key exists");
        let mut out = vec![u8::try_from(self.current.len()).unwrap_or(u8::MAX)];
        out.extend_from_slice(self.current.as_bytes());
        out.extend_from_slice(&vault::seal(&cipher, aad, secret.expose()));
        out
    }

    fn open(&self, purpose: &str, aad: &[u8], sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        let (&length, rest) = sealed.split_first().ok_or(OpenError)?;
        let (id, envelope) = rest.split_at_checked(length.into()).ok_or(OpenError)?;
        let id = std::str::from_utf8(id).map_err(|_| OpenError)?;
        let cipher = self.cipher(id, purpose).ok_or(OpenError)?;
        vault::open(&cipher, aad, envelope)
    }

    /// What new rows are authenticated with.
    #[must_use]
    pub fn audit_key(&self) -> AuditKey {
        AuditKey::new(self.derive(&self.keys[&self.current], "audit"))
    }

    /// Whether the row is as it was appended, by whatever key was current then.
    #[must_use]
    pub fn vouches_for(&self, row: &AuditRow) -> bool {
        let held = self.keys.values().map(|key| self.derive(key, "audit"));
        let mut keys = held.chain(self.retired.values().cloned());
        keys.any(|key| AuditKey::new(key).verify(row))
    }

    /// What is kept of a key that is retired: it authenticates audit rows and opens nothing.
    #[must_use]
    pub fn audit_remains(&self, id: &str) -> Option<Material> {
        Some(self.derive(self.keys.get(id)?, "audit"))
    }

    /// Bytes that nobody without the ring can tell from random ones. The same message gives the same
    /// bytes until the ring's current key changes.
    #[must_use]
    pub fn decoy(&self, message: &[u8]) -> [u8; 32] {
        mac(&self.derive(&self.keys[&self.current], "decoy"), message)
    }

    fn cipher(&self, id: &str, purpose: &str) -> Option<Aes256GcmSiv> {
        let key = self.derive(self.keys.get(id)?, purpose);
        Some(Aes256GcmSiv::new((&*key).into()))
    }

    // One key a purpose, so that no ciphertext or MAC can be carried from one use to another.
    fn derive(&self, key: &[u8; 32], purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(mac(key, &Fields::new("ah5.ring.v1").text(purpose).finish()))
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "KeyRing({} keys, current {})",
            self.keys.len(),
            self.current
        )
    }
}

pub(crate) fn mac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn wrap_aad(workspace: WorkspaceId, ring_key_id: &str) -> Vec<u8> {
    Fields::new("ah5.data-key.v2")
        .bytes(workspace.uuid().as_bytes())
        .text(ring_key_id)
        .finish()
}

fn private_aad(kid: &str) -> Vec<u8> {
    Fields::new("ah5.signing-key.v2").text(kid).finish()
}

fn mail_aad(id: Uuid) -> Vec<u8> {
    Fields::new("ah5.mail.v1").bytes(id.as_bytes()).finish()
}

#[cfg(test)]
mod tests;
