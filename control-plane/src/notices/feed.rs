//! One reader's stream: what he has missed, then what comes, with a heartbeat in silence. It ends with
//! his right, when the process drains, or when he takes nothing for too long; he comes back with the
//! number of the last that he got.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, timeout};

use ah5_store::tenant::Tenant;
use ah5_store::{StoreError, notifications};

use super::frame::Told;
use super::hub::Seat;
use crate::app::App;
use crate::listener::Hangup;

pub struct Feed {
    pub app: App,
    pub seat: Seat,
    /// The reader has everything up to this number.
    pub cursor: i64,
    pub out: mpsc::Sender<Bytes>,
    pub hangup: Option<Hangup>,
}

enum End {
    /// The reader is.
    Gone,
    /// His right is, or the process drains.
    Over,
    /// He takes nothing.
    Stalled,
    /// The database is not there to read from.
    Unreadable,
}

// === impl Feed ===

impl Feed {
    /// The body ends when this does.
    pub async fn run(mut self) {
        let end = self.pass_on().await;
        metrics::counter!("ah5_notification_streams_ended_total", "why" => end.as_str())
            .increment(1);
        if let (End::Stalled, Some(hangup)) = (end, self.hangup) {
            // The end of the body would wait behind what he doesn't take.
            hangup.now();
        }
    }

    async fn pass_on(&mut self) -> End {
        let mut beats = interval_at(Instant::now() + BEAT, BEAT);
        loop {
            if let Err(end) = self.catch_up().await {
                return end;
            }
            let awake = tokio::select! {
                changed = self.seat.recent.changed() => changed.map_err(|_| End::Over),
                _ = &mut self.seat.end => Err(End::Over),
                () = self.out.closed() => Err(End::Gone),
                _ = beats.tick() => self.send(Bytes::from_static(HEARTBEAT)).await,
            };
            if let Err(end) = awake {
                return end;
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), End> {
        loop {
            let batch = self.next_batch().await?;
            if batch.is_empty() {
                return Ok(());
            }
            for told in batch {
                if self.seat.is_ended() {
                    return Err(End::Over);
                }
                if told.is_for(self.seat.reader.user) {
                    self.send(told.frame.clone()).await?;
                }
                self.cursor = told.seq;
            }
        }
    }

    async fn next_batch(&mut self) -> Result<Vec<Arc<Told>>, End> {
        let recent = self.seat.recent.borrow_and_update().clone();
        if let Some(batch) = recent.and_then(|recent| recent.after(self.cursor)) {
            return Ok(batch);
        }
        self.read_page().await.map_err(|error| {
            tracing::warn!(%error, "a reader's notifications cannot be read");
            End::Unreadable
        })
    }

    async fn read_page(&self) -> Result<Vec<Arc<Told>>, StoreError> {
        let workspace = self.seat.reader.workspace;
        let mut db = self.app.db().await?;
        let tenant = Tenant::begin(&mut db, workspace).await?;
        let found = notifications::after(&tenant, self.cursor, PAGE).await?;
        let told = found.iter().map(|it| Arc::new(Told::new(workspace, it)));
        Ok(told.collect())
    }

    async fn send(&self, frame: Bytes) -> Result<(), End> {
        match timeout(PATIENCE, self.out.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Stalled),
        }
    }
}

// === impl End ===

impl End {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Over => "over",
            Self::Stalled => "stalled",
            Self::Unreadable => "unreadable",
        }
    }
}

const BEAT: Duration = Duration::from_secs(15);
/// A comment, which no client shows.
const HEARTBEAT: &[u8] = b": heartbeat\n\n";
const PAGE: i64 = 100;
/// How long a reader may take nothing while something waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// Frames that wait for a reader.
pub const QUEUE: usize = 16;
