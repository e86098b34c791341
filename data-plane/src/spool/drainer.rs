//! The drainer: takes this life's rows and what earlier lives left to Postgres, in turn, and
//! deletes the files. While Postgres is away it waits; nothing waits for it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ah5_contracts::id::SpoolId;
use ah5_store::StoreError;
use ah5_store::database::Database;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::backlog::{Backlog, Next, Segment};
use super::delivery::Delivery;
use super::folder::Folder;
use super::leftover::Leftover;
use super::segment::{self, Batch, Reader};

pub(super) struct Drainer {
    folder: Arc<Folder>,
    life: PathBuf,
    spool: SpoolId,
    backlog: Arc<Backlog>,
    delivery: Delivery,
    leftovers: Vec<Leftover>,
    reader: Option<Reader>,
    /// Taken out, not known to be stored: of this life, and of the last leftover.
    own: Option<Batch>,
    old: Option<Batch>,
    failures: u32,
}

#[derive(Debug, thiserror::Error)]
enum DrainError {
    #[error("the spool can't be read: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

// === impl Drainer ===

impl Drainer {
    pub(super) fn new(
        folder: Arc<Folder>,
        life: PathBuf,
        spool: SpoolId,
        leftovers: Vec<Leftover>,
        backlog: Arc<Backlog>,
        database: Database,
    ) -> Self {
        Self {
            folder,
            life,
            spool,
            delivery: Delivery::new(database, backlog.clone()),
            backlog,
            leftovers,
            reader: None,
            own: None,
            old: None,
            failures: 0,
        }
    }

    /// Returns when the writer has ended and everything is stored.
    pub(super) async fn run(mut self) {
        loop {
            // Asked before the round, so that its end is the end.
            let ended = self.backlog.is_ended();
            match self.round().await {
                Ok(true) if self.may_pause() => sleep(PAUSE).await,
                Ok(true) => {}
                Ok(false) if ended => break,
                Ok(false) => self.backlog.news().await,
                Err(error) => self.wait_after(&error).await,
            }
        }
        if let Err(error) = std::fs::remove_dir(&self.life) {
            tracing::warn!(%error, "this life's audit spool is empty, but its folder stays");
        }
    }

    fn may_pause(&self) -> bool {
        self.leftovers.is_empty() && self.backlog.is_calm() && !self.backlog.is_ended()
    }

    // False if there was nothing to do.
    async fn round(&mut self) -> Result<bool, DrainError> {
        let own = self.drain_own().await?;
        self.delete_spent().await;
        let old = self.drain_old().await?;
        if self.failures > 0 && (own || old) {
            tracing::info!("the database takes audit rows again");
            self.failures = 0;
        }
        Ok(own || old)
    }

    async fn drain_own(&mut self) -> Result<bool, DrainError> {
        if self.own.is_none() {
            self.own = match self.backlog.next() {
                Next::Disk { segment, wanted } => self.read(segment, wanted).await?,
                Next::Memory(batch) => Some(batch),
                Next::Nothing => return Ok(false),
            };
        }
        if let Some(batch) = &self.own {
            self.delivery.deliver(self.spool, batch).await?;
            self.backlog.stored(batch.last(), batch.bytes);
            self.own = None;
        }
        Ok(true)
    }

    async fn drain_old(&mut self) -> Result<bool, DrainError> {
        let Some(mut leftover) = self.leftovers.pop() else {
            return Ok(false);
        };
        if let Some(batch) = &self.old {
            let delivered = self.delivery.deliver(leftover.spool, batch).await;
            if delivered.is_ok() {
                self.backlog.stored_leftover(batch.bytes);
                leftover.waiting = leftover.waiting.saturating_sub(batch.bytes);
                self.old = None;
            }
            self.leftovers.push(leftover);
            delivered?;
            return Ok(true);
        }
        let folder = self.folder.clone();
        let (leftover, next) = blocking(move || {
            let next = leftover.next(&folder);
            (leftover, next)
        })
        .await?;
        let bytes = leftover.bytes();
        let (spool, ended) = (leftover.spool, matches!(next, Ok(None)));
        if ended {
            self.backlog.shrank(bytes);
            self.backlog.stored_leftover(leftover.waiting);
            tracing::info!(%spool, bytes, "an earlier life's audit rows are stored");
        } else {
            self.leftovers.push(leftover);
        }
        self.old = next?;
        Ok(true)
    }

    // `None` if the rows are lost; then the backlog goes on behind them.
    async fn read(
        &mut self,
        segment: Segment,
        wanted: std::ops::Range<i64>,
    ) -> Result<Option<Batch>, DrainError> {
        let (spool, reader) = (self.spool, self.reader.take());
        let reader = reader.filter(|reader| reader.path() == segment.path);
        let (path, limit, range) = (segment.path.clone(), segment.bytes, wanted.clone());
        let read = blocking(move || {
            let mut reader = match reader {
                Some(reader) => reader,
                None => Reader::open(&path, spool)?,
            };
            let batch = reader.next(&range, limit)?;
            Ok::<_, io::Error>((reader, batch))
        });
        match read.await? {
            Ok((reader, Some(batch))) => {
                self.reader = Some(reader);
                return Ok(Some(batch));
            }
            Err(error) if !segment::is_damage(&error) => return Err(error.into()),
            Ok((_, None)) | Err(_) => {}
        }
        if segment.sealed {
            self.folder.set_aside(self.spool, &segment.path);
        }
        let last = segment.last_seq.min(wanted.end - 1);
        tracing::error!(
            first = wanted.start,
            last,
            "audit rows can't be read back from the spool"
        );
        self.backlog.give_up(last);
        Ok(None)
    }

    async fn delete_spent(&mut self) {
        let spent = self.backlog.spent();
        if spent.is_empty() {
            return;
        }
        self.backlog
            .shrank(spent.iter().map(|segment| segment.bytes).sum());
        let removed = blocking(move || {
            for segment in &spent {
                if let Err(error) = std::fs::remove_file(&segment.path)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    tracing::warn!(%error, path = %segment.path.display(), "a stored segment stays");
                }
            }
        });
        drop(removed.await);
    }

    async fn wait_after(&mut self, error: &DrainError) {
        if self.failures.is_multiple_of(LOG_EVERY) {
            match error {
                // Not an outage: somebody has to mend something.
                DrainError::Io(_)
                | DrainError::Store(StoreError::Bug(_) | StoreError::Conflict(_)) => {
                    tracing::error!(%error, "audit rows wait");
                }
                DrainError::Store(StoreError::Unavailable(_)) => {
                    tracing::warn!(%error, "audit rows wait for the database");
                }
            }
        }
        let longest = FIRST_WAIT * 2_u32.pow(self.failures.min(MAX_DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        sleep(longest.mul_f64(rand::random_range(0.5..1.0))).await;
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)
}

/// Between two batches, so that a steady trickle doesn't make a transaction of every sync.
const PAUSE: Duration = Duration::from_millis(50);
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// 0.8 s at most.
const MAX_DOUBLINGS: u32 = 4;
const LOG_EVERY: u32 = 100;
