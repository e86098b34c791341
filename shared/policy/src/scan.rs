//! Personal data in chosen fields of a body: found for the `pii` facet of a rule, replaced for a
//! rule that redacts. The text is looked at as written and as it reads.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use crate::body::{BodyError, Json, Reading, View, json_text};
use crate::compile::CompileError;
use crate::pattern::Patterns;
use crate::stored::Stored;
use crate::{number, text};

mod fields;
pub(crate) mod kinds;
#[cfg(test)]
mod tests;

use fields::Field;
use kinds::Kinds;

/// A finding, for the person who approves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    pub kind: String,
    /// As in `messages[0].content`.
    pub field: String,
    /// What was found with up to 40 characters on either side.
    pub excerpt: String,
}

/// How many findings of a kind were replaced in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    pub kind: String,
    pub count: usize,
    pub field: String,
}

/// A body after replacing, and what was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redacted {
    pub(crate) bytes: Vec<u8>,
    pub(crate) redactions: Vec<Redaction>,
}

/// Compiled kinds and fields.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    kinds: Kinds,
    fields: Box<[Field]>,
    /// The whole body is looked at.
    whole: bool,
}

/// What was found, and where in the text.
type Found = (String, Range<usize>);

// === impl Scan ===

impl Scan {
    pub(crate) fn compile(
        stored: &Value,
        at: &str,
        patterns: &mut Patterns,
    ) -> Result<Self, CompileError> {
        let stored = Stored::object(stored, at, &["types", "fields"])?;
        let paths = stored.texts("fields", MAX_FIELDS)?;
        if paths.is_empty() {
            return Err(stored.error("fields", "must NOT have fewer than 1 items"));
        }
        let mut fields = Vec::new();
        for (i, path) in paths.iter().enumerate().filter(|(_, path)| **path != WHOLE) {
            let field = Field::parse(path);
            fields.push(field.ok_or_else(|| {
                stored.error(&format!("fields/{i}"), "must be 1 to 512 characters long")
            })?);
        }
        Ok(Self {
            kinds: Kinds::compile(&stored, "types", patterns)?,
            fields: fields.into(),
            whole: paths.contains(&WHOLE),
        })
    }

    pub(crate) fn find(&self, body: &Reading<'_>) -> Vec<Match> {
        let mut matches = Vec::new();
        let data = match body.view() {
            View::Absent | View::Opaque(_) => return matches,
            View::Words(words) => &json_text(words),
            View::Data(data) => data,
        };
        for field in &self.fields {
            field.visit(data, &mut |place, leaf| {
                self.find_in(leaf, place, &mut matches)
            });
        }
        if self.whole {
            fields::every(data, &mut |member, leaf| {
                self.matches_in(leaf, member, WHOLE, &mut matches);
            });
        }
        matches
    }

    fn find_in(&self, leaf: &Json<'_>, field: &str, matches: &mut Vec<Match>) {
        self.matches_in(leaf, member(field), field, matches);
    }

    fn matches_in(
        &self,
        leaf: &Json<'_>,
        member: Option<&str>,
        field: &str,
        matches: &mut Vec<Match>,
    ) {
        if let Some((text, found)) = self.found(leaf, member) {
            matches.extend(found.into_iter().map(|(kind, span)| Match {
                kind,
                field: field.to_owned(),
                excerpt: excerpt(&text, span),
            }));
        }
    }

    /// The body with every finding replaced; `None` if there is none.
    ///
    /// # Errors
    /// The findings cannot be replaced.
    pub(crate) fn redact(&self, body: &Reading<'_>) -> Result<Option<Redacted>, BodyError> {
        let mut data = match body.view() {
            View::Absent => return Ok(None),
            View::Opaque(error) => return Err(error.clone()),
            View::Words(words) => json_text(words),
            View::Data(data) => data.clone(),
        };
        let mut redactions = Vec::new();
        for field in &self.fields {
            field.change(&mut data, &mut |place, leaf| {
                self.redact_leaf(leaf, place, &mut redactions);
            });
        }
        if self.whole {
            fields::change_every(&mut data, &mut |place, leaf| {
                self.redact_leaf(leaf, place, &mut redactions);
            });
            if fields::any_name(&data, &mut |name| !self.kinds.find(name, None).is_empty()) {
                return Err(BodyError::Unredactable);
            }
        }
        if redactions.is_empty() {
            return Ok(None);
        }
        if body.is_form() {
            return Err(BodyError::Unredactable);
        }
        let bytes = match (&data, body.view()) {
            (Json::Text(words), View::Words(_)) => words.as_bytes().to_vec(),
            _ => data.to_bytes(),
        };
        Ok(Some(Redacted { bytes, redactions }))
    }

    fn redact_leaf(&self, leaf: &mut Json<'_>, field: &str, redactions: &mut Vec<Redaction>) {
        let Some((text, found)) = self.found(leaf, member(field)) else {
            return;
        };
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for (kind, span) in &found {
            out.push_str(&text[at..span.start]);
            out.push_str(&format!("[PII_REDACTED:{kind}]"));
            at = span.end;
        }
        out.push_str(&text[at..]);
        let mut counts: Vec<Redaction> = Vec::new();
        for (kind, _) in found.into_iter().rev() {
            match counts.iter_mut().find(|known| known.kind == kind) {
                Some(known) => known.count += 1,
                None => counts.push(Redaction {
                    kind,
                    count: 1,
                    field: field.to_owned(),
                }),
            }
        }
        redactions.extend(counts);
        *leaf = Json::Text(Cow::Owned(out));
    }

    /// What is found in a text or number, and the text that it is found in.
    fn found<'t>(
        &self,
        leaf: &'t Json<'_>,
        member: Option<&str>,
    ) -> Option<(Cow<'t, str>, Vec<Found>)> {
        let text = match leaf {
            Json::Text(text) => Cow::Borrowed(&**text),
            Json::Number(raw) if self.kinds.tells(&number::text(raw), member) => number::text(raw),
            _ => return None,
        };
        let written = self.kinds.find(&text, member);
        let reads = text::normal(&text);
        if reads != text {
            let found = self.kinds.find(&reads, member);
            if found.len() > written.len() {
                return Some((Cow::Owned(reads.into_owned()), found));
            }
        }
        (!written.is_empty()).then_some((text, written))
    }
}

/// The name that a place ends in.
fn member(place: &str) -> Option<&str> {
    let name = place.rsplit('.').next().unwrap_or(place);
    let name = name.split('[').next().unwrap_or(name);
    (!name.is_empty()).then_some(name)
}

fn excerpt(text: &str, span: Range<usize>) -> String {
    let (before, after) = (&text[..span.start], &text[span.end..]);
    let lead = tail(before, AROUND);
    let trail = head(after, AROUND);
    let dots = |cut: bool| if cut { "..." } else { "" };
    format!(
        "{}{lead}{}{trail}{}",
        dots(lead.len() < before.len()),
        &text[span],
        dots(trail.len() < after.len())
    )
}

/// At most `units` UTF-16 units from the end.
fn tail(text: &str, units: usize) -> &str {
    let mut left = units;
    let starts = text.char_indices().rev();
    let kept = starts.take_while(|(_, c)| {
        let fits = c.len_utf16() <= left;
        left = left.saturating_sub(c.len_utf16());
        fits
    });
    kept.last().map_or("", |(at, _)| &text[at..])
}

fn head(text: &str, units: usize) -> &str {
    let mut left = units;
    let end = text.char_indices().find(|(_, c)| {
        let fits = c.len_utf16() <= left;
        left = left.saturating_sub(c.len_utf16());
        !fits
    });
    end.map_or(text, |(at, _)| &text[..at])
}

const WHOLE: &str = "$body";
const AROUND: usize = 40;
const MAX_FIELDS: usize = 100;
