//! One JSON text a line (NDJSON, JSON lines): each is filtered as it ends.

use crate::response::{ResponseFilter, Unfilterable};

#[derive(Debug)]
pub(super) struct Lines {
    bound: usize,
    held: Vec<u8>,
    /// Up to here the held bytes have no line end.
    searched: usize,
}

// === impl Lines ===

impl Lines {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            held: Vec::new(),
            searched: 0,
        }
    }

    pub(super) fn push(
        &mut self,
        rules: &ResponseFilter,
        piece: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        self.held.extend_from_slice(piece);
        let mut start = 0;
        while let Some(at) = memchr::memchr(b'\n', &self.held[self.searched..]) {
            let end = self.searched + at + 1;
            let done = line(rules, &self.held[start..end], out);
            if done.is_err() {
                self.held.drain(..start);
                return done;
            }
            (start, self.searched) = (end, end);
        }
        self.held.drain(..start);
        self.searched = self.held.len();
        if self.held.len() > self.bound {
            Err(Unfilterable::TooLarge)
        } else {
            Ok(())
        }
    }

    pub(super) fn finish(
        &mut self,
        rules: &ResponseFilter,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        line(rules, &self.held, out)?;
        self.held.clear();
        Ok(())
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    pub(super) fn release(self, out: &mut Vec<u8>) {
        out.extend(self.held);
    }
}

/// The line end is white space to JSON and stays where it is.
fn line(rules: &ResponseFilter, line: &[u8], out: &mut Vec<u8>) -> Result<(), Unfilterable> {
    if line.trim_ascii().is_empty() {
        out.extend_from_slice(line);
        return Ok(());
    }
    let filtered = rules
        .json(line, None)
        .map_err(|_| Unfilterable::Malformed)?;
    out.extend_from_slice(filtered.as_deref().unwrap_or(line));
    Ok(())
}
