//! What the simulator was sent, newest last. Bounded: the oldest requests are forgotten first, and
//! counted.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::lock;

/// One request, written down when its head was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// From 1, in order of arrival, also across what was cleared.
    pub seq: u64,
    pub at: Timestamp,
    /// From 1, in order of acceptance.
    pub connection: u64,
    pub tls: bool,
    /// By SNI; none for a client that called us by address.
    pub server_name: Option<String>,
    pub method: String,
    /// As it was sent, undecoded.
    pub target: String,
    /// In order of first appearance; a name that came twice is in it twice.
    pub headers: Vec<(String, String)>,
    /// What was kept of it: see [`Entry::body_length`].
    #[serde(rename = "bodyBase64", with = "encoded")]
    pub body: Bytes,
    /// All of it, kept or not.
    pub body_length: u64,
    pub body_complete: bool,
    /// What came behind it.
    pub trailers: Vec<(String, String)>,
    /// None while the answer is under way.
    pub outcome: Option<Outcome>,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The client went, or we cut the connection, before it was all sent.
    Aborted,
    Sent,
}

pub struct Journal {
    kept: Mutex<Kept>,
    /// Counts the changes, for those who wait for one.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    entries: VecDeque<Entry>,
    bytes: usize,
    seq: u64,
    forgotten: u64,
}

// === impl Entry ===

impl Entry {
    /// The first value under this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter();
        let found = found.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    #[must_use]
    pub fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(&self.target, |(path, _)| path)
    }

    /// Whether this text is anywhere in the request.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        let mut headers = self.headers.iter().chain(&self.trailers);
        self.target.contains(text)
            || headers.any(|(name, value)| name.contains(text) || value.contains(text))
            || String::from_utf8_lossy(&self.body).contains(text)
    }

    fn size(&self) -> usize {
        let headers = self.headers.iter().chain(&self.trailers);
        let headers = headers.map(|(k, v)| k.len() + v.len());
        size_of::<Self>() + self.target.len() + self.body.len() + headers.sum::<usize>()
    }
}

// === impl Journal ===

impl Default for Journal {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl Journal {
    /// Writes a request down and returns its number.
    pub(super) fn begin(&self, entry: Entry) -> u64 {
        let mut kept = lock(&self.kept);
        kept.seq += 1;
        let seq = kept.seq;
        kept.bytes += entry.size();
        kept.entries.push_back(Entry { seq, ..entry });
        kept.shrink();
        drop(kept);
        self.changed();
        seq
    }

    pub(super) fn body(&self, seq: u64, body: &Bytes, length: u64, complete: bool) {
        self.change(seq, |entry| {
            entry.body = Bytes::copy_from_slice(&body[..body.len().min(MAX_KEPT)]);
            entry.body_length = length;
            entry.body_complete = complete;
        });
    }

    pub(super) fn trailers(&self, seq: u64, trailers: Vec<(String, String)>) {
        self.change(seq, |entry| entry.trailers = trailers);
    }

    pub(super) fn end(&self, seq: u64, outcome: Outcome) {
        self.change(seq, |entry| entry.outcome = Some(outcome));
    }

    /// Those after number `after`.
    pub(super) fn entries(&self, after: u64) -> Vec<Entry> {
        let kept = lock(&self.kept);
        let found = kept.entries.iter().filter(|entry| entry.seq > after);
        found.cloned().collect()
    }

    /// The number of the newest request, also if it is forgotten or cleared.
    pub(super) fn last(&self) -> u64 {
        lock(&self.kept).seq
    }

    /// How many were dropped for want of room.
    pub(super) fn forgotten(&self) -> u64 {
        lock(&self.kept).forgotten
    }

    pub(super) fn clear(&self) {
        let mut kept = lock(&self.kept);
        kept.entries.clear();
        (kept.bytes, kept.forgotten) = (0, 0);
        drop(kept);
        self.changed();
    }

    pub(super) async fn wait_for(
        &self,
        limit: Duration,
        wanted: impl Fn(&[Entry]) -> bool,
    ) -> anyhow::Result<Vec<Entry>> {
        let mut changes = self.changes.subscribe();
        let found = async {
            loop {
                let entries = self.entries(0);
                if wanted(&entries) {
                    return entries;
                }
                // The sender is ours: it is there.
                let _ = changes.changed().await;
            }
        };
        match tokio::time::timeout(limit, found).await {
            Ok(entries) => Ok(entries),
            Err(_) => bail!("not in {limit:?}; the journal is {:#?}", self.entries(0)),
        }
    }

    fn change(&self, seq: u64, change: impl FnOnce(&mut Entry)) {
        let mut kept = lock(&self.kept);
        let kept = &mut *kept;
        let found = kept.entries.binary_search_by_key(&seq, |entry| entry.seq);
        let Some(entry) = found.ok().and_then(|at| kept.entries.get_mut(at)) else {
            return;
        };
        let before = entry.size();
        change(entry);
        kept.bytes = kept.bytes + entry.size() - before;
        kept.shrink();
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

// === impl Kept ===

impl Kept {
    fn shrink(&mut self) {
        while self.entries.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                return;
            };
            self.bytes -= oldest.size();
            self.forgotten += 1;
        }
    }
}

mod encoded {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Bytes;

    pub fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(Bytes::from)
            .map_err(D::Error::custom)
    }
}

const MAX_ENTRIES: usize = 20_000;
const MAX_BYTES: usize = 64 << 20;
/// Of one body: whoever asks reads it with all the rest.
const MAX_KEPT: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(body: usize) -> Entry {
        Entry {
            seq: 0,
            at: Timestamp::UNIX_EPOCH,
            connection: 1,
            tls: true,
            server_name: None,
            method: "GET".into(),
            target: "/a?b".into(),
            headers: vec![("x-a".into(), "1".into())],
            body: Bytes::from(vec![0; body]),
            body_length: 0,
            body_complete: false,
            trailers: Vec::new(),
            outcome: None,
        }
    }

    #[test]
    fn the_oldest_requests_are_forgotten_first_and_counted() {
        let journal = Journal::default();
        for _ in 0..MAX_ENTRIES + 5 {
            journal.begin(entry(0));
        }
        assert_eq!(journal.forgotten(), 5);
        assert_eq!(journal.entries(0)[0].seq, 6);
        assert_eq!(journal.entries(MAX_ENTRIES as u64).len(), 5);
    }

    #[test]
    fn bodies_are_bounded_together() {
        let journal = Journal::default();
        for _ in 0..70 {
            let seq = journal.begin(entry(0));
            journal.body(seq, &Bytes::from(vec![0; 1 << 20]), 1 << 20, true);
        }
        let kept = journal.entries(0);
        assert!(kept.len() < 64 && kept.len() > 60, "{}", kept.len());
        journal.clear();
        assert_eq!((journal.entries(0).len(), journal.forgotten()), (0, 0));
    }

    #[test]
    fn an_entry_survives_the_wire() {
        let mut sent = entry(3);
        sent.outcome = Some(Outcome::Sent);
        let text = serde_json::to_string(&sent).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), sent);
    }
}
