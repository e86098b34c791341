//! Expectations against answers, member by member. An expectation that nothing compares fails the
//! case: it might be the point of it.

use std::fmt;

use serde_json::{Map, Value};

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch(String);

// === impl Mismatch ===

impl Mismatch {
    pub fn new(what: impl fmt::Display) -> Self {
        Self(what.to_string())
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
    for (name, expected) in members {
        let got = answer.get(name);
        let holds = match name.as_str() {
            "noHint" => !answer.contains_key("hint"),
            "errorContains" => contains_all(answer.get("error"), expected),
            "guardTypes" => occur(answer, "patternType", expected),
            "guardFields" => occur(answer, "field", expected),
            "redactedBody" if expected == "__absent__" => got.is_none(),
            "outputExcludes" => excludes_all(answer.get("output"), expected),
            "reason" if got.is_none() => true,
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

fn occur(answer: &Map<String, Value>, member: &str, expected: &Value) -> bool {
    let matches = answer.get("guardMatches").and_then(Value::as_array);
    let found: Vec<&str> = matches
        .into_iter()
        .flatten()
        .filter_map(|m| m[member].as_str())
        .collect();
    texts(expected).all(|wanted| found.contains(&wanted))
}
