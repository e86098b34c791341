//! Base64 in a text that grows: a run is held until it has ended, then looked into as in a whole answer.

use crate::response::ResponseFilter;

/// The run of base64, or the word, that the text ends with.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    run: String,
}

// === impl Encoded ===

impl Encoded {
    /// What may go on now that `text` has come.
    pub(super) fn push(&mut self, rules: &ResponseFilter, text: &str, is_end: bool) -> String {
        // Links of ours are held up for nothing, and personal data holds up words anyway.
        if !rules.redacts_data() {
            return text.to_owned();
        }
        let open = text.bytes().rev().take_while(|byte| is_part(*byte)).count();
        let open = if is_end { 0 } else { open };
        if open == text.len() && !is_end {
            self.run.push_str(text);
            return String::new();
        }
        let (done, rest) = text.split_at(text.len() - open);
        let mut whole = std::mem::replace(&mut self.run, rest.to_owned());
        whole.push_str(done);
        opened(rules, whole)
    }

    pub(super) fn held(&self) -> usize {
        self.run.len()
    }

    /// What is held back, as it came.
    pub(super) fn release(self) -> String {
        self.run
    }
}

/// The text with every long run of base64 redacted.
fn opened(rules: &ResponseFilter, text: String) -> String {
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.bytes().position(is_part) {
        let length = rest[start..]
            .bytes()
            .take_while(|byte| is_part(*byte))
            .count();
        let (before, run) = (&rest[..start], &rest[start..start + length]);
        out.push_str(before);
        out.push_str(redacted(rules, run).as_deref().unwrap_or(run));
        rest = &rest[start + length..];
    }
    out.push_str(rest);
    out
}

fn redacted(rules: &ResponseFilter, run: &str) -> Option<String> {
    if run.len() < SHORTEST {
        return None;
    }
    let mut changed: Option<String> = None;
    for redactor in rules.redactors() {
        changed = redactor
            .encoded(changed.as_deref().unwrap_or(run))
            .or(changed);
    }
    changed
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte)
}

/// Shorter ones hold nothing that is worth it, and many words are as long.
const SHORTEST: usize = 24;
