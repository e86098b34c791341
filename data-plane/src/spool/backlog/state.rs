//! The backlog's bookkeeping, without locks. Memory holds the oldest waiting rows as long as it has
//! room; rows that are on no disk are never skipped, so a number is always in one of the two.

use std::collections::VecDeque;

use ah5_store::audit_spool::SpoolRecord;
use tokio::time::Instant;

use super::{Entry, Next, Segment, Waiter};
use crate::spool::segment::{Batch, Content};

pub(super) struct State {
    /// In the order of numbers, with gaps where rows are on disk only.
    recent: VecDeque<Entry>,
    recent_bytes: usize,
    segments: VecDeque<Segment>,
    waiters: Vec<Waiter>,
    written: i64,
    drained: i64,
    pub(super) waiting_bytes: u64,
    pub(super) last_ack: Option<Instant>,
    ended: bool,
}

// === impl State ===

impl State {
    pub(super) fn new(leftover_bytes: u64) -> Self {
        Self {
            recent: VecDeque::new(),
            recent_bytes: 0,
            segments: VecDeque::new(),
            waiters: Vec::new(),
            written: 0,
            drained: 0,
            waiting_bytes: leftover_bytes,
            last_ack: None,
            ended: false,
        }
    }

    pub(super) fn waiting_rows(&self) -> u64 {
        u64::try_from(self.written - self.drained).unwrap_or_default()
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn is_calm(&self) -> bool {
        self.waiters.is_empty() && self.waiting_rows() < BATCH_ROWS as u64 / 2
    }

    pub(super) fn has_room(&mut self, pending: usize) -> bool {
        let room = |bytes: usize| bytes + pending < MEMORY;
        if !room(self.recent_bytes) {
            self.recent.retain(|entry| !entry.on_disk);
            self.recent_bytes = self.recent.iter().map(|entry| entry.size).sum();
        }
        room(self.recent_bytes)
    }

    pub(super) fn put_segment(&mut self, segment: &Segment) {
        match self.segments.back_mut() {
            Some(last) if last.first_seq == segment.first_seq => last.clone_from(segment),
            _ => self.segments.push_back(segment.clone()),
        }
    }

    pub(super) fn hand_over(&mut self, entries: &mut Vec<Entry>, waiters: &mut Vec<Waiter>) {
        for entry in entries.drain(..) {
            self.written = entry.record.spool_seq;
            self.waiting_bytes += entry.size as u64;
            if !entry.on_disk || self.recent_bytes + entry.size <= MEMORY {
                self.recent_bytes += entry.size;
                self.recent.push_back(entry);
            }
        }
        self.waiters.retain(|waiter| !waiter.kept.is_closed());
        self.waiters.append(waiters);
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
        for segment in &mut self.segments {
            segment.sealed = true;
        }
    }

    pub(super) fn next(&mut self) -> Next {
        let start = self.drained + 1;
        let end = self
            .recent
            .front()
            .map_or(self.written + 1, |entry| entry.record.spool_seq);
        let holds = |segment: &&Segment| segment.last_seq >= start && segment.first_seq < end;
        match self.segments.iter().find(holds) {
            Some(segment) if start < end => Next::Disk {
                segment: segment.clone(),
                wanted: start..end,
            },
            _ => self.take_recent(),
        }
    }

    /// Returns those who have waited for this.
    pub(super) fn drained(&mut self, spool_seq: i64, bytes: u64) -> Vec<Waiter> {
        self.drained = self.drained.max(spool_seq);
        self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes);
        let drained = self.drained;
        (self
            .waiters
            .extract_if(.., |waiter| waiter.spool_seq <= drained))
        .collect()
    }

    pub(super) fn spent(&mut self) -> Vec<Segment> {
        let mut spent = Vec::new();
        let drained = self.drained;
        let is_spent = |segment: &mut Segment| segment.sealed && segment.last_seq <= drained;
        while let Some(segment) = self.segments.pop_front_if(is_spent) {
            spent.push(segment);
        }
        spent
    }

    fn take_recent(&mut self) -> Next {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = self.recent.front() {
            // A gap means that the disk has the rows between.
            let expected = records
                .last()
                .map_or(entry.record.spool_seq, |last: &SpoolRecord| {
                    last.spool_seq + 1
                });
            let full = records.len() >= BATCH_ROWS || bytes >= BATCH_BYTES;
            if full || entry.record.spool_seq != expected {
                break;
            }
            if let Some(entry) = self.recent.pop_front() {
                self.recent_bytes -= entry.size;
                bytes += entry.size;
                records.push(entry.record);
            }
        }
        if records.is_empty() {
            return Next::Nothing;
        }
        Next::Memory(Batch {
            content: Content::Records(records),
            bytes: bytes as u64,
        })
    }
}

const MEMORY: usize = 8 << 20;
const BATCH_ROWS: usize = 1000;
const BATCH_BYTES: usize = 1 << 20;
