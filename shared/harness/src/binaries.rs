//! Where the product's own binaries are: beside the one that is running.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::program;

/// A folder with our binaries.
#[derive(Clone, Debug)]
pub struct Binaries(PathBuf);

// === impl Binaries ===

impl Binaries {
    /// The folder of the running executable; a test's is one deeper, in `deps`.
    ///
    /// # Errors
    /// The system doesn't say where the executable is.
    pub fn beside_us() -> anyhow::Result<Self> {
        let us = std::env::current_exe().context("where is the running executable?")?;
        let mut folder = us.parent().unwrap_or(Path::new("/"));
        if folder.ends_with("deps") {
            folder = folder.parent().unwrap_or(folder);
        }
        Ok(Self(folder.to_owned()))
    }

    #[must_use]
    pub fn of(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// # Errors
    /// It isn't there: the message says what to build.
    pub fn find(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.0.join(name);
        if program::is_program(&path) {
            return Ok(path);
        }
        let package = match name {
            "provider-simulator" => "ah5-testkit".to_owned(),
            name => format!("ah5-{name}"),
        };
        bail!(
            "there is no {name} in {}: build it with `cargo build -p {package} --bins` and the \
             profile of that folder",
            self.0.display()
        )
    }
}
