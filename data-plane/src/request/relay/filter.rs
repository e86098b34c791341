//! A policy's filter on an answer that passes piece by piece.

use ah5_policy::response::Unfilterable;
use ah5_policy::stream::StreamFilter;
use bytes::Bytes;

pub struct Filter {
    stream: StreamFilter,
    /// The most that it has held back so far.
    held: usize,
    finished: bool,
}

// === impl Filter ===

impl Filter {
    pub const fn new(stream: StreamFilter) -> Self {
        Self {
            stream,
            held: 0,
            finished: false,
        }
    }

    /// Whether the end has been seen and everything is out.
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// What may go out, and how many bytes more than ever before are held back.
    ///
    /// # Errors
    /// The answer can't be filtered and the rules don't let it pass so.
    pub fn push(&mut self, piece: &[u8], end: bool) -> Result<(Bytes, usize), Unfilterable> {
        if self.finished {
            return Ok((Bytes::new(), 0));
        }
        let mut out = Vec::with_capacity(piece.len());
        self.stream.push(piece, &mut out)?;
        if end {
            self.stream.finish(&mut out)?;
            self.finished = true;
        }
        let more = self.stream.held().saturating_sub(self.held);
        self.held += more;
        Ok((Bytes::from(out), more))
    }
}
