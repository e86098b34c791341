use ah5_contracts::audit::{AuditRow, ChainLink};

use super::super::sample::event;
use super::*;

struct Written {
    folder: tempfile::TempDir,
    spool: SpoolId,
    frames: Vec<Vec<u8>>,
}

impl Written {
    fn records(count: i64) -> Self {
        let (folder, spool) = (tempfile::tempdir().unwrap(), SpoolId::random());
        let frames = (1..=count).map(|seq| frame(spool, seq)).collect();
        let written = Self {
            folder,
            spool,
            frames,
        };
        let mut file = create(&written.path(), spool).unwrap();
        file.write_all(&written.frames.concat()).unwrap();
        written
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(name(1))
    }

    fn read(&self, wanted: Range<i64>, limit: u64) -> (Vec<i64>, u64) {
        let mut reader = Reader::open(&self.path(), self.spool).unwrap();
        let (mut seqs, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = reader.next(&wanted, limit).unwrap() {
            bytes += batch.bytes;
            match batch.content {
                Content::Records(records) => seqs.extend(records.iter().map(|r| r.spool_seq)),
                Content::Unreadable { spool_seq, .. } => seqs.push(-spool_seq),
            }
        }
        (seqs, bytes)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(self.path()).unwrap();
        change(&mut bytes);
        std::fs::write(self.path(), bytes).unwrap();
    }
}

fn frame(spool: SpoolId, seq: i64) -> Vec<u8> {
    let link = ChainLink {
        spool,
        seq,
        prev_hash: [1; 32],
        hash: [2; 32],
        mac: [3; 32],
    };
    let mut bytes = Vec::new();
    let row = AuditRow {
        event: event(),
        link,
    };
    frame::encode(&mut bytes, seq, &row);
    bytes
}

#[test]
fn all_records_are_read_in_order_over_many_chunks() {
    let written = Written::records(2000);
    let size: usize = written.frames.iter().map(Vec::len).sum();
    assert!(size > CHUNK, "{size}");
    let (seqs, bytes) = written.read(0..i64::MAX, u64::MAX);
    assert_eq!(seqs, (1..=2000).collect::<Vec<_>>());
    assert_eq!(bytes, size as u64);
    assert_eq!(
        written.read(1990..1995, u64::MAX).0,
        [1990, 1991, 1992, 1993, 1994]
    );
}

#[test]
fn a_torn_tail_costs_only_the_torn_record() {
    let written = Written::records(3);
    let whole = std::fs::read(written.path()).unwrap();
    for cut in 1..written.frames[2].len() {
        std::fs::write(written.path(), &whole[..whole.len() - cut]).unwrap();
        assert_eq!(written.read(0..i64::MAX, u64::MAX).0, [1, 2], "{cut}");
    }
    std::fs::write(written.path(), [whole, vec![0; 5000]].concat()).unwrap();
    assert_eq!(
        written.read(0..i64::MAX, u64::MAX).0,
        [1, 2, 3],
        "a hole after a power cut"
    );
}

#[test]
fn nothing_behind_the_limit_is_read() {
    let written = Written::records(3);
    let limit = (HEADER + written.frames[0].len()) as u64;
    assert_eq!(written.read(0..i64::MAX, limit).0, [1]);
    assert_eq!(written.read(0..i64::MAX, limit + 9).0, [1]);
}

#[test]
fn a_record_of_a_later_version_is_handed_out_as_it_is() {
    let written = Written::records(3);
    written.change(|bytes| {
        let payload = HEADER + written.frames[0].len() + 8;
        let end = payload - 8 + written.frames[1].len();
        bytes[payload] = 99;
        let sum = crc32fast::hash(&bytes[payload..end]);
        bytes[payload - 4..payload].copy_from_slice(&sum.to_le_bytes());
    });
    assert_eq!(written.read(0..i64::MAX, u64::MAX).0, [1, -2, 3]);
}

#[test]
fn a_segment_of_another_spool_or_version_is_refused() {
    let written = Written::records(1);
    let other = Reader::open(&written.path(), SpoolId::random())
        .err()
        .unwrap();
    assert!(is_damage(&other));
    written.change(|bytes| bytes[7] = 2);
    assert!(Reader::open(&written.path(), written.spool).is_err());
    written.change(|bytes| bytes.truncate(3));
    let short = Reader::open(&written.path(), written.spool).err().unwrap();
    assert!(is_damage(&short));
}
