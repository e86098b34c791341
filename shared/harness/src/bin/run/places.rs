//! Where `make run` keeps things: `.local/`, a short folder for sockets in the system's temporary
//! directory and, where PostgreSQL's user can't enter `.local/`, a folder in `/var/lib`.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use ah5_harness::postgres::kept;
use ah5_harness::stack::home::Home;
use ah5_harness::user::{self, RunAs};

pub struct Places {
    root: PathBuf,
    /// Names this root in folders that it shares with others.
    name: String,
}

// === impl Places ===

impl Places {
    /// # Errors
    /// The folder can't be made.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let make = || {
            std::fs::create_dir_all(folder)?;
            // Root's PostgreSQL belongs to another user, who must get through.
            let mode = if user::is_root() { 0o711 } else { 0o700 };
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode))?;
            folder.canonicalize()
        };
        let root = make().with_context(|| format!("cannot make {}", folder.display()))?;
        let digest = ah5_security::hash::sha256(root.as_os_str().as_encoded_bytes());
        let name = digest[..6].iter().fold(String::new(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        });
        Ok(Self { root, name })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn run_file(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// Where mail goes that nobody sends.
    pub fn mail(&self) -> PathBuf {
        self.root.join("mail")
    }

    /// # Errors
    /// There is no room to work in.
    pub fn check_disk(&self) -> anyhow::Result<()> {
        let disk = rustix::fs::statvfs(&self.root)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize) / MEBIBYTE;
        ensure!(
            free >= MIN_FREE,
            "there is too little space left on the disk of {}: {free} MiB, and at least {MIN_FREE} \
             MiB are needed",
            self.root.display()
        );
        Ok(())
    }

    /// Logs are of one run; those of the last one are kept.
    ///
    /// # Errors
    /// They can't be renamed.
    pub fn put_logs_aside(&self) -> anyhow::Result<()> {
        let Ok(logs) = std::fs::read_dir(self.root.join("logs")) else {
            return Ok(());
        };
        for log in logs {
            let path = log?.path();
            if path.extension().is_some_and(|it| it == "log") {
                std::fs::rename(&path, path.with_extension("log.old"))?;
            }
        }
        // Of an earlier run that was killed.
        drop(std::fs::remove_file(self.run_file()));
        Ok(())
    }

    /// # Errors
    /// A folder can't be made, or isn't ours.
    pub fn home(&self) -> anyhow::Result<Home> {
        let server = kept::user()?;
        Home::lasting(
            self.root.clone(),
            self.short(&server)?,
            self.cluster(&server)?,
        )
    }

    fn short(&self, server: &RunAs) -> anyhow::Result<PathBuf> {
        let mut parent = std::env::temp_dir();
        if !is_short_and_plain(&parent) || !server.can_enter(&parent) {
            parent = "/tmp".into();
        }
        let folder = parent.join(format!("ah5-{}", self.name));
        if let Err(error) = std::fs::create_dir(&folder)
            && error.kind() != ErrorKind::AlreadyExists
        {
            return Err(error).with_context(|| format!("cannot make {}", folder.display()));
        }
        // Anybody may make folders there, also under this name.
        let made = std::fs::symlink_metadata(&folder)?;
        ensure!(
            made.is_dir() && made.uid() == rustix::process::geteuid().as_raw(),
            "{} belongs to somebody else: remove it",
            folder.display()
        );
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o711))?;
        // For people, and for `make clean`.
        let link = self.root.join("sockets");
        drop(std::fs::remove_file(&link));
        std::os::unix::fs::symlink(&folder, link)?;
        Ok(folder)
    }

    fn cluster(&self, server: &RunAs) -> anyhow::Result<PathBuf> {
        let link = self.root.join("postgres");
        let elsewhere = Path::new(ELSEWHERE).join(&self.name);
        let entered = server.can_enter(&self.root);
        if link.is_symlink() || !(entered || link.exists()) {
            make_folder(&elsewhere)?;
            if !link.is_symlink() {
                std::os::unix::fs::symlink(&elsewhere, &link)?;
            }
            return Ok(link.canonicalize()?);
        }
        ensure!(
            entered,
            "PostgreSQL's user can't enter {} any more: move {} to {} and put a link in its place",
            self.root.display(),
            link.display(),
            elsewhere.display()
        );
        make_folder(&link)?;
        Ok(link)
    }
}

// Socket paths stand in configurations and connection strings.
fn is_short_and_plain(path: &Path) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    path.to_str()
        .is_some_and(|path| path.len() <= MAX_PARENT && path.chars().all(plain))
}

fn make_folder(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

/// For clusters whose own place their user can't enter.
const ELSEWHERE: &str = "/var/lib/ah5-local";
const MEBIBYTE: u64 = 1024 * 1024;
/// A fresh cluster and some room for its log.
const MIN_FREE: u64 = 256;
/// A socket's path is limited to about 100 bytes.
const MAX_PARENT: usize = 50;
