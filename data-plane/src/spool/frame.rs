//! One record as bytes on disk: length, checksum, place in spool and chain, the event as JSON.
//! Part of the disk format: a later build reads what an earlier one left.

use ah5_contracts::audit::{AuditRow, ChainLink};
use ah5_contracts::id::SpoolId;
use ah5_store::audit_spool::SpoolRecord;

/// The largest payload that a reader believes in.
pub(super) const MAX_PAYLOAD: usize = 128 * 1024;

/// What stands at a position of a file.
pub(super) enum Parsed<'a> {
    /// Not written by us, or only in part.
    Bad,
    Frame(Payload<'a>),
    /// More bytes are needed to tell.
    Short,
}

#[derive(Clone, Copy)]
pub(super) struct Payload<'a>(&'a [u8]);

/// Appends a record; returns its size.
pub(super) fn encode(into: &mut Vec<u8>, spool_seq: i64, row: &AuditRow) -> usize {
    let start = into.len();
    into.extend_from_slice(&[0; PREFIX]);
    into.push(VERSION);
    into.extend_from_slice(&spool_seq.to_le_bytes());
    into.extend_from_slice(&row.link.seq.to_le_bytes());
    for part in [&row.link.prev_hash, &row.link.hash, &row.link.mac] {
        into.extend_from_slice(part);
    }
    // Texts, numbers and lists of them always encode; an empty event would be quarantined.
    drop(serde_json::to_writer(&mut *into, &row.event));
    let payload = &into[start + PREFIX..];
    let (length, sum) = (payload.len(), crc32fast::hash(payload));
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    into[start..start + 4].copy_from_slice(&length.to_le_bytes());
    into[start + 4..start + PREFIX].copy_from_slice(&sum.to_le_bytes());
    into.len() - start
}

pub(super) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return Parsed::Short;
    };
    let length = u32::from_le_bytes(*length) as usize;
    if !(HEAD..=MAX_PAYLOAD).contains(&length) {
        return Parsed::Bad;
    }
    let Some((sum, rest)) = rest.split_first_chunk::<4>() else {
        return Parsed::Short;
    };
    match rest.get(..length) {
        None => Parsed::Short,
        Some(payload) if crc32fast::hash(payload) == u32::from_le_bytes(*sum) => {
            Parsed::Frame(Payload(payload))
        }
        Some(_) => Parsed::Bad,
    }
}

// === impl Payload ===

impl Payload<'_> {
    /// Of the whole frame.
    pub(super) fn size(self) -> usize {
        PREFIX + self.0.len()
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0.to_vec()
    }

    pub(super) fn spool_seq(self) -> i64 {
        self.number(1)
    }

    /// `None` for a record of another version: intact, but not to be understood here.
    pub(super) fn decode(self, spool: SpoolId) -> Option<SpoolRecord> {
        if self.0[0] != VERSION {
            return None;
        }
        let hash = |at: usize| self.0[at..at + 32].try_into().ok();
        let link = ChainLink {
            spool,
            seq: self.number(9),
            prev_hash: hash(17)?,
            hash: hash(49)?,
            mac: hash(81)?,
        };
        let event = serde_json::from_slice(&self.0[HEAD..]).ok()?;
        Some(SpoolRecord {
            spool_seq: self.spool_seq(),
            row: AuditRow { event, link },
        })
    }

    // `parse` has seen that the fixed part is there.
    fn number(self, at: usize) -> i64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[at..at + 8]);
        i64::from_le_bytes(bytes)
    }
}

const VERSION: u8 = 1;
/// Length and checksum.
const PREFIX: usize = 8;
/// Version, two numbers, three hashes.
const HEAD: usize = 1 + 8 + 8 + 3 * 32;

#[cfg(test)]
mod tests {
    use super::super::sample::event;
    use super::*;

    fn row(spool: SpoolId) -> AuditRow {
        let link = ChainLink {
            spool,
            seq: 5,
            prev_hash: [1; 32],
            hash: [2; 32],
            mac: [3; 32],
        };
        AuditRow {
            event: event(),
            link,
        }
    }

    #[test]
    fn a_record_reads_back_as_it_was() {
        let (spool, mut bytes) = (SpoolId::random(), Vec::new());
        let row = row(spool);
        let size = encode(&mut bytes, 7, &row);
        assert_eq!(size, bytes.len());
        let Parsed::Frame(payload) = parse(&bytes) else {
            panic!("not a frame");
        };
        assert_eq!(payload.size(), size);
        let record = payload.decode(spool).unwrap();
        assert_eq!((record.spool_seq, record.row), (7, row));
    }

    #[test]
    fn a_cut_is_short_and_a_changed_byte_is_bad() {
        let mut bytes = Vec::new();
        encode(&mut bytes, 7, &row(SpoolId::random()));
        for cut in 0..bytes.len() {
            assert!(matches!(parse(&bytes[..cut]), Parsed::Short), "{cut}");
        }
        for at in PREFIX..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(matches!(parse(&changed), Parsed::Bad), "{at}");
        }
        assert!(matches!(parse(&[0; 64]), Parsed::Bad), "a hole in the file");
        assert!(matches!(parse(&[0xff; 64]), Parsed::Bad));
    }
}
