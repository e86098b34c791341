//! What the demo says, in numbered steps.

use std::fmt::Display;

/// Numbers the steps.
#[derive(Default)]
pub(super) struct Printer {
    step: usize,
}

// === impl Printer ===

impl Printer {
    pub(super) fn title(&self, text: impl Display) {
        println!("{text}");
    }

    pub(super) fn step(&mut self, text: impl Display) {
        self.step += 1;
        println!("\n{:>2}. {text}", self.step);
    }

    /// What came back.
    pub(super) fn got(&self, text: impl Display) {
        println!("    -> {text}");
    }

    pub(super) fn line(&self, text: impl Display) {
        println!("    {text}");
    }
}
