//! The ring's file and who unwraps what is in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ah5_security::ring::file::{self, Material};
use ah5_security::ring::{KeyRing, RingError, RingFile};
use ah5_settings::Settings;
use tokio::time::sleep;

use crate::kms::{self, Kms, KmsError};

#[derive(Clone)]
pub struct Source {
    path: PathBuf,
    kms: Option<Arc<dyn Kms>>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    File(#[from] RingError),
    #[error(
        "the file lacks key {0}, which is in use: it is another installation's, or an older one"
    )]
    Foreign(String),
    #[error("the key ring cannot be opened: {0}")]
    Kms(#[from] KmsError),
}

// === impl Source ===

impl Source {
    /// `KEY_RING_FILE`. Whatever can be told of it without asking anybody is told now. `None` exactly
    /// when a fault was noted.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let Some(path) = settings.path("KEY_RING_FILE") else {
            settings.fault(
                "KEY_RING_FILE",
                "is required (make one with `control-plane keyring PATH`)",
            );
            return None;
        };
        let source = Self {
            path,
            kms: kms::read(settings)?,
        };
        let checked = match source.kms {
            Some(_) => RingFile::read(&source.path).map(drop),
            None => KeyRing::load(&source.path).map(drop),
        };
        checked
            .map_err(|error| settings.fault("KEY_RING_FILE", error))
            .ok()?;
        Some(source)
    }

    /// Of a file that isn't looked at yet.
    pub fn at(path: &Path, settings: &mut Settings) -> Option<Self> {
        Some(Self {
            path: path.to_owned(),
            kms: kms::read(settings)?,
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// # Errors
    /// The file won't do, or its keys can't be had.
    pub async fn open(&self) -> Result<KeyRing, OpenError> {
        self.open_file(&RingFile::read(&self.path)?).await
    }

    /// Waits for a service that is away, however long that takes, as for the database.
    ///
    /// # Errors
    /// As [`Self::open`], but for that.
    pub async fn open_patiently(&self) -> Result<KeyRing, OpenError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.open().await {
                Err(OpenError::Kms(error @ KmsError::Unavailable(_))) => {
                    tracing::warn!(%error, "the key ring cannot be opened yet");
                }
                opened => return opened,
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Has the service wrap the keys of a file that are plain.
    ///
    /// # Errors
    /// They are not plain, there is no service, or it doesn't.
    pub async fn wrap(&self) -> Result<(), OpenError> {
        let mut ring = RingFile::read(&self.path)?;
        for text in ring.texts_mut() {
            let key = file::plain(text);
            let key = key.ok_or_else(|| RingError::Malformed(self.path.display().to_string()))?;
            *text = self.text(&key).await?;
        }
        self.open_file(&ring).await?;
        Ok(ring.replace(&self.path)?)
    }

    #[must_use]
    pub const fn has_kms(&self) -> bool {
        self.kms.is_some()
    }

    /// # Errors
    /// As [`Self::open`].
    pub async fn open_file(&self, ring: &RingFile) -> Result<KeyRing, OpenError> {
        let opened = match &self.kms {
            None => ring.open(file::plain),
            Some(kms) => {
                let mut keys = Vec::new();
                for text in ring.texts() {
                    keys.push((text.to_owned(), kms.unwrap(text).await?));
                }
                let key = |text: &str| keys.iter().find(|(it, _)| it == text);
                ring.open(|text| key(text).map(|(_, key)| key.clone()))
            }
        };
        let malformed = || RingError::Malformed(self.path.display().to_string());
        Ok(opened.ok_or_else(malformed)?)
    }

    /// The key as it stands in the file.
    ///
    /// # Errors
    /// The service doesn't wrap it.
    pub async fn text(&self, key: &Material) -> Result<String, KmsError> {
        match &self.kms {
            None => Ok(file::plain_text(key)),
            Some(kms) => kms.wrap(key).await,
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(5);
