//! The policy's own patterns. The engine is linear in the text; pattern and program are bounded.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::Look;

/// One compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Custom {
    /// The longest match in bytes, if there is one and the text's ends do not matter: what a
    /// stream must hold back.
    longest: Option<usize>,
    /// The place in the list of types.
    pub(super) place: u16,
    regex: Regex,
}

// === impl Custom ===

impl Custom {
    /// # Errors
    /// What is wrong with the pattern, in words.
    pub(super) fn compile(place: u16, pattern: &str) -> Result<Self, String> {
        if pattern.is_empty() || pattern.len() > MOST_PATTERN {
            return Err(format!("must have 1 to {MOST_PATTERN} characters"));
        }
        let hir = regex_syntax::parse(pattern).map_err(|e| reason(&e.to_string()))?;
        let properties = hir.properties();
        if properties.minimum_len() == Some(0) {
            return Err("matches the empty text".to_owned());
        }
        let looks = properties.look_set();
        let is_anchored = looks.contains(Look::Start) || looks.contains(Look::End);
        let longest = properties
            .maximum_len()
            .filter(|most| *most <= MOST_HELD && !is_anchored);
        let regex = RegexBuilder::new(pattern)
            .size_limit(MOST_PROGRAM)
            .dfa_size_limit(MOST_PROGRAM)
            .build()
            .map_err(|e| reason(&e.to_string()))?;
        Ok(Self {
            longest,
            place,
            regex,
        })
    }

    /// Whether a stream can be searched piece by piece.
    pub(super) fn is_bounded(&self) -> bool {
        self.longest.is_some()
    }

    /// The matches from `from` on, and the first place that more text may change.
    pub(super) fn scan(
        &self,
        text: &str,
        mut from: usize,
        is_end: bool,
        mut found: impl FnMut(usize, usize),
    ) -> usize {
        let open = match self.longest {
            _ if is_end => text.len(),
            // One character more than the match may decide it (`\b`).
            Some(longest) => floor_char(text, text.len().saturating_sub(longest + 4)),
            None => 0,
        };
        while let Some(hit) = self
            .regex
            .find_at(text, from)
            .filter(|_| from <= text.len())
        {
            if !is_end && hit.start() >= open {
                break;
            }
            found(hit.start(), hit.end());
            from = hit.end();
        }
        open
    }
}

fn floor_char(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The engine's message without its picture of the pattern.
fn reason(message: &str) -> String {
    let line = message.lines().last().unwrap_or(message);
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

const MOST_HELD: usize = 4096;
const MOST_PATTERN: usize = 1024;
const MOST_PROGRAM: usize = 1 << 20;
