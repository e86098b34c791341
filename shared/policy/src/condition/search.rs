//! Looking for words or a pattern in a text, as written and as it reads.

use super::{Arc, Pattern, Patterns, text};
use crate::pattern::PatternError;

#[derive(Clone, Debug)]
pub(super) struct Search {
    written: Arc<Pattern>,
    /// For the text as it reads, if that takes another pattern.
    reads: Option<Arc<Pattern>>,
}

// === impl Search ===

impl Search {
    /// Case makes no difference, and nothing in the words is special.
    pub(super) fn words(words: &str, patterns: &mut Patterns) -> Result<Self, PatternError> {
        let written = patterns.compile(&literal(words), true)?;
        let plain = text::normal(words);
        let reads = match plain == words || plain.is_empty() {
            true => None,
            false => Some(patterns.compile(&literal(&plain), true)?),
        };
        Ok(Self { written, reads })
    }

    pub(super) fn pattern(pattern: &str, patterns: &mut Patterns) -> Result<Self, PatternError> {
        let written = patterns.compile(pattern, false)?;
        Ok(Self {
            written,
            reads: None,
        })
    }

    pub(super) fn may_find(&self, text: &str) -> bool {
        self.written.is_match(text) || self.reads_in(text)
    }

    pub(super) fn surely_finds(&self, text: &str) -> bool {
        self.written.is_match(text) && self.reads_in(text)
    }

    fn reads_in(&self, written: &str) -> bool {
        let pattern = self.reads.as_ref().unwrap_or(&self.written);
        pattern.is_match(&text::normal(written))
    }
}

fn literal(words: &str) -> String {
    let mut pattern = String::with_capacity(words.len());
    for c in words.chars() {
        if c.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
