//! One pass over a text that tries every recogniser where it may start. Whether something is found
//! at a place depends on that place's neighbourhood only, never on earlier finds: so a stream can
//! go on from any place, and work stays linear.

mod starts;

use super::context;
use super::email;
use super::kind::{Kind, Kinds};
use super::links::Links;
use super::probe::{Probe, is_word};
use super::verdict::Verdict;
use super::words::Candidate;

/// A built-in kind found between two bytes of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
    pub(super) score: u8,
}

/// What is looked for, and what is known about the text from outside it.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'k> {
    pub(super) kinds: Kinds,
    pub(super) links: Option<&'k Links>,
    /// The member whose value the text is.
    pub(super) name: Option<&'k str>,
}

/// Looks at every place from `from` on. Answers the first place whose outcome may change when more
/// text comes (the text's end, if none).
pub(super) fn scan(
    text: &[u8],
    from: usize,
    is_end: bool,
    wanted: Wanted<'_>,
    floor: &dyn Fn(usize) -> usize,
    hits: &mut Vec<Hit>,
) -> usize {
    let mut scan = Scan::new(text, is_end, wanted, floor, hits);
    scan.run(from);
    scan.close();
    scan.open
}

struct Scan<'s, 't> {
    /// Where context for a place may start.
    floor: &'s dyn Fn(usize) -> usize,
    hits: &'s mut Vec<Hit>,
    open: usize,
    probe: Probe<'t>,
    /// The kinds in the context of a place, once asked for.
    spoken: Option<(usize, Kinds)>,
    /// The last run of bytes of web addresses.
    url_run: (usize, usize),
    wanted: Wanted<'s>,
}

// === impl Scan ===

impl<'s, 't> Scan<'s, 't> {
    fn new(
        text: &'t [u8],
        is_end: bool,
        wanted: Wanted<'s>,
        floor: &'s dyn Fn(usize) -> usize,
        hits: &'s mut Vec<Hit>,
    ) -> Self {
        Self {
            floor,
            hits,
            open: text.len(),
            probe: Probe::new(text, is_end),
            spoken: None,
            url_run: (0, 0),
            wanted,
        }
    }

    fn run(&mut self, from: usize) {
        let text = self.probe.text();
        let mut at = from;
        while let Some(byte) = text.get(at) {
            if is_word(byte) {
                at = self.word(at);
            } else {
                match byte {
                    _ if self.wanted.kinds.is_empty() => {}
                    b'@' => self.email(at),
                    b'+' => self.phone(at),
                    b':' => {
                        self.network(at);
                        self.settle(at);
                    }
                    _ => {}
                }
                at += 1;
            }
        }
    }

    /// A word, or the rest of one: its start and every place where another is glued on.
    fn word(&mut self, start: usize) -> usize {
        let text = self.probe.text();
        if !is_word(&self.probe.before(start)) || self.is_glued(start) {
            self.start(start);
        }
        let mut at = start + 1;
        let mut is_digit = text[start].is_ascii_digit();
        while let Some(byte) = text.get(at).filter(|byte| is_word(byte)) {
            if is_digit && byte.is_ascii_uppercase() && self.is_glued(at) {
                self.start(at);
            }
            is_digit = byte.is_ascii_digit();
            at += 1;
        }
        at
    }

    fn is_glued(&mut self, at: usize) -> bool {
        let is_glued = self.probe.is_glued(at);
        self.settle(at);
        is_glued
    }

    fn record(&mut self, start: usize, candidate: Candidate, verdict: Verdict) {
        let score = match verdict {
            Verdict::Impossible => return,
            Verdict::Possible => candidate.score,
            Verdict::Proven => PROVEN,
        };
        let score = if score < THRESHOLD && self.is_spoken_of(start, candidate.kind) {
            (score + CONTEXT).max(THRESHOLD)
        } else {
            score
        };
        if score >= THRESHOLD {
            let mut end = candidate.end;
            // A run that was cut at its bound may have been cut inside a character.
            while self.probe.is(end, |byte| byte & 0xc0 == 0x80) {
                end += 1;
            }
            self.hits.push(Hit {
                start,
                end,
                kind: candidate.kind,
                score,
            });
        }
    }

    fn is_spoken_of(&mut self, start: usize, kind: Kind) -> bool {
        let spoken = match self.spoken {
            Some((at, spoken)) if at == start => spoken,
            _ => {
                let before = &self.probe.text()[(self.floor)(start)..start];
                let named = self.wanted.name.map_or(Kinds::NONE, context::named_by);
                let spoken = context::spoken_of(before).union(named);
                self.spoken = Some((start, spoken));
                spoken
            }
        };
        spoken.has(kind)
    }

    /// Keeps `at` open if anything since the last call looked beyond the text.
    fn settle(&mut self, at: usize) {
        if self.probe.take_touched() {
            self.open = self.open.min(at);
        }
    }

    /// The end of a text that goes on may be the local part of an address.
    fn close(&mut self) {
        let text = self.probe.text();
        if !self.probe.is_end() && self.wanted.kinds.has(Kind::Email) {
            self.open = self.open.min(email::local_start(text, text.len()));
        }
    }
}

const CONTEXT: u8 = 35;
const PROVEN: u8 = 100;
const THRESHOLD: u8 = 40;

#[cfg(test)]
mod tests;
