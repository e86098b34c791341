//! Expectations against answers, member by member. An expectation that nothing compares fails the
//! case: it might be the point of it.

use std::fmt;

use serde_json::{Map, Value};

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch(String);

// === impl Mismatch ===

impl Mismatch {
    /// A long text is cut: it may quote a body.
    pub fn new(what: impl fmt::Display) -> Self {
        let mut text = what.to_string();
        if text.len() > MAX_TEXT {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            text.push('…');
        }
        Self(text)
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every member of `expected` must be in `answer` with the same value. `reason` explains an
/// expectation of rules; it is compared where an answer has one.
pub(crate) fn same(expected: &Value, answer: &Map<String, Value>) -> Result<(), Mismatch> {
    let members = expected
        .as_object()
        .ok_or_else(|| Mismatch::new("the expectation is not an object"))?;
    // The first mismatch is the same however serde_json was built.
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    for (name, expected) in members {
        let got = answer.get(name);
        let holds = match name.as_str() {
            "noHint" => !answer.contains_key("hint"),
            "noRuleLabel" => !answer.contains_key("ruleLabel"),
            "errorContains" => contains_all(answer.get("error"), expected),
            "guardTypes" => occur(answer, "patternType", expected),
            "guardFields" => occur(answer, "field", expected),
            "redactedBody" if expected == "__absent__" => got.is_none(),
            "outputExcludes" => excludes_all(answer.get("output"), expected),
            "reason" if got.is_none() => true,
            "upstreamHeaders" => has_all(got, expected),
            "upstreamHeadersAbsent" => has_none(answer.get("upstreamHeaders"), expected),
            _ => got == Some(expected),
        };
        if !holds {
            let answer = Value::Object(answer.clone());
            return Err(Mismatch::new(format!(
                "{name}: expected {expected}, got {answer}"
            )));
        }
    }
    Ok(())
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn contains_all(text: Option<&Value>, expected: &Value) -> bool {
    let text = text.and_then(Value::as_str).unwrap_or_default();
    texts(expected).all(|part| text.contains(part))
}

fn excludes_all(text: Option<&Value>, expected: &Value) -> bool {
    let text = text.and_then(Value::as_str);
    text.is_some_and(|text| texts(expected).all(|part| !text.contains(part)))
}

/// Header names are looked up in lower case, as they are in an answer.
fn has_all(headers: Option<&Value>, expected: &Value) -> bool {
    let (Some(headers), Some(expected)) = (headers, expected.as_object()) else {
        return false;
    };
    expected
        .iter()
        .all(|(name, value)| headers.get(name.to_ascii_lowercase()) == Some(value))
}

/// Nothing can be said of a request that was not sent.
fn has_none(headers: Option<&Value>, expected: &Value) -> bool {
    headers.is_some_and(|headers| {
        texts(expected).all(|name| headers.get(name.to_ascii_lowercase()).is_none())
    })
}

fn occur(answer: &Map<String, Value>, member: &str, expected: &Value) -> bool {
    let matches = answer.get("guardMatches").and_then(Value::as_array);
    let found: Vec<&str> = matches
        .into_iter()
        .flatten()
        .filter_map(|m| m[member].as_str())
        .collect();
    texts(expected).all(|wanted| found.contains(&wanted))
}

const MAX_TEXT: usize = 1000;
