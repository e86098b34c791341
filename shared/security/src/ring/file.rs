//! The key ring as a file: which keys there are, which one is current, and what is left of those that
//! are no more. Keys stand in it as base64, or as a key management service has wrapped them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::KeyRing;
use crate::random;

/// A key itself.
pub type Material = Zeroizing<[u8; 32]>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RingFile {
    current: String,
    keys: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    retired: BTreeMap<String, String>,
}

#[derive(Debug, thiserror::Error)]
pub enum RingError {
    #[error("cannot read or write the key ring {path}: {source}")]
    Io {
        path: String,
        source: std::io::Error,
    },
    #[error("the key ring {0} is not of the expected form")]
    Malformed(String),
    #[error("the key ring {0} can be read by others: run `chmod 600` on it")]
    TooOpen(String),
}

// === impl RingFile ===

impl RingFile {
    /// With one key, its text as [`plain_text`] or a service's.
    #[must_use]
    pub fn new(id: String, key: String) -> Self {
        Self {
            current: id.clone(),
            keys: BTreeMap::from([(id, key)]),
            retired: BTreeMap::new(),
        }
    }

    /// # Errors
    /// The file is missing, malformed, or readable by others than its owner.
    pub fn read(path: &Path) -> Result<Self, RingError> {
        let io = io_error(path);
        let mode = std::fs::metadata(path).map_err(&io)?.permissions().mode();
        let shown = path.display().to_string();
        if mode & 0o077 != 0 {
            return Err(RingError::TooOpen(shown));
        }
        let text = Zeroizing::new(std::fs::read(path).map_err(io)?);
        serde_json::from_slice(&text).map_err(|_| RingError::Malformed(shown))
    }

    /// # Errors
    /// The file exists already or can't be written.
    pub fn create(&self, path: &Path) -> Result<(), RingError> {
        self.write(path).map_err(io_error(path))
    }

    /// Puts this file in the other one's place, at once: nobody ever reads half of it.
    ///
    /// # Errors
    /// It can't be written; the other one is then as it was.
    pub fn replace(&self, path: &Path) -> Result<(), RingError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(
            ".{:016x}.partial",
            u64::from_be_bytes(random::bytes())
        ));
        let partial = Path::new(&partial);
        let put = || {
            self.write(partial)?;
            std::fs::rename(partial, path)?;
            // The rename itself must outlast a crash, too.
            let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        put()
            .inspect_err(|_| drop(std::fs::remove_file(partial)))
            .map_err(io_error(path))
    }

    /// The texts of all keys, the retired ones' remains included.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let all = self.keys.values().chain(self.retired.values());
        all.map(String::as_str)
    }

    /// The same, to put others in their place.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        self.keys.values_mut().chain(self.retired.values_mut())
    }

    /// The ring, if each text gives a key and there is a current one.
    pub fn open(&self, key: impl Fn(&str) -> Option<Material>) -> Option<KeyRing> {
        let keys = opened(&self.keys, &key)?;
        let retired = opened(&self.retired, &key)?;
        keys.contains_key(&self.current).then(|| KeyRing {
            current: self.current.clone(),
            keys,
            retired,
        })
    }

    /// The key is known from now on, not current.
    pub fn add(&mut self, id: String, key: String) {
        self.keys.insert(id, key);
    }

    /// False where there is no such key.
    #[must_use]
    pub fn make_current(&mut self, id: &str) -> bool {
        let known = self.keys.contains_key(id);
        if known {
            id.clone_into(&mut self.current);
        }
        known
    }

    /// The key is no more; `remains` tells whether its audit rows are genuine. False where there is
    /// no such key, or it is the current one.
    #[must_use]
    pub fn retire(&mut self, id: &str, remains: String) -> bool {
        if id == self.current {
            return false;
        }
        let Some(mut key) = self.keys.remove(id) else {
            return false;
        };
        key.zeroize();
        self.retired.insert(id.to_owned(), remains);
        true
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let text = Zeroizing::new(serde_json::to_vec_pretty(self)?);
        let mut options = File::options();
        let options = options.write(true).create_new(true).mode(0o600);
        let mut out = options.open(path)?;
        out.write_all(&text)?;
        out.sync_all()
    }
}

impl Drop for RingFile {
    fn drop(&mut self) {
        let all = self.keys.values_mut().chain(self.retired.values_mut());
        all.for_each(|key| key.zeroize());
    }
}

/// A random key and an id for it.
#[must_use]
pub fn new_key() -> (String, Material) {
    let id = format!("k{:08x}", u32::from_be_bytes(random::bytes()));
    (id, Zeroizing::new(random::bytes()))
}

/// The text of a key that nobody has wrapped.
#[must_use]
pub fn plain_text(key: &Material) -> String {
    STANDARD.encode(**key)
}

/// The key of such a text.
#[must_use]
pub fn plain(text: &str) -> Option<Material> {
    material(&Zeroizing::new(STANDARD.decode(text).ok()?))
}

/// Bytes as a key. A key of zeros is the sample that somebody forgot to replace.
#[must_use]
pub fn material(bytes: &[u8]) -> Option<Material> {
    let key: [u8; 32] = bytes.try_into().ok()?;
    (key != [0; 32]).then(|| Zeroizing::new(key))
}

fn opened(
    texts: &BTreeMap<String, String>,
    key: impl Fn(&str) -> Option<Material>,
) -> Option<BTreeMap<String, Material>> {
    let mut keys = BTreeMap::new();
    for (id, text) in texts {
        if id.is_empty() || id.len() > 64 {
            return None;
        }
        keys.insert(id.clone(), key(text)?);
    }
    Some(keys)
}

fn io_error(path: &Path) -> impl Fn(std::io::Error) -> RingError {
    let path = path.display().to_string();
    move |source| RingError::Io {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use ah5_contracts::id::WorkspaceId;

    use super::*;
    use crate::vault::DataKey;

    #[test]
    fn refuses_a_ring_of_zeros_and_one_without_its_current_key() {
        let zeros = RingFile::new("k".into(), STANDARD.encode([0; 32]));
        assert!(zeros.open(plain).is_none());
        let mut file = RingFile::new("k".into(), plain_text(&new_key().1));
        assert!(!file.make_current("other"));
        file.current = "other".into();
        assert!(file.open(plain).is_none());
    }

    #[test]
    fn a_retired_key_opens_nothing_and_leaves_what_verifies_its_rows() {
        let ((old, first), (new, second)) = (new_key(), new_key());
        let mut file = RingFile::new(old.clone(), plain_text(&first));
        file.add(new.clone(), plain_text(&second));
        let workspace = WorkspaceId::random();
        let before = file.open(plain).unwrap();
        let wrapped = before.wrap(workspace, &DataKey::generate());
        assert_eq!(wrapped.ring_key_id, old);
        assert!(!file.retire(&old, String::new()), "the current one");
        assert!(file.make_current(&new));
        let remains = before.audit_remains(&old).unwrap();
        assert!(file.retire(&old, plain_text(&remains)));
        let folder = std::env::temp_dir().join(format!("ah5-ring-{workspace}"));
        file.replace(&folder).unwrap();
        let after = KeyRing::load(&folder).unwrap();
        std::fs::remove_file(&folder).unwrap();
        assert!(after.unwrap(workspace, &old, &wrapped.bytes).is_err());
        assert_eq!((after.current(), after.ids().count()), (new.as_str(), 1));
        assert_eq!(after.retired().collect::<Vec<_>>(), [old]);
        // Forwards and back, nothing is lost.
        assert_eq!(before.lost_by(&after), None);
        assert_eq!(after.lost_by(&before), None);
    }

    #[test]
    fn a_ring_is_lost_by_a_file_without_a_key_of_it_or_with_another_of_that_name() {
        let ((old, first), (new, second)) = (new_key(), new_key());
        let alone = |id: &str, key| RingFile::new(id.to_owned(), plain_text(key));
        let one = alone(&old, &first).open(plain).unwrap();
        let mut both = alone(&old, &first);
        both.add(new.clone(), plain_text(&second));
        let mut both = both.open(plain).unwrap();
        assert_eq!(one.lost_by(&both), None);
        assert_eq!(both.lost_by(&one), Some(&*new));
        let foreign = alone(&old, &second).open(plain).unwrap();
        assert_eq!(one.lost_by(&foreign), Some(&*old));
        // What is left of a retired key must stay, too.
        both.retired = BTreeMap::from([("gone".to_owned(), second.clone())]);
        let mut other = alone(&old, &first);
        other.add(new, plain_text(&both.keys[both.current()]));
        assert!(both.lost_by(&other.open(plain).unwrap()).is_some());
    }
}
