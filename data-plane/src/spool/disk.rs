//! The writer's hold on the disk: appends to the newest segment, begins another in time, and stays
//! away from a disk that is full or failing.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ah5_contracts::id::SpoolId;
use tokio::time::Instant;

use super::backlog::{Backlog, Segment};
use super::{folder, segment};

pub(super) struct Disk {
    life: PathBuf,
    spool: SpoolId,
    max_bytes: u64,
    segment_bytes: u64,
    backlog: Arc<Backlog>,
    active: Option<Active>,
    /// When a failing disk is tried again.
    retry_at: Option<Instant>,
    /// A segment was left behind that may not be on disk.
    unsynced: bool,
}

struct Active {
    file: File,
    segment: Segment,
    dirty: bool,
}

// === impl Disk ===

impl Disk {
    pub(super) fn new(
        life: PathBuf,
        spool: SpoolId,
        max_bytes: u64,
        backlog: Arc<Backlog>,
    ) -> Self {
        backlog.set_disk_ok(true);
        Self {
            life,
            spool,
            max_bytes,
            segment_bytes: (max_bytes / 8).clamp(MIN_SEGMENT, MAX_SEGMENT),
            backlog,
            active: None,
            retry_at: None,
            unsynced: false,
        }
    }

    pub(super) fn spool(&self) -> SpoolId {
        self.spool
    }

    /// Whether another record may go here, behind `pending` bytes not appended yet.
    pub(super) fn has_room(&mut self, pending: usize) -> bool {
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        let full = self.backlog.disk_bytes() + pending as u64 >= self.max_bytes;
        if full && self.backlog.set_disk_ok(false) {
            tracing::error!(
                max_bytes = self.max_bytes,
                "the audit spool is full; rows go to the database directly"
            );
        }
        !full
    }

    /// Appends frames that hold the records `first..=last`. False if none of them is there.
    pub(super) fn append(&mut self, frames: &[u8], first: i64, last: i64) -> bool {
        if (self.active.as_ref()).is_some_and(|active| active.segment.bytes >= self.segment_bytes) {
            self.seal();
        }
        if let Err(error) = self.try_append(frames, first, last) {
            self.fail(&error);
            return false;
        }
        self.retry_at = None;
        if !self.backlog.set_disk_ok(true) {
            tracing::info!("the audit spool takes rows again");
        }
        true
    }

    /// False if something appended before may not survive a crash of the machine.
    pub(super) fn sync(&mut self) -> bool {
        if let Some(active) = self.active.as_mut().filter(|active| active.dirty) {
            let started = Instant::now();
            let synced = active.file.sync_data();
            metrics::histogram!("ah5_audit_sync_seconds").record(started.elapsed());
            active.dirty = false;
            if let Err(error) = synced {
                // The kernel may have forgotten what it couldn't write: this file is done with.
                self.unsynced = true;
                self.fail(&error);
            }
        }
        !std::mem::take(&mut self.unsynced)
    }

    /// Ends the newest segment, so that it can be deleted once it is stored.
    pub(super) fn seal(&mut self) {
        // Whoever syncs next learns whether this one is safe.
        self.unsynced |= !self.sync();
        if let Some(mut active) = self.active.take() {
            active.segment.sealed = true;
            self.backlog.put_segment(&active.segment);
        }
    }

    fn try_append(&mut self, frames: &[u8], first: i64, last: i64) -> io::Result<()> {
        let active = match &mut self.active {
            Some(active) => active,
            None => {
                let path = self.life.join(segment::name(first));
                let active = Active::create(path, self.spool, first)?;
                folder::sync(&self.life)?;
                self.backlog.grew(active.segment.bytes);
                self.active.insert(active)
            }
        };
        active.append(frames, last)?;
        self.backlog.grew(frames.len() as u64);
        self.backlog.put_segment(&active.segment);
        Ok(())
    }

    fn fail(&mut self, error: &io::Error) {
        self.retry_at = Some(Instant::now() + RETRY_AFTER);
        if let Some(mut active) = self.active.take() {
            active.segment.sealed = true;
            self.backlog.put_segment(&active.segment);
        }
        if self.backlog.set_disk_ok(false) {
            tracing::error!(%error, "the audit spool can't be written; rows go to the database directly");
        }
    }
}

// === impl Active ===

impl Active {
    fn create(path: PathBuf, spool: SpoolId, first_seq: i64) -> io::Result<Self> {
        let file =
            segment::create(&path, spool).inspect_err(|_| drop(std::fs::remove_file(&path)))?;
        let segment = Segment {
            path,
            first_seq,
            last_seq: first_seq - 1,
            bytes: segment::HEADER as u64,
            sealed: false,
        };
        Ok(Self {
            file,
            segment,
            dirty: true,
        })
    }

    fn append(&mut self, frames: &[u8], last_seq: i64) -> io::Result<()> {
        if let Err(error) = self.file.write_all(frames) {
            // If this fails too, a later start reads records that are stored already, no others.
            drop(self.file.set_len(self.segment.bytes));
            return Err(error);
        }
        self.dirty = true;
        self.segment.bytes += frames.len() as u64;
        self.segment.last_seq = last_seq;
        Ok(())
    }
}

const MIN_SEGMENT: u64 = 4 << 10;
const MAX_SEGMENT: u64 = 8 << 20;
const RETRY_AFTER: Duration = Duration::from_secs(1);
