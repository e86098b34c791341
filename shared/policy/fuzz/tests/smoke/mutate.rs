//! Mutations of seeds, the same ones in every run.

/// Makes inputs from the seeds it was given.
pub struct Mutator {
    seeds: Vec<Vec<u8>>,
    state: u64,
}

// === impl Mutator ===

impl Mutator {
    pub fn new(seeds: Vec<Vec<u8>>) -> Self {
        Self {
            seeds,
            state: 0x9e37_79b9_7f4a_7c15,
        }
    }

    pub fn next_input(&mut self) -> Vec<u8> {
        let at = self.below(self.seeds.len());
        let mut input = self.seeds[at].clone();
        for _ in 0..=self.below(4) {
            self.mutate(&mut input);
        }
        input.truncate(MAX_INPUT);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = (at + 1 + self.below(12)).min(input.len());
        match self.below(6) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 => {
                input.drain(at.min(end)..end);
            }
            2 => {
                let copied = input[at.min(end)..end].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, copied);
            }
            3 => {
                let other = self.below(self.seeds.len());
                let from = self.below(self.seeds[other].len() + 1);
                input.truncate(at);
                input.extend_from_slice(&self.seeds[other][from..]);
            }
            _ => {
                let piece = PIECES[self.below(PIECES.len())];
                input.splice(at..at, piece.bytes());
            }
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        // Xorshift: plain, and enough to choose with.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % bound as u64).expect("below a usize")
    }
}

const MAX_INPUT: usize = 4096;

/// What tends to matter to one target or another.
const PIECES: [&str; 48] = [
    "/", "..", ".", "%2e", "%2F", "%25", "%", "%00", ";", "?", "&", "=", "+", "#", "\\", "@", ":",
    "*", "**", "\n", "\r\n", "\n\n", "data:", "{", "}", "[", "]", "\"", ",", "null", "\\u0040",
    "\\ud800", "a@b.io", "x123", " ", "\u{200b}", "é", "１", "<wbr>", "&#64;", "4111", "-", "(",
    ")", "|", "\\b", "\\d", "{2,}",
];
