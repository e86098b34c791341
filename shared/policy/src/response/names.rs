//! A list of member names, asked once for every member of an answer.

/// Names in a fixed order, behind a filter on length and first byte that turns most others away.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    firsts: [u64; 4],
    lengths: u64,
    sorted: Box<[Box<[u8]>]>,
}

// === impl Names ===

impl Names {
    pub(super) fn new(names: &[&str]) -> Self {
        let mut sorted: Vec<Box<[u8]>> = names.iter().map(|n| n.as_bytes().into()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut all = Self {
            firsts: [0; 4],
            lengths: 0,
            sorted: sorted.into(),
        };
        for name in &all.sorted {
            let (word, bit) = first_of(name);
            all.firsts[word] |= bit;
            all.lengths |= length_of(name);
        }
        all
    }

    #[inline]
    pub(super) fn has(&self, name: &[u8]) -> bool {
        let (word, bit) = first_of(name);
        self.firsts[word] & bit != 0
            && self.lengths & length_of(name) != 0
            && self
                .sorted
                .binary_search_by(|known| (**known).cmp(name))
                .is_ok()
    }
}

fn first_of(name: &[u8]) -> (usize, u64) {
    let first = name.first().copied().unwrap_or(0);
    (usize::from(first / 64), 1 << (first % 64))
}

fn length_of(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}
