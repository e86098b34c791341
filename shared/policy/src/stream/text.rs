//! Plain text that streams. UTF-8 is never torn. Text that starts like JSON or like a mail is held to
//! its end, for escapes and encoded parts could hide what it says.

use super::stage::Stages;
use crate::response::{ResponseFilter, Unfilterable};

#[derive(Debug)]
pub(super) struct Text {
    bound: usize,
    /// The start of a character whose end has not come.
    partial: Vec<u8>,
    stages: Stages,
    start: Start,
}

/// How the text starts; what came is kept until that is known.
#[derive(Debug, PartialEq, Eq)]
enum Start {
    Plain,
    Structured(Vec<u8>),
    Waiting(Vec<u8>),
}

// === impl Text ===

impl Text {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            partial: Vec::new(),
            stages: Stages::default(),
            start: Start::Waiting(Vec::new()),
        }
    }

    pub(super) fn push(
        &mut self,
        rules: &ResponseFilter,
        piece: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        let Start::Waiting(held) = &mut self.start else {
            return self.feed(rules, piece, false, out);
        };
        held.extend_from_slice(piece);
        let held = std::mem::take(held);
        match is_structured(&held) {
            None => self.start = Start::Waiting(held),
            Some(true) => self.start = Start::Structured(held),
            Some(false) => {
                self.start = Start::Plain;
                return self.feed(rules, &held, false, out);
            }
        }
        Ok(())
    }

    pub(super) fn finish(
        &mut self,
        rules: &ResponseFilter,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        let held = match std::mem::replace(&mut self.start, Start::Plain) {
            Start::Structured(held) | Start::Waiting(held) => held,
            Start::Plain => Vec::new(),
        };
        self.feed(rules, &held, true, out)?;
        if self.partial.is_empty() {
            Ok(())
        } else {
            Err(Unfilterable::NotUtf8)
        }
    }

    /// What came, if it must be seen whole.
    pub(super) fn take_structured(&mut self) -> Option<Vec<u8>> {
        match &mut self.start {
            Start::Structured(held) => Some(std::mem::take(held)),
            Start::Plain | Start::Waiting(_) => None,
        }
    }

    pub(super) fn held(&self) -> usize {
        let start = match &self.start {
            Start::Plain => 0,
            Start::Structured(held) | Start::Waiting(held) => held.len(),
        };
        start + self.partial.len() + self.stages.held()
    }

    pub(super) fn release(self, out: &mut Vec<u8>) {
        out.extend(self.stages.release().bytes());
        out.extend(self.partial);
        if let Start::Structured(held) | Start::Waiting(held) = self.start {
            out.extend(held);
        }
    }

    fn feed(
        &mut self,
        rules: &ResponseFilter,
        piece: &[u8],
        is_end: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        self.partial.extend_from_slice(piece);
        if rules.names_fields() {
            return Err(Unfilterable::FieldsOfText);
        }
        let whole = match std::str::from_utf8(&self.partial) {
            Ok(text) => text.len(),
            Err(e) if e.error_len().is_none() && !is_end => e.valid_up_to(),
            Err(_) => return Err(Unfilterable::NotUtf8),
        };
        let text = std::str::from_utf8(&self.partial[..whole]).unwrap_or_default();
        if !crate::response::content::is_text(text) {
            return Err(Unfilterable::NotUtf8);
        }
        let released = self.stages.push(rules, text, is_end, self.bound)?;
        out.extend_from_slice(released.as_bytes());
        self.partial.drain(..whole);
        Ok(())
    }
}

/// Whether a text starts like JSON or with a header; `None` while that is open.
fn is_structured(text: &[u8]) -> Option<bool> {
    let text = text.trim_ascii_start();
    let first = text.first()?;
    if b"{[\"".contains(first) {
        return Some(true);
    }
    let name = text
        .iter()
        .take(LONGEST_HEADER)
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-');
    match name.count() {
        LONGEST_HEADER => Some(false),
        length => text.get(length).map(|next| *next == b':' && length > 0),
    }
}

const LONGEST_HEADER: usize = 64;
