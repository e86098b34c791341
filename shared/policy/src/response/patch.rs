//! A copy of a body with some stretches left out or replaced. As long as nothing changes, nothing is
//! copied.

pub(super) struct Patch<'a> {
    copied: usize,
    out: Vec<u8>,
    source: &'a [u8],
}

// === impl Patch ===

impl<'a> Patch<'a> {
    pub(super) fn new(source: &'a [u8]) -> Self {
        Self {
            copied: 0,
            out: Vec::new(),
            source,
        }
    }

    /// Stretches come in order and do not overlap.
    pub(super) fn replace(&mut self, from: usize, to: usize, with: &[u8]) {
        if self.copied == 0 && self.out.is_empty() {
            self.out.reserve(self.source.len() + with.len());
        }
        self.out.extend_from_slice(&self.source[self.copied..from]);
        self.out.extend_from_slice(with);
        self.copied = to;
    }

    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.replace(from, to, b"");
    }

    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        if self.copied == 0 {
            return None;
        }
        self.out.extend_from_slice(&self.source[self.copied..]);
        Some(self.out)
    }
}
