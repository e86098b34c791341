//! The spool's folder: a lock, and one subfolder for each life of a process. Whoever holds the
//! value holds the lock.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ah5_contracts::id::SpoolId;

use super::SpoolError;
use super::leftover::Leftover;

pub(super) struct Folder {
    root: PathBuf,
    _lock: File,
}

// === impl Folder ===

impl Folder {
    pub(super) fn open(root: &Path) -> Result<Self, SpoolError> {
        let failed = |source| io_error(root, source);
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(failed)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(root.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                root: root.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(SpoolError::Locked(root.display().to_string())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// What earlier lives did not get into the database.
    pub(super) fn leftovers(&self) -> Result<Vec<Leftover>, SpoolError> {
        self.find().map_err(|source| io_error(&self.root, source))
    }

    /// Makes the subfolder of this life, surely on disk.
    pub(super) fn begin(&self, spool: SpoolId) -> Result<PathBuf, SpoolError> {
        let life = self.root.join(spool.to_string());
        DirBuilder::new()
            .mode(0o700)
            .create(&life)
            .and_then(|()| sync(&self.root))
            .map_err(|source| io_error(&life, source))?;
        Ok(life)
    }

    /// Keeps a damaged segment for people to look at. It is not read again.
    pub(super) fn set_aside(&self, spool: SpoolId, segment: &Path) {
        let name = segment.file_name().unwrap_or_default().to_string_lossy();
        let kept = self.root.join(format!("damaged-{spool}-{name}"));
        let moved = std::fs::rename(segment, &kept);
        metrics::counter!("ah5_audit_damaged_segments_total").increment(1);
        let (segment, kept) = (segment.display(), kept.display());
        tracing::error!(%segment, %kept, ?moved, "an audit segment is damaged; rows may be lost");
    }

    fn find(&self) -> io::Result<Vec<Leftover>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.root)? {
            let entry = entry?;
            let spool = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let Some(spool) = spool {
                found.push(Leftover::open(entry.path(), spool)?);
            }
        }
        Ok(found)
    }
}

/// Makes new names in a folder survive a power cut.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn io_error(path: &Path, source: io::Error) -> SpoolError {
    let path = path.display().to_string();
    SpoolError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn belongs_to_one_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("a/b");
        let first = Folder::open(&root).unwrap();
        let error = Folder::open(&root).err().unwrap();
        assert!(matches!(&error, SpoolError::Locked(path) if *path == root.display().to_string()));
        drop(first);
        Folder::open(&root).unwrap();
    }

    #[test]
    fn takes_over_lives_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        std::fs::create_dir(place.path().join("other")).unwrap();
        assert!(folder.leftovers().unwrap().is_empty());
        folder.begin(SpoolId::random()).unwrap();
        assert_eq!(folder.leftovers().unwrap().len(), 1);
    }
}
