//! The writer thread: makes events safe, chains them by workspace, appends them to disk, syncs in
//! groups and hands over to the drainer. It alone touches chains and segments, so that numbers and
//! hashes have one order. It waits for the disk, never for Postgres.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use ah5_contracts::id::WorkspaceId;
use ah5_security::audit::Chain;
use ah5_security::ring::held::Held;
use ah5_store::audit_spool::SpoolRecord;
use tokio::sync::oneshot;

use super::backlog::{Backlog, Entry, Waiter};
use super::disk::Disk;
use super::folder::Folder;
use super::losses::Losses;
use super::queue::{Item, Promise, Queue};
use super::{NotDurable, frame};

pub(super) struct Writer {
    queue: Arc<Queue>,
    disk: Disk,
    backlog: Arc<Backlog>,
    losses: Arc<Losses>,
    ring: Held,
    chains: HashMap<WorkspaceId, Chain>,
    /// The number of the last record.
    seq: i64,
    group: Group,
}

/// What has been taken from the queue since the last hand-over.
#[derive(Default)]
struct Group {
    entries: Vec<Entry>,
    promises: Vec<(i64, Promise)>,
    /// Encoded, not appended yet: the records from `first` to the last.
    frames: Vec<u8>,
    first: i64,
    /// Of records that only memory has.
    memory: usize,
}

/// Ends what depends on the writer, also if it panics.
struct Ending {
    queue: Arc<Queue>,
    backlog: Arc<Backlog>,
    losses: Arc<Losses>,
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(
        queue: Arc<Queue>,
        disk: Disk,
        backlog: Arc<Backlog>,
        losses: Arc<Losses>,
        ring: Held,
    ) -> Self {
        Self {
            queue,
            disk,
            backlog,
            losses,
            ring,
            chains: HashMap::new(),
            seq: 0,
            group: Group::default(),
        }
    }

    /// The receiver is answered, or closed, once the thread has let go of everything.
    pub(super) fn start(self, folder: Arc<Folder>) -> io::Result<oneshot::Receiver<()>> {
        let (ended, receiver) = oneshot::channel();
        let ending = Ending {
            queue: self.queue.clone(),
            backlog: self.backlog.clone(),
            losses: self.losses.clone(),
        };
        let thread = std::thread::Builder::new().name("audit-writer".to_owned());
        thread.spawn(move || {
            let ended = ended;
            // The lock is held for as long as anything may be written.
            let _folder = folder;
            let _ending = ending;
            self.run();
            drop((_ending, _folder));
            let _ = ended.send(());
        })?;
        Ok(receiver)
    }

    fn run(mut self) {
        let mut items = Vec::new();
        while self.queue.take(&mut items) {
            for item in items.drain(..) {
                self.add(item);
            }
            items.shrink_to(KEPT_ITEMS);
            self.hand_over();
        }
        self.disk.seal();
    }

    fn add(&mut self, item: Item) {
        let on_disk = self.disk.has_room(self.group.frames.len());
        if !on_disk {
            // No gap within a segment: what comes after this record begins another.
            self.flush();
            self.disk.seal();
            if !self.backlog.has_room(self.group.memory) {
                return self.refuse(item);
            }
        }
        let Item { event, promise } = item;
        self.seq += 1;
        let chain = self.chains.entry(event.workspace);
        let chain = chain.or_insert_with(|| Chain::start(self.disk.spool()));
        let row = chain.append(&self.ring.now().audit, event);
        self.group.add(self.seq, row, on_disk);
        self.group
            .promises
            .extend(promise.map(|promise| (self.seq, promise)));
        if self.group.frames.len() >= CHUNK {
            self.flush();
        }
    }

    fn refuse(&self, item: Item) {
        match item.promise {
            Some(Promise::Spooled(kept) | Promise::Stored(kept)) => {
                let _ = kept.send(Err(NotDurable::Full));
            }
            None => self.losses.note(1, NotDurable::Full),
        }
    }

    fn flush(&mut self) {
        let group = &mut self.group;
        if !group.frames.is_empty() && !self.disk.append(&group.frames, group.first, self.seq) {
            group.memory += group.frames.len();
            let failed = group.entries.iter_mut().rev();
            let first = group.first;
            failed
                .take_while(|entry| entry.record.spool_seq >= first)
                .for_each(|entry| entry.on_disk = false);
        }
        group.frames.clear();
    }

    fn hand_over(&mut self) {
        self.flush();
        let synced = self.disk.sync();
        let group = &mut self.group;
        let mut waiters = Vec::new();
        for (spool_seq, promise) in group.promises.drain(..) {
            let at = (group.entries).binary_search_by_key(&spool_seq, |e| e.record.spool_seq);
            let spooled = synced && at.is_ok_and(|at| group.entries[at].on_disk);
            match promise {
                Promise::Spooled(kept) if spooled => {
                    let _ = kept.send(Ok(()));
                }
                Promise::Spooled(kept) | Promise::Stored(kept) => {
                    waiters.push(Waiter { spool_seq, kept });
                }
            }
        }
        self.backlog.hand_over(&mut group.entries, &mut waiters);
        group.entries.shrink_to(KEPT_ITEMS);
        group.memory = 0;
    }
}

// === impl Group ===

impl Group {
    fn add(&mut self, spool_seq: i64, row: ah5_contracts::audit::AuditRow, on_disk: bool) {
        let before = self.frames.len();
        let size = frame::encode(&mut self.frames, spool_seq, &row);
        if !on_disk {
            self.frames.truncate(before);
            self.memory += size;
        } else if before == 0 {
            self.first = spool_seq;
        }
        self.entries.push(Entry {
            record: SpoolRecord { spool_seq, row },
            size,
            on_disk,
        });
    }
}

// === impl Ending ===

impl Drop for Ending {
    fn drop(&mut self) {
        self.queue.close();
        let mut rest = Vec::new();
        if self.queue.take(&mut rest) {
            self.losses.note(rest.len() as u64, NotDurable::Stopped);
        }
        self.backlog.end();
    }
}

/// What is appended at once.
const CHUNK: usize = 512 * 1024;
const KEPT_ITEMS: usize = 1024;
