//! A data folder that is made once and copied for each temporary cluster. Making one and bringing its
//! schema up to date costs more than all else that a short test does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::Cluster;
use super::programs::Programs;
use crate::process::Signal;
use crate::user::RunAs;

/// The data folder of a server that was shut down.
pub struct Template(PathBuf);

// === impl Template ===

impl Template {
    /// The template of this name, which says all that its content depends on but PostgreSQL's
    /// version. If there is none in the folder yet, it is made of the cluster that `make` starts.
    ///
    /// # Errors
    /// There is no PostgreSQL, the cluster can't be made, or the folder can't be written.
    pub fn open(
        folder: &Path,
        name: &str,
        make: impl FnOnce() -> anyhow::Result<Cluster>,
    ) -> anyhow::Result<Self> {
        let kind = format!("{PREFIX}{}-", Programs::newest()?.major);
        let path = folder.join(format!("{kind}{name}"));
        if path.is_dir() {
            return Ok(Self(path));
        }
        let mut cluster = make()?;
        // All of it is written to the files then, and nothing is left to recover.
        cluster.stop = Signal::INT;
        cluster.stop()?;
        remove_old(folder);
        // Another test may make the same one meanwhile: whoever is first to move it in place wins.
        let partial = tempfile::Builder::new().prefix(PREFIX).tempdir_in(folder)?;
        copy(&cluster.data, partial.path(), &RunAs::Us)?;
        let partial = partial.keep();
        if std::fs::rename(&partial, &path).is_err() {
            drop(std::fs::remove_dir_all(&partial));
        }
        Ok(Self(path))
    }

    /// Makes a data folder of this user's.
    pub(super) fn copy(&self, to: &Path, user: &RunAs) -> anyhow::Result<()> {
        std::fs::create_dir(to)?;
        copy(&self.0, to, user)
    }
}

fn copy(from: &Path, to: &Path, user: &RunAs) -> anyhow::Result<()> {
    user.own(to, 0o700)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("{}", from.display()))? {
        let entry = entry?;
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&copied)?;
            copy(&path, &copied, user)?;
        } else {
            std::fs::copy(&path, &copied)?;
            user.own(&copied, 0o600)?;
        }
    }
    Ok(())
}

/// Each build has its own; those of builds long ago only take room.
fn remove_old(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|it| it.modified());
        let age = age.ok().and_then(|made| made.elapsed().ok());
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if ours && age.is_some_and(|age| age > KEPT) {
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}

const PREFIX: &str = "postgres-template-";
const KEPT: Duration = Duration::from_hours(2);
