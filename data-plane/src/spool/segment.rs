//! A segment: one file of a spool, only ever appended to. Reads stop at the first bytes that are no
//! whole frame, which is where a killed writer stopped.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ah5_contracts::id::SpoolId;
use ah5_store::audit_spool::SpoolRecord;

use super::frame::{self, MAX_PAYLOAD, Parsed};

/// The size of what stands before the first frame.
pub(super) const HEADER: usize = MAGIC.len() + 16;

/// Records to be stored together.
pub(super) struct Batch {
    pub(super) content: Content,
    pub(super) bytes: u64,
}

pub(super) enum Content {
    Records(Vec<SpoolRecord>),
    /// Intact, but written by a build that this one doesn't understand.
    Unreadable {
        spool_seq: i64,
        payload: Vec<u8>,
    },
}

/// Reads a segment from its start, a batch at a time.
pub(super) struct Reader {
    path: PathBuf,
    file: File,
    spool: SpoolId,
    offset: u64,
}

/// Only a segment that is opened for its first record is made, so the name is free.
pub(super) fn create(path: &Path, spool: SpoolId) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(&header(spool))?;
    Ok(file)
}

/// By name, segments sort in the order of writing.
pub(super) fn name(first_seq: i64) -> String {
    format!("{first_seq:020}.{EXTENSION}")
}

pub(super) fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext == EXTENSION)
}

/// Whether a read failed for good: what is behind is lost to us, not merely late.
pub(super) fn is_damage(error: &io::Error) -> bool {
    const EIO: i32 = 5;
    let kinds = [
        ErrorKind::InvalidData,
        ErrorKind::NotFound,
        ErrorKind::UnexpectedEof,
    ];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(EIO)
}

// === impl Batch ===

impl Batch {
    /// The last record's number; 0 if there is none.
    pub(super) fn last(&self) -> i64 {
        match &self.content {
            Content::Records(records) => records.last().map_or(0, |record| record.spool_seq),
            Content::Unreadable { spool_seq, .. } => *spool_seq,
        }
    }
}

// === impl Reader ===

impl Reader {
    pub(super) fn open(path: &Path, spool: SpoolId) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut found = [0; HEADER];
        file.read_exact_at(&mut found, 0)?;
        if found != header(spool) {
            return Err(ErrorKind::InvalidData.into());
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            spool,
            offset: HEADER as u64,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next read begins: after the last, where frames ended.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next records numbered within `wanted`, from the first `limit` bytes of the file.
    /// `None` if no whole frame follows, or none before `wanted.end`.
    pub(super) fn next(&mut self, wanted: &Range<i64>, limit: u64) -> io::Result<Option<Batch>> {
        loop {
            let chunk = self.chunk(limit)?;
            let (batch, used) = self.collect(&chunk, wanted);
            self.offset += used as u64;
            if batch.is_some() || used == 0 {
                return Ok(batch);
            }
        }
    }

    fn chunk(&self, limit: u64) -> io::Result<Vec<u8>> {
        let left = usize::try_from(limit.saturating_sub(self.offset)).unwrap_or(CHUNK);
        let mut chunk = vec![0; left.min(CHUNK)];
        let mut filled = 0;
        while filled < chunk.len() {
            match self
                .file
                .read_at(&mut chunk[filled..], self.offset + filled as u64)
            {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        chunk.truncate(filled);
        Ok(chunk)
    }

    // The records and how many bytes are done with.
    fn collect(&self, chunk: &[u8], wanted: &Range<i64>) -> (Option<Batch>, usize) {
        let (mut records, mut bytes, mut used) = (Vec::new(), 0, 0);
        while let Parsed::Frame(payload) = frame::parse(&chunk[used..]) {
            let (spool_seq, size) = (payload.spool_seq(), payload.size());
            if spool_seq >= wanted.end {
                break;
            }
            if spool_seq >= wanted.start {
                match payload.decode(self.spool) {
                    Some(record) => records.push(record),
                    None if !records.is_empty() => break,
                    None => {
                        let payload = payload.bytes();
                        let content = Content::Unreadable { spool_seq, payload };
                        let bytes = size as u64;
                        return (Some(Batch { content, bytes }), used + size);
                    }
                }
                bytes += size as u64;
            }
            used += size;
        }
        let batch = (!records.is_empty()).then_some(Batch {
            content: Content::Records(records),
            bytes,
        });
        (batch, used)
    }
}

fn header(spool: SpoolId) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..MAGIC.len()].copy_from_slice(&MAGIC);
    header[MAGIC.len()..].copy_from_slice(spool.uuid().as_bytes());
    header
}

const MAGIC: [u8; 8] = *b"ah5spl\x00\x01";
const EXTENSION: &str = "spool";
/// Holds any frame, and as many records as make a good batch.
const CHUNK: usize = 512 * 1024;
const _: () = assert!(CHUNK > 2 * MAX_PAYLOAD);

#[cfg(test)]
mod tests;
