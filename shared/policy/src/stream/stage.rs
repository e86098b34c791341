//! One rule's redaction of a text that grows. Gives out what no later text can change.

use super::encoded::Encoded;
use crate::pii::{Finding, Progress, Window, scan};
use crate::response::{Redactor, ResponseFilter, Unfilterable};

/// The rules' redactions of one text, each fed with what the one before gives out.
#[derive(Debug, Default)]
pub(super) struct Stages {
    encoded: Encoded,
    stages: Vec<Stage>,
}

#[derive(Debug, Default)]
struct Stage {
    /// Up to here the window is decided; before it stands context.
    decided: usize,
    /// Up to here the window is covered by a marker that went out.
    covered: usize,
    progress: Progress,
    window: String,
}

// === impl Stages ===

impl Stages {
    /// What may go out now that `text` has come.
    pub(super) fn push(
        &mut self,
        rules: &ResponseFilter,
        text: &str,
        is_end: bool,
        bound: usize,
    ) -> Result<String, Unfilterable> {
        let mut text = self.encoded.push(rules, text, is_end);
        if self.encoded.held() > bound {
            return Err(Unfilterable::TooLarge);
        }
        for (i, redactor) in rules.redactors().enumerate() {
            if self.stages.len() == i {
                self.stages.push(Stage::default());
            }
            text = self.stages[i].push(redactor, &text, is_end);
            if self.stages[i].held() > bound {
                return Err(Unfilterable::TooLarge);
            }
        }
        Ok(text)
    }

    pub(super) fn held(&self) -> usize {
        self.encoded.held() + self.stages.iter().map(Stage::held).sum::<usize>()
    }

    /// What is held back, as it came.
    pub(super) fn release(self) -> String {
        let held = |stage: Stage| stage.window[stage.decided.max(stage.covered)..].to_owned();
        let decided: String = self.stages.into_iter().rev().map(held).collect();
        decided + &self.encoded.release()
    }
}

// === impl Stage ===

impl Stage {
    fn push(&mut self, redactor: &Redactor, text: &str, is_end: bool) -> String {
        self.window.push_str(text);
        if !is_end && !redactor.recognisers().is_streamable() {
            return String::new();
        }
        let window = Window {
            from: self.decided,
            is_end,
            is_quoted_printable: false,
            name: None,
            text: &self.window,
        };
        let mut findings = Vec::new();
        let seen = scan(
            redactor.recognisers(),
            &window,
            &mut self.progress,
            &mut findings,
        );
        findings.sort_by_key(|finding| finding.start);
        let out = self.emit(&findings, seen.open, redactor.marker());
        self.forget(seen.keep_from);
        out
    }

    /// What is decided between the last time and `open`.
    fn emit(&mut self, findings: &[Finding], open: usize, marker: &str) -> String {
        let mut out = String::new();
        let mut at = self.decided.max(self.covered);
        for finding in findings {
            if finding.start >= self.covered {
                out.push_str(&self.window[at..finding.start]);
                out.push_str(marker);
            }
            self.covered = self.covered.max(finding.end);
            at = at.max(self.covered);
        }
        if at < open {
            out.push_str(&self.window[at..open]);
        }
        self.decided = open;
        out
    }

    /// Drops what is too far back to matter.
    fn forget(&mut self, keep_from: usize) {
        if keep_from > SLACK || self.decided == self.window.len() {
            self.window.drain(..keep_from);
            self.progress.forget(keep_from);
            self.decided -= keep_from;
            self.covered = self.covered.saturating_sub(keep_from);
        }
    }

    fn held(&self) -> usize {
        self.window.len() - self.decided
    }
}

/// Context is dropped in strides, so that pushing a byte does not move the window each time.
const SLACK: usize = 1024;
