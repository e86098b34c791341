//! What an earlier life of the process left in the folder: read from start to end, then deleted.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use ah5_contracts::id::SpoolId;

use super::folder::Folder;
use super::frame;
use super::segment::{self, Batch, Reader};

pub(super) struct Leftover {
    pub(super) spool: SpoolId,
    folder: PathBuf,
    segments: VecDeque<Segment>,
    reader: Option<Reader>,
    bytes: u64,
    /// What of it is not known to be stored.
    pub(super) waiting: u64,
}

struct Segment {
    path: PathBuf,
    bytes: u64,
}

// === impl Leftover ===

impl Leftover {
    pub(super) fn open(folder: PathBuf, spool: SpoolId) -> io::Result<Self> {
        let mut segments = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if segment::is_segment(&entry.path()) {
                let (path, bytes) = (entry.path(), entry.metadata()?.len());
                segments.push(Segment { path, bytes });
            }
        }
        segments.sort_by(|a, b| a.path.cmp(&b.path));
        let bytes = segments.iter().map(|segment| segment.bytes).sum();
        Ok(Self {
            spool,
            folder,
            segments: segments.into(),
            reader: None,
            bytes,
            waiting: bytes,
        })
    }

    /// The size of its files when it was found.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next records. By asking, the caller says that all records before are stored: their
    /// files go. `None` at the end; then nothing is left of this life.
    pub(super) fn next(&mut self, keeper: &Folder) -> io::Result<Option<Batch>> {
        while let Some(segment) = self.segments.front() {
            match read(&mut self.reader, segment, self.spool) {
                Ok(Some(batch)) => return Ok(Some(batch)),
                Ok(None) => {
                    let end = self.reader.as_ref().map_or(0, Reader::offset);
                    self.finish(keeper, end)?;
                }
                Err(error) if segment::is_damage(&error) => self.finish(keeper, 0)?,
                Err(error) => return Err(error),
            }
        }
        if let Err(error) = std::fs::remove_dir(&self.folder) {
            tracing::warn!(%error, folder = %self.folder.display(), "an empty audit spool stays");
        }
        Ok(None)
    }

    // A killed writer leaves a part of a frame at the end of its last file. More than that, or
    // elsewhere, is damage: after a power cut, or worse.
    fn finish(&mut self, keeper: &Folder, end: u64) -> io::Result<()> {
        let Some(segment) = self.segments.front() else {
            return Ok(());
        };
        let rest = segment.bytes.saturating_sub(end);
        let torn = self.segments.len() == 1 && rest <= MAX_TORN;
        if rest > 0 && torn {
            tracing::warn!(spool = %self.spool, bytes = rest, "cut an unfinished end off an audit spool");
        }
        if rest == 0 || torn {
            remove(&segment.path)?;
        } else {
            keeper.set_aside(self.spool, &segment.path);
        }
        self.segments.pop_front();
        self.reader = None;
        Ok(())
    }
}

fn read(
    reader: &mut Option<Reader>,
    segment: &Segment,
    spool: SpoolId,
) -> io::Result<Option<Batch>> {
    let reader = match reader {
        Some(reader) => reader,
        None => reader.insert(Reader::open(&segment.path, spool)?),
    };
    reader.next(&(0..i64::MAX), u64::MAX)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

const MAX_TORN: u64 = frame::MAX_PAYLOAD as u64 + 8;

#[cfg(test)]
mod tests;
