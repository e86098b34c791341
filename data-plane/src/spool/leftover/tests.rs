use std::io::Write as _;

use ah5_contracts::audit::{AuditRow, ChainLink};

use super::super::sample::event;
use super::super::segment::Content;
use super::*;

struct Life {
    place: tempfile::TempDir,
    keeper: Folder,
    spool: SpoolId,
}

impl Life {
    /// Two segments of three records.
    fn lived() -> Self {
        let place = tempfile::tempdir().unwrap();
        let keeper = Folder::open(place.path()).unwrap();
        let spool = SpoolId::random();
        let folder = keeper.begin(spool).unwrap();
        for first in [1, 4] {
            let mut file = segment::create(&folder.join(segment::name(first)), spool).unwrap();
            for seq in first..first + 3 {
                file.write_all(&frame_of(spool, seq)).unwrap();
            }
        }
        Self {
            place,
            keeper,
            spool,
        }
    }

    fn folder(&self) -> PathBuf {
        self.place.path().join(self.spool.to_string())
    }

    fn change(&self, first: i64, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.folder().join(segment::name(first));
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(path, bytes).unwrap();
    }

    /// The numbers of all records that can still be read, and the names of what stays.
    fn drain(&self) -> (Vec<i64>, Vec<String>) {
        let mut leftover = self.keeper.leftovers().unwrap().pop().unwrap();
        let mut seqs = Vec::new();
        while let Some(batch) = leftover.next(&self.keeper).unwrap() {
            let Content::Records(records) = batch.content else {
                panic!("readable");
            };
            seqs.extend(records.iter().map(|record| record.spool_seq));
        }
        let names = std::fs::read_dir(self.place.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        (seqs, names.filter(|name| name != "lock").collect())
    }
}

fn frame_of(spool: SpoolId, seq: i64) -> Vec<u8> {
    let link = ChainLink {
        spool,
        seq,
        prev_hash: [1; 32],
        hash: [2; 32],
        mac: [3; 32],
    };
    let row = AuditRow {
        event: event(),
        link,
    };
    let mut bytes = Vec::new();
    frame::encode(&mut bytes, seq, &row);
    bytes
}

#[test]
fn is_read_in_order_and_gone() {
    assert_eq!(Life::lived().drain(), (vec![1, 2, 3, 4, 5, 6], vec![]));
}

#[test]
fn an_unfinished_end_is_cut_without_ado() {
    let life = Life::lived();
    life.change(4, |bytes| bytes.truncate(bytes.len() - 1));
    assert_eq!(life.drain(), (vec![1, 2, 3, 4, 5], vec![]));
    let life = Life::lived();
    life.change(4, |bytes| bytes.truncate(5));
    assert_eq!(life.drain(), (vec![1, 2, 3], vec![]), "not even a header");
}

#[test]
fn damage_elsewhere_costs_the_rest_of_its_segment_which_is_kept() {
    for (first, left) in [(1, vec![1, 4, 5, 6]), (4, vec![1, 2, 3])] {
        let life = Life::lived();
        life.change(first, |bytes| {
            let second = segment::HEADER + frame_of(life.spool, 1).len();
            match first {
                1 => bytes[second + 50] ^= 1,
                // More than a kill leaves behind.
                _ => bytes
                    .splice(segment::HEADER.., vec![0; 1 << 20])
                    .for_each(drop),
            }
        });
        let kept = format!("damaged-{}-{}", life.spool, segment::name(first));
        assert_eq!(life.drain(), (left, vec![kept]));
    }
}
