//! What providers handed out and the database does not have yet, a file each, tokens sealed. A file is
//! surely on disk before the commit is tried and goes once that is settled, so that a process that is
//! killed in between loses no account.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ah5_contracts::id::{ConnectionId, WorkspaceId};
use ah5_store::refreshes::{Renewal, Seen};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Clone)]
pub struct Journal {
    folder: PathBuf,
}

#[derive(Clone, Deserialize, Serialize)]
pub struct Handed {
    workspace: WorkspaceId,
    connection: ConnectionId,
    /// That is replaced.
    version: i64,
    #[serde(with = "bytes")]
    pub sealed: Vec<u8>,
    #[serde(with = "bytes")]
    pub sealed_refresh: Vec<u8>,
    pub expires_at: Option<Timestamp>,
    pub scopes: Option<Vec<String>>,
}

// === impl Journal ===

impl Journal {
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    pub fn open(&self) -> io::Result<()> {
        let folder = &self.folder;
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
        let meta = std::fs::symlink_metadata(folder)?;
        let ours = rustix::process::geteuid().as_raw();
        // Whoever can write here can bring the tokens of an earlier refresh back.
        if !meta.is_dir() || meta.uid() != ours || meta.mode() & 0o022 != 0 {
            let why = "it must be a folder that this user alone may write to";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(())
    }

    /// Returns once it is surely on disk.
    pub async fn write(&self, handed: &Handed) -> io::Result<PathBuf> {
        let name = format!("{}-{}", handed.connection, handed.version);
        let (folder, text) = (self.folder.clone(), serde_json::to_vec(handed)?);
        let write = move || write(&folder, &name, &text);
        tokio::task::spawn_blocking(write).await?
    }

    /// Each with its file. A file that makes no sense is set aside.
    pub fn entries(&self) -> io::Result<Vec<(PathBuf, Handed)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|it| it != KIND) {
                continue;
            }
            let text = match std::fs::read(&path) {
                Ok(text) => text,
                // Settled by somebody else meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            match serde_json::from_slice(&text) {
                Ok(handed) => found.push((path, handed)),
                Err(_) => set_aside(&path),
            }
        }
        Ok(found)
    }

    pub fn remove(&self, path: &Path) {
        match std::fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // It is settled once more at the next start, which changes nothing.
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot be removed"),
        }
    }
}

// === impl Handed ===

impl Handed {
    pub const fn new(of: Seen, sealed: Vec<u8>, sealed_refresh: Vec<u8>) -> Self {
        Self {
            workspace: of.workspace,
            connection: of.connection,
            version: of.version,
            sealed,
            sealed_refresh,
            expires_at: None,
            scopes: None,
        }
    }

    pub fn renewal(&self) -> Renewal<'_> {
        Renewal {
            of: Seen {
                workspace: self.workspace,
                connection: self.connection,
                version: self.version,
            },
            sealed: &self.sealed,
            sealed_refresh: &self.sealed_refresh,
            expires_at: self.expires_at,
            scopes: self.scopes.as_deref(),
        }
    }
}

fn write(folder: &Path, name: &str, text: &[u8]) -> io::Result<PathBuf> {
    let partial = folder.join(format!("{}.partial", Uuid::new_v4()));
    let path = folder.join(format!("{name}.{KIND}"));
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600);
    let written = file.open(&partial).and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()
    });
    let named = written
        .and_then(|()| std::fs::rename(&partial, &path))
        .and_then(|()| File::open(folder)?.sync_all());
    if named.is_err() {
        drop(std::fs::remove_file(&partial));
    }
    named.map(|()| path)
}

pub fn set_aside(path: &Path) {
    let moved = std::fs::rename(path, path.with_extension("damaged"));
    let path = path.display();
    tracing::error!(%path, ?moved, "what a provider handed out cannot be read");
}

const KIND: &str = "handed";

mod bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(de::Error::custom)
    }
}
