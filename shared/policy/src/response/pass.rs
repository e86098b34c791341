//! One pass over a JSON body: drops members, replaces strings, and copies the rest byte for byte.

use std::borrow::Cow;

use super::json::{MOST_LEVELS, Malformed, Reader, quote, unquote};
use super::leaf::Redactor;
use super::names::Names;
use super::patch::Patch;

/// What to do, of all rules together.
pub(crate) struct Plan<'a> {
    /// Members of the top level must be in all of these.
    pub(super) allow: Vec<&'a Names>,
    /// Members at any depth must be in none of these.
    pub(super) deny: Vec<&'a Names>,
    pub(super) given: &'a [Given],
    pub(super) redactors: Vec<&'a Redactor>,
}

/// A string that was filtered elsewhere: where its token starts, and what takes its place.
pub(crate) struct Given {
    pub(crate) at: usize,
    pub(crate) token: Vec<u8>,
}

/// # Errors
/// A body that is not exactly one JSON text.
pub(super) fn filter(body: &[u8], plan: &Plan<'_>) -> Result<Option<Vec<u8>>, Malformed> {
    let mut pass = Pass {
        body,
        levels: Vec::new(),
        patch: Patch::new(body),
        plan,
        reader: Reader::new(body)?,
    };
    pass.run()?;
    Ok(pass.patch.finish())
}

struct Pass<'a> {
    body: &'a [u8],
    levels: Vec<Level>,
    patch: Patch<'a>,
    plan: &'a Plan<'a>,
    reader: Reader<'a>,
}

/// An object or array that is being read.
struct Level {
    /// Whether the lists of members to keep apply here.
    is_top: bool,
    is_object: bool,
    /// Items read, and those of them that stay.
    items: usize,
    kept: usize,
    /// The member whose value this is, as its token.
    name: Option<(usize, usize)>,
    /// Where the comma before the next item is.
    rest: usize,
}

// === impl Pass ===

impl Pass<'_> {
    fn run(&mut self) -> Result<(), Malformed> {
        self.reader.skip_blanks();
        self.value(None, true)?;
        while !self.levels.is_empty() {
            self.step()?;
        }
        match self.reader.next() {
            None => Ok(()),
            Some(_) => Err(self.reader.malformed()),
        }
    }

    /// The next item of the innermost level, or its end.
    fn step(&mut self) -> Result<(), Malformed> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        let (is_object, is_top) = (level.is_object, level.is_top);
        let (is_first, name) = (level.items == 0, level.name);
        level.rest = self.reader.at;
        let close = if is_object { b'}' } else { b']' };
        if self.reader.next() == Some(close) {
            self.reader.at += 1;
            self.levels.pop();
            return Ok(());
        }
        if !is_first {
            self.reader.expect(b',')?;
        }
        self.reader.skip_blanks();
        if is_object {
            self.member(is_top)
        } else {
            self.count(true);
            self.value(name, is_top)
        }
    }

    fn member(&mut self, is_top: bool) -> Result<(), Malformed> {
        let start = self.reader.at;
        let has_escapes = self.reader.string()?;
        let token = (start, self.reader.at);
        self.reader.expect(b':')?;
        self.reader.skip_blanks();
        if self.is_kept(token, has_escapes, is_top) && !self.repeats_tokens(token) {
            self.keep(start);
            self.redact_name(token);
            // A long name says nothing, and reading it for every item below would not be linear.
            let name = Some(token).filter(|(from, to)| to - from <= LONGEST_NAME);
            return self.value(name, false);
        }
        self.reader.value()?;
        self.drop_item(start);
        Ok(())
    }

    fn is_kept(&self, token: (usize, usize), has_escapes: bool, is_top: bool) -> bool {
        let name = match has_escapes {
            true => Cow::Owned(unquote(self.text(token)).into_owned().into_bytes()),
            false => Cow::Borrowed(&self.body[token.0 + 1..token.1 - 1]),
        };
        (!is_top || self.plan.allow.iter().all(|names| names.has(&name)))
            && !self.plan.deny.iter().any(|names| names.has(&name))
    }

    /// Models repeat their text token by token on demand, where no pattern can match.
    fn repeats_tokens(&self, token: (usize, usize)) -> bool {
        let redactors = &self.plan.redactors;
        !redactors.iter().all(|r| r.recognisers().finds_links_only())
            && matches!(self.reader.peek(), Some(b'{' | b'['))
            && &self.body[token.0..token.1] == b"\"logprobs\""
    }

    /// An item stays: if all before it went, their last comma goes too.
    fn keep(&mut self, start: usize) {
        if let Some(level) = self.levels.last()
            && level.items > 0
            && level.kept == 0
        {
            self.patch.cut(level.rest, start);
        }
        self.count(true);
    }

    /// An item goes, with the comma before it.
    fn drop_item(&mut self, start: usize) {
        if let Some(level) = self.levels.last() {
            let from = if level.items == 0 { start } else { level.rest };
            self.patch.cut(from, self.reader.at);
        }
        self.count(false);
    }

    fn count(&mut self, is_kept: bool) {
        if let Some(level) = self.levels.last_mut() {
            level.items += 1;
            level.kept += usize::from(is_kept);
        }
    }

    /// A value at the reader's place: a scalar is done at once, anything else becomes a level.
    fn value(&mut self, name: Option<(usize, usize)>, is_top: bool) -> Result<(), Malformed> {
        let start = self.reader.at;
        match self.reader.peek() {
            Some(open @ (b'{' | b'[')) => {
                if self.is_untouched(is_top) {
                    return self.reader.value();
                }
                if self.levels.len() == MOST_LEVELS {
                    return Err(self.reader.malformed());
                }
                self.reader.at += 1;
                self.levels.push(Level {
                    is_top,
                    is_object: open == b'{',
                    items: 0,
                    kept: 0,
                    name,
                    rest: self.reader.at,
                });
            }
            Some(b'"') => {
                let has_escapes = self.reader.string()?;
                self.string((start, self.reader.at), has_escapes, name);
            }
            _ => {
                self.reader.scalar()?;
                self.number((start, self.reader.at), name);
            }
        }
        Ok(())
    }

    /// Below the top, lists of members to keep say nothing.
    fn is_untouched(&self, is_top: bool) -> bool {
        let plan = self.plan;
        let is_quiet = plan.deny.is_empty() && plan.redactors.is_empty() && plan.given.is_empty();
        is_quiet && (!is_top || plan.allow.is_empty())
    }

    fn string(&mut self, token: (usize, usize), has_escapes: bool, name: Option<(usize, usize)>) {
        let given = self
            .plan
            .given
            .binary_search_by_key(&token.0, |given| given.at);
        if let Ok(place) = given {
            self.patch
                .replace(token.0, token.1, &self.plan.given[place].token);
            return;
        }
        if self.plan.redactors.is_empty() {
            return;
        }
        let text = match has_escapes {
            true => unquote(self.text(token)),
            false => Cow::Borrowed(self.text((token.0 + 1, token.1 - 1))),
        };
        let name = name.map(|name| unquote(self.text(name)));
        if let Some(redacted) = redacted(&self.plan.redactors, &text, name.as_deref()) {
            self.patch.replace(token.0, token.1, &quote(&redacted));
        }
    }

    fn number(&mut self, token: (usize, usize), name: Option<(usize, usize)>) {
        if self.plan.redactors.is_empty() {
            return;
        }
        let name = name.map(|name| unquote(self.text(name)));
        let text = self.text(token);
        let redactors = self.plan.redactors.iter();
        let marker = redactors
            .clone()
            .find_map(|r| r.number(text, name.as_deref()));
        if let Some(marker) = marker {
            self.patch.replace(token.0, token.1, &quote(marker));
        }
    }

    fn redact_name(&mut self, token: (usize, usize)) {
        if self.plan.redactors.is_empty() {
            return;
        }
        let name = unquote(self.text(token));
        let mut changed: Option<String> = None;
        for redactor in &self.plan.redactors {
            changed = redactor
                .text(changed.as_deref().unwrap_or(&name))
                .or(changed);
        }
        if let Some(changed) = changed {
            self.patch.replace(token.0, token.1, &quote(&changed));
        }
    }

    fn text(&self, (from, to): (usize, usize)) -> &str {
        // The reader checked the whole body; an ASCII byte stands on either side.
        std::str::from_utf8(&self.body[from..to]).unwrap_or("\"\"")
    }
}

fn redacted(redactors: &[&Redactor], text: &str, name: Option<&str>) -> Option<String> {
    let mut changed: Option<String> = None;
    for redactor in redactors {
        changed = redactor
            .leaf(changed.as_deref().unwrap_or(text), name)
            .or(changed);
    }
    changed
}

const LONGEST_NAME: usize = 80;
