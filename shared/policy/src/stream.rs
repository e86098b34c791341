//! Filters an answer while it streams: fed with pieces cut anywhere, it gives out what is decided
//! and holds back what is not. The data plane drives it; what comes out never depends on the cuts.
//!
//! Rules see meaning, not bytes: in event streams of known shape they see the text that the client
//! puts together from many events.

use std::sync::Arc;

use crate::response::content::{Streamed, is_binary, streamed};
use crate::response::{OnUnfilterable, ResponseFilter, Unfilterable};

mod channel;
mod delta;
mod encoded;
mod event;
mod events;
mod leaves;
mod lines;
mod stage;
mod text;
mod unknown;

use events::Events;
use lines::Lines;
use text::Text;
pub(crate) use unknown::join_items;

/// One answer's filter.
#[derive(Debug)]
pub struct StreamFilter {
    content_type: Option<Box<str>>,
    mode: Mode,
    rules: Arc<ResponseFilter>,
    /// How much may be held back.
    bound: usize,
}

#[derive(Debug)]
enum Mode {
    Events(Box<Events>),
    /// Nothing more comes out.
    Failed(Unfilterable),
    Lines(Lines),
    Open,
    Text(Text),
    /// Held to its end.
    Whole(Vec<u8>),
}

// === impl StreamFilter ===

impl StreamFilter {
    /// `bound` is how many bytes may be held back; an answer that needs more cannot be filtered.
    #[must_use]
    pub fn new(rules: Arc<ResponseFilter>, content_type: Option<&str>, bound: usize) -> Self {
        let is_open = rules.is_empty()
            || (is_binary(content_type)
                && rules.action(Unfilterable::Binary) == OnUnfilterable::Pass);
        let mode = match streamed(content_type) {
            _ if rules.trims() => Mode::Whole(Vec::new()),
            _ if is_open => Mode::Open,
            Some(Streamed::Events) => Mode::Events(Box::new(Events::new(bound))),
            Some(Streamed::Lines) => Mode::Lines(Lines::new(bound)),
            Some(Streamed::Text) => Mode::Text(Text::new(bound)),
            None => Mode::Whole(Vec::new()),
        };
        Self {
            content_type: content_type.map(Into::into),
            mode,
            rules,
            bound,
        }
    }

    /// Takes the next piece, appends what may go out to `out`.
    ///
    /// # Errors
    /// The answer cannot be filtered and the rules do not let it pass so: what came out before was
    /// right, nothing more will come, and the stream must be cut.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Unfilterable> {
        let done = match &mut self.mode {
            Mode::Events(events) => events.push(&self.rules, piece, out),
            Mode::Failed(why) => return Err(*why),
            Mode::Lines(lines) => lines.push(&self.rules, piece, out),
            Mode::Open => {
                out.extend_from_slice(piece);
                return Ok(());
            }
            Mode::Text(text) => text.push(&self.rules, piece, out),
            Mode::Whole(held) => {
                held.extend_from_slice(piece);
                if held.len() > self.bound {
                    Err(Unfilterable::TooLarge)
                } else {
                    Ok(())
                }
            }
        };
        done.or_else(|why| self.fail(why, out))?;
        if let Mode::Text(text) = &mut self.mode
            && let Some(held) = text.take_structured()
        {
            self.mode = Mode::Whole(held);
        }
        Ok(())
    }

    /// Takes the end.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Unfilterable> {
        let done = match &mut self.mode {
            Mode::Events(events) => events.finish(&self.rules, out),
            Mode::Failed(why) => Err(*why),
            Mode::Lines(lines) => lines.finish(&self.rules, out),
            Mode::Open => Ok(()),
            Mode::Text(text) => text.finish(&self.rules, out),
            Mode::Whole(held) => {
                let filtered = self.rules.body(self.content_type.as_deref(), held);
                filtered.map(|filtered| out.extend(filtered.as_ref().unwrap_or(held)))
            }
        };
        done.or_else(|why| self.fail(why, out))
    }

    /// Whether nothing goes out before the answer is at its end.
    #[must_use]
    pub fn takes_whole(&self) -> bool {
        matches!(self.mode, Mode::Whole(_))
    }

    /// About how many bytes are held back now, for whoever accounts for memory.
    #[must_use]
    pub fn held(&self) -> usize {
        match &self.mode {
            Mode::Events(events) => events.held(),
            Mode::Failed(_) | Mode::Open => 0,
            Mode::Lines(lines) => lines.held(),
            Mode::Text(text) => text.held(),
            Mode::Whole(held) => held.len(),
        }
    }

    /// Where the rules let pass what they cannot filter, the rest passes as it is.
    fn fail(&mut self, why: Unfilterable, out: &mut Vec<u8>) -> Result<(), Unfilterable> {
        if self.rules.action(why) != OnUnfilterable::Pass {
            self.mode = Mode::Failed(why);
            return Err(why);
        }
        match std::mem::replace(&mut self.mode, Mode::Open) {
            Mode::Events(events) => events.release(out),
            Mode::Lines(lines) => lines.release(out),
            Mode::Text(text) => text.release(out),
            Mode::Whole(held) => out.extend(held),
            Mode::Failed(_) | Mode::Open => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
