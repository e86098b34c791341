//! Filters a stream of server-sent events, one by one where its shape is known, held to its end
//! where it is not.

use serde_json::Value;

use super::channel::{Channels, Place};
use super::delta::Dialect;
use super::event::{Event, Splitter};
use super::leaves::leaves;
use super::unknown;
use crate::response::{Given, ResponseFilter, Unfilterable, quote};

#[derive(Debug)]
pub(super) struct Events {
    bound: usize,
    channels: Channels,
    shape: Shape,
    splitter: Splitter,
}

/// What is known of the stream.
#[derive(Debug)]
enum Shape {
    Known(Dialect),
    New,
    /// Everything since, and its size.
    Unknown(Vec<Event>, usize),
}

/// A piece of a longer text in an event: where its token starts, and what goes out there.
struct Piece {
    at: usize,
    key: String,
    released: String,
}

// === impl Events ===

impl Events {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            channels: Channels::default(),
            shape: Shape::New,
            splitter: Splitter::default(),
        }
    }

    pub(super) fn push(
        &mut self,
        rules: &ResponseFilter,
        piece: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        self.splitter.push(piece);
        self.drain(rules, false, out)?;
        let is_too_long = self.splitter.held().len() > self.bound;
        if is_too_long {
            Err(Unfilterable::TooLarge)
        } else {
            Ok(())
        }
    }

    pub(super) fn finish(
        &mut self,
        rules: &ResponseFilter,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        self.drain(rules, true, out)?;
        if let Shape::Unknown(events, _) = &self.shape {
            unknown::filter(rules, events, out)?;
            self.shape = Shape::New;
        }
        self.end(rules, "", out)
    }

    pub(super) fn held(&self) -> usize {
        let unknown = if let Shape::Unknown(_, size) = self.shape {
            size
        } else {
            0
        };
        unknown + self.channels.held() + self.splitter.held().len()
    }

    pub(super) fn release(self, out: &mut Vec<u8>) {
        self.channels.release(out);
        if let Shape::Unknown(events, _) = &self.shape {
            out.extend(events.iter().flat_map(Event::raw));
        }
        out.extend_from_slice(self.splitter.held());
    }

    fn drain(
        &mut self,
        rules: &ResponseFilter,
        is_end: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        while let Some(event) = self.splitter.next(is_end) {
            let done = self.event(rules, &event, out);
            if done.is_err() {
                self.splitter.put_back(&event);
                return done;
            }
        }
        Ok(())
    }

    fn event(
        &mut self,
        rules: &ResponseFilter,
        event: &Event,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        if let Shape::Unknown(events, size) = &mut self.shape {
            *size += event.raw().len();
            events.push(event.clone());
            return if *size > self.bound {
                Err(Unfilterable::TooLarge)
            } else {
                Ok(())
            };
        }
        let Some(original) = event.data() else {
            event.render(None, &mut |line| other_line(rules, line), out);
            return Ok(());
        };
        if is_done(&original) {
            self.end(rules, "", out)?;
            out.extend_from_slice(event.raw());
            return Ok(());
        }
        let Ok(kept) = rules.fields(&original) else {
            let data = plain_data(rules, &original)?;
            render(rules, event, &data, out);
            return Ok(());
        };
        let data = kept.unwrap_or(original);
        let value: Value = serde_json::from_slice(&data).map_err(|_| Unfilterable::Malformed)?;
        match self.dialect(rules, &value) {
            Some(dialect) => self.known(rules, dialect, event, &data, &value, out),
            None => self.event_of_unknown(rules, event, &data, out),
        }
    }

    fn dialect(&mut self, rules: &ResponseFilter, value: &Value) -> Option<Dialect> {
        match self.shape {
            Shape::Known(dialect) => Some(dialect),
            _ if rules.redactors().next().is_none() => None,
            _ => {
                let dialect = Dialect::of(value)?;
                self.shape = Shape::Known(dialect);
                Some(dialect)
            }
        }
    }

    /// Members can be dropped at once; personal data may be cut over events in ways we do not know.
    /// For links alone no stream is held up: whoever sends them in one piece is caught elsewhere.
    fn event_of_unknown(
        &mut self,
        rules: &ResponseFilter,
        event: &Event,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        if !rules.redacts_data() {
            render(rules, event, data, out);
            return Ok(());
        }
        self.shape = Shape::Unknown(Vec::new(), 0);
        self.event(rules, event, out)
    }

    fn known(
        &mut self,
        rules: &ResponseFilter,
        dialect: Dialect,
        event: &Event,
        data: &[u8],
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        let mut pieces = self.pieces(rules, dialect, event, data, value)?;
        for prefix in dialect.ends(value) {
            for key in self.channels.under(&prefix) {
                let rest = self.channels.end(rules, &key, self.bound)?;
                let here = pieces.iter_mut().rev().find(|piece| piece.key == key);
                match (rest, here) {
                    (Some(rest), Some(piece)) => piece.released.push_str(&rest.text),
                    (Some(rest), None) => out.extend(rest.event()),
                    (None, _) => {}
                }
            }
        }
        let given: Vec<Given> = pieces.iter().map(Piece::given).collect();
        let filtered = rules
            .json(data, Some(&given))
            .map_err(|_| Unfilterable::Malformed)?;
        render(rules, event, filtered.as_deref().unwrap_or(data), out);
        Ok(())
    }

    /// Feeds the event's pieces of longer texts to their channels.
    fn pieces(
        &mut self,
        rules: &ResponseFilter,
        dialect: Dialect,
        event: &Event,
        data: &[u8],
        value: &Value,
    ) -> Result<Vec<Piece>, Unfilterable> {
        let mut pieces = Vec::new();
        for leaf in leaves(data).map_err(|_| Unfilterable::Malformed)? {
            let Some((key, form)) = dialect.text_of(value, &leaf.path) else {
                continue;
            };
            let place = Place {
                data: value,
                event,
                path: &leaf.path,
            };
            let text = &leaf.text;
            let released =
                self.channels
                    .push(rules, key.clone(), form, text, &place, self.bound)?;
            pieces.push(Piece {
                at: leaf.at,
                key,
                released,
            });
        }
        Ok(pieces)
    }

    fn end(
        &mut self,
        rules: &ResponseFilter,
        prefix: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        for key in self.channels.under(prefix) {
            if let Some(rest) = self.channels.end(rules, &key, self.bound)? {
                out.extend(rest.event());
            }
        }
        Ok(())
    }
}

// === impl Piece ===

impl Piece {
    fn given(&self) -> Given {
        Given {
            at: self.at,
            token: quote(&self.released),
        }
    }
}

/// What ends a stream in several providers' protocols. It says nothing.
pub(super) fn is_done(data: &[u8]) -> bool {
    data.trim_ascii() == b"[DONE]"
}

/// Data that is no JSON.
pub(super) fn plain_data(rules: &ResponseFilter, data: &[u8]) -> Result<Vec<u8>, Unfilterable> {
    let text = std::str::from_utf8(data).map_err(|_| Unfilterable::NotUtf8)?;
    Ok(rules.text(text, false)?.unwrap_or_else(|| data.to_vec()))
}

pub(super) fn render(rules: &ResponseFilter, event: &Event, data: &[u8], out: &mut Vec<u8>) {
    event.render(Some(data), &mut |line| other_line(rules, line), out);
}

/// Comments, names and ids are text too.
fn other_line(rules: &ResponseFilter, line: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(line).ok()?;
    let mut changed: Option<String> = None;
    for redactor in rules.redactors() {
        changed = redactor
            .text(changed.as_deref().unwrap_or(text))
            .or(changed);
    }
    changed.map(String::into_bytes)
}
