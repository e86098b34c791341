//! The folders of a stack.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use ah5_security::secret::SecretText;

/// The product's database in a private cluster.
pub const DATABASE: &str = "ah5";

/// Where a stack keeps its files.
pub struct Home {
    root: PathBuf,
    short: PathBuf,
    /// Set for a lasting stack: the folder of its database cluster.
    cluster: Option<PathBuf>,
    _temporary: Option<TempDir>,
}

// === impl Home ===

impl Home {
    /// Gone on drop.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn temporary() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("ah5-").tempdir_in("/tmp")?;
        let root = folder.path().to_owned();
        let home = Self {
            short: root.clone(),
            root,
            cluster: None,
            _temporary: Some(folder),
        };
        // nginx's workers must get at its folder in here.
        std::fs::set_permissions(
            &home.root,
            std::os::unix::fs::PermissionsExt::from_mode(0o711),
        )?;
        home.make_folders()?;
        Ok(home)
    }

    /// `root` gets what is ours, `short` sockets and nginx's files, `cluster` the database.
    ///
    /// # Errors
    /// A folder can't be made.
    pub fn lasting(root: PathBuf, short: PathBuf, cluster: PathBuf) -> anyhow::Result<Self> {
        let home = Self {
            root,
            short,
            cluster: Some(cluster),
            _temporary: None,
        };
        home.make_folders()?;
        Ok(home)
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    #[must_use]
    pub fn log(&self, part: &str) -> PathBuf {
        self.logs().join(format!("{part}.log"))
    }

    #[must_use]
    pub fn key_ring(&self) -> PathBuf {
        self.root.join("secrets/key-ring.json")
    }

    #[must_use]
    pub fn spool(&self, number: usize) -> PathBuf {
        self.root.join(format!("spool/{number}"))
    }

    #[must_use]
    pub fn addresses(&self, part: &str) -> PathBuf {
        self.root.join(format!("addresses/{part}.json"))
    }

    #[must_use]
    pub fn front(&self) -> PathBuf {
        self.short.join("nginx")
    }

    #[must_use]
    pub fn postgres_socket(&self) -> PathBuf {
        self.short.join("pg")
    }

    #[must_use]
    pub fn cluster(&self) -> Option<&Path> {
        self.cluster.as_deref()
    }

    /// A password that stays the same from start to start.
    ///
    /// # Errors
    /// It can't be read or written.
    pub fn password(&self, name: &str) -> anyhow::Result<SecretText> {
        let path = self.root.join("secrets").join(name);
        if let Ok(text) = std::fs::read_to_string(&path)
            && !text.trim().is_empty()
        {
            return Ok(SecretText::new(text.trim().to_owned()));
        }
        let password = ah5_security::random::token("");
        self.write_secret(name, password.expose())?;
        Ok(password)
    }

    /// Writes a file that only we can read, and says where it is.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write_secret(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.root.join("secrets").join(name);
        let partial = path.with_extension("partial");
        drop(std::fs::remove_file(&partial));
        let write = || -> std::io::Result<()> {
            let mut options = std::fs::File::options();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&partial)?;
            file.write_all(text.as_bytes())?;
            std::fs::rename(&partial, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    fn make_folders(&self) -> anyhow::Result<()> {
        for (name, mode) in [
            ("secrets", 0o700),
            ("logs", 0o700),
            ("spool", 0o700),
            ("addresses", 0o700),
        ] {
            let path = self.root.join(name);
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(mode);
            builder
                .create(&path)
                .with_context(|| format!("cannot make {}", path.display()))?;
        }
        for folder in [self.front(), self.postgres_socket()] {
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(())
    }
}
