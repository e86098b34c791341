//! The local audit spool: takes events off a call's path, chains them, keeps them on this disk
//! until Postgres has them. Steps of a call hold a [`Recorder`]; only `serve` starts and stops the
//! spool. Nothing here may make a call wait, but for the one that asks to.

mod backlog;
mod delivery;
mod disk;
mod drainer;
mod folder;
mod frame;
mod leftover;
mod losses;
mod queue;
#[cfg(test)]
mod sample;
mod segment;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ah5_contracts::audit::AuditEvent;
use ah5_contracts::id::SpoolId;
use ah5_security::ring::held::Held;
use ah5_store::database::Database;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use backlog::Backlog;
use drainer::Drainer;
use folder::Folder;
use losses::Losses;
use queue::{Item, Promise, Queue};
use writer::Writer;

/// The longest that a best-effort row may stay in memory only.
pub const MAX_SYNC: Duration = Duration::from_millis(50);

pub struct Config {
    /// Belongs to one process at a time.
    pub folder: PathBuf,
    /// At most [`MAX_SYNC`].
    pub sync_every: Duration,
    /// Events that may wait for the writer.
    pub queue: usize,
    /// What the folder may hold, earlier lives' leftovers included.
    pub max_bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("{path}: {source}")]
    Io {
        path: String,
        source: std::io::Error,
    },
    #[error("the spool folder {0} is in use by another process")]
    Locked(String),
    #[error("the audit spool must be synced at least every 50 ms")]
    SyncTooRare,
    #[error("can't start the audit spool's thread: {0}")]
    Thread(std::io::Error),
}

/// Why an event is not safe: the call that needs it to be must not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDurable {
    #[error("too many audit events wait for the spool")]
    Busy,
    #[error("neither the audit spool nor the database has room")]
    Full,
    #[error("the audit spool did not answer in time")]
    Slow,
    #[error("the audit spool has stopped")]
    Stopped,
}

/// Where a row must be before a call that is to be on record is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// In the database: for replicas whose disk doesn't outlive them.
    Postgres,
    /// On this disk, or, where that has no room, in the database.
    Spool,
}

/// A running spool: a writer thread and a task that drains to Postgres.
///
/// Dropped, it still writes what it has been given, and drains it at the next start.
pub struct Spool {
    recorder: Recorder,
    backlog: Arc<Backlog>,
    writer_ended: oneshot::Receiver<()>,
    drainer: JoinSet<()>,
}

/// Where events are left. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    queue: Arc<Queue>,
    losses: Arc<Losses>,
}

/// Looks at a spool.
#[derive(Clone)]
pub struct Observer {
    recorder: Recorder,
    backlog: Arc<Backlog>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Rows of this process that Postgres doesn't have yet.
    pub waiting_rows: u64,
    /// Their size, and that of what earlier processes left.
    pub waiting_bytes: u64,
    pub dropped: u64,
    pub quarantined: u64,
    /// Rows reach this disk. Otherwise they go to Postgres directly, as long as it keeps up.
    pub disk_ok: bool,
    pub last_ack_age: Option<Duration>,
}

// === impl Spool ===

impl Spool {
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The folder can't be used, or is in use.
    pub fn start(config: Config, database: Database, ring: Held) -> Result<Self, SpoolError> {
        if config.sync_every > MAX_SYNC {
            return Err(SpoolError::SyncTooRare);
        }
        let folder = Arc::new(Folder::open(&config.folder)?);
        let leftovers = folder.leftovers()?;
        let spool = SpoolId::random();
        let life = folder.begin(spool)?;
        let backlog = Arc::new(Backlog::new(leftovers.iter().map(|l| l.bytes()).sum()));
        let losses = Arc::new(Losses::default());
        let queue = Arc::new(Queue::new(config.queue, config.sync_every));
        let disk = disk::Disk::new(life.clone(), spool, config.max_bytes, backlog.clone());
        let writer = Writer::new(queue.clone(), disk, backlog.clone(), losses.clone(), ring);
        let writer_ended = writer.start(folder.clone()).map_err(SpoolError::Thread)?;
        let drains = Drainer::new(folder, life, spool, leftovers, backlog.clone(), database);
        let mut drainer = JoinSet::new();
        drainer.spawn(drains.run());
        Ok(Self {
            recorder: Recorder { queue, losses },
            backlog,
            writer_ended,
            drainer,
        })
    }

    #[must_use]
    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// For whoever looks on while somebody else stops it.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer {
            recorder: self.recorder.clone(),
            backlog: self.backlog.clone(),
        }
    }

    #[must_use]
    pub fn health(&self) -> Health {
        self.observer().health()
    }

    /// Writes and syncs what has been recorded, then drains until `within` is over. What is left
    /// is drained at the next start. Events recorded from now on are lost.
    pub async fn stop(mut self, within: Duration) {
        let deadline = Instant::now() + within;
        self.recorder.queue.close();
        let flush = within.max(SHORTEST_FLUSH);
        let written = timeout(flush, &mut self.writer_ended).await;
        let drained = timeout_at(deadline, self.drainer.join_next()).await;
        if written.is_err() || drained.is_err() {
            let rows = self.backlog.numbers().waiting_rows;
            tracing::warn!(rows, "stopped before all audit rows were in the database");
            // Also, the folder is free when this returns, unless the disk hangs.
            self.drainer.shutdown().await;
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.recorder.queue.close();
    }
}

// === impl Observer ===

impl Observer {
    #[must_use]
    pub fn health(&self) -> Health {
        let numbers = self.backlog.numbers();
        Health {
            waiting_rows: numbers.waiting_rows,
            waiting_bytes: numbers.waiting_bytes,
            dropped: self.recorder.losses.count(),
            quarantined: numbers.quarantined,
            disk_ok: numbers.disk_ok && !self.recorder.queue.is_closed(),
            last_ack_age: numbers.last_ack.map(|at| at.elapsed()),
        }
    }
}

// === impl Recorder ===

impl Recorder {
    /// Never waits. Where there is no room the event is lost, counted and reported.
    pub fn record(&self, event: AuditEvent) {
        let item = Item {
            event,
            promise: None,
        };
        if let Err(why) = self.queue.push(item) {
            self.losses.note(1, why);
        }
    }

    /// Returns once the event survives a crash of this machine: it is synced to the spool, or, if
    /// that is full or broken, in Postgres.
    ///
    /// # Errors
    /// Neither happened in time. The event may still come to be stored.
    pub async fn record_durably(&self, event: AuditEvent) -> Result<(), NotDurable> {
        let (promise, kept) = oneshot::channel();
        self.promised(event, Promise::Spooled(promise), kept).await
    }

    /// Returns once the event is in Postgres: for replicas whose disk doesn't outlive them.
    ///
    /// # Errors
    /// It wasn't in time. The event may still come to be stored.
    pub async fn record_stored(&self, event: AuditEvent) -> Result<(), NotDurable> {
        let (promise, kept) = oneshot::channel();
        self.promised(event, Promise::Stored(promise), kept).await
    }

    async fn promised(
        &self,
        event: AuditEvent,
        promise: Promise,
        kept: oneshot::Receiver<Result<(), NotDurable>>,
    ) -> Result<(), NotDurable> {
        let promise = Some(promise);
        self.queue.push(Item { event, promise })?;
        match timeout(DURABLE_WAIT, kept).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(NotDurable::Stopped),
            Err(_) => Err(NotDurable::Slow),
        }
    }
}

// === impl NotDurable ===

impl NotDurable {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Full => "full",
            Self::Slow => "slow",
            Self::Stopped => "stopped",
        }
    }
}

const DURABLE_WAIT: Duration = Duration::from_secs(2);
const SHORTEST_FLUSH: Duration = Duration::from_secs(1);
