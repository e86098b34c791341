//! Conditions on a body: a place in it, and a test of what stands there.

use std::sync::Arc;

use serde_json::Value;

use crate::body::{Json, Reading, View, json_text};
use crate::compile::CompileError;
use crate::facets::Need;
use crate::field::FieldPath;
use crate::pattern::{Pattern, Patterns};
use crate::prompt::prompt_text;
use crate::stored::Stored;
use crate::{number, text};

mod search;
#[cfg(test)]
mod tests;

use search::Search;

/// A compiled condition.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    place: Place,
    test: Test,
}

#[derive(Clone, Debug)]
enum Place {
    Body,
    Member(FieldPath),
    Prompt,
}

#[derive(Clone, Debug)]
enum Test {
    Contains(Search),
    Equal(Expected),
    Exists,
    In(Box<[Box<str>]>),
    Matches(Search),
    /// What the language defines as false: a text test whose value is no text.
    Never,
    NotEqual(Expected),
    NotIn(Box<[Box<str>]>),
}

#[derive(Clone, Debug)]
enum Expected {
    Bool(bool),
    /// No value: equal to what is missing.
    Missing,
    /// A list equals nothing.
    Nothing,
    Number(Box<str>),
    Text(Box<str>),
}

// === impl Condition ===

impl Condition {
    pub(crate) fn compile(
        stored: &Value,
        at: &str,
        patterns: &mut Patterns,
    ) -> Result<Self, CompileError> {
        let stored = Stored::object(stored, at, &["path", "op", "value"])?;
        let path = stored
            .text("path")?
            .ok_or_else(|| stored.error("path", "is required"))?;
        let place = match path {
            "$body" => Place::Body,
            "$prompt_text" => Place::Prompt,
            path => Place::Member(
                FieldPath::parse(path)
                    .ok_or_else(|| stored.error("path", "must be 1 to 512 characters long"))?,
            ),
        };
        let op = stored
            .text("op")?
            .ok_or_else(|| stored.error("op", "is required"))?;
        let test = Test::compile(&stored, path, op, patterns)?;
        Ok(Self { place, test })
    }

    /// Whether it looks at the whole body, or at all that a language model is told.
    pub(crate) const fn reads_all(&self) -> bool {
        matches!(self.place, Place::Body | Place::Prompt)
    }

    /// `all` is what it looks at where it looks at all of the body.
    pub(crate) fn holds(&self, body: &Reading<'_>, all: &Reading<'_>, need: Need) -> bool {
        match &self.place {
            Place::Body => self.holds_for_all(all, need),
            Place::Member(path) => {
                let root = body.data();
                match need {
                    Need::May => path.any(root, &mut |value| self.test.may_hold(value)),
                    Need::Surely => !path.any(root, &mut |value| !self.test.surely_holds(value)),
                }
            }
            Place::Prompt => {
                let said = match all.view() {
                    View::Data(data) => Some(prompt_text(data)),
                    _ => None,
                };
                self.test
                    .holds(said.as_deref().map(json_text).as_ref(), need)
            }
        }
    }

    fn holds_for_all(&self, body: &Reading<'_>, need: Need) -> bool {
        let whole = body.compact().map(json_text);
        if self.test.holds(whole.as_ref(), need) {
            return true;
        }
        let (Test::Contains(search) | Test::Matches(search), Need::May) = (&self.test, need) else {
            return false;
        };
        body.loose().is_some_and(|text| search.may_find(text))
            || body.data().is_some_and(|data| any_text(data, search))
    }
}

// === impl Test ===

impl Test {
    fn compile(
        stored: &Stored<'_>,
        path: &str,
        op: &str,
        patterns: &mut Patterns,
    ) -> Result<Self, CompileError> {
        let value = stored.get("value");
        match op {
            "contains" => search(stored, path, value, |text| Search::words(text, patterns))
                .map(|search| search.map_or(Self::Never, Self::Contains)),
            "matches" => search(stored, path, value, |text| Search::pattern(text, patterns))
                .map(|search| search.map_or(Self::Never, Self::Matches)),
            "eq" => Ok(Self::Equal(Expected::compile(stored, value)?)),
            "neq" => Ok(Self::NotEqual(Expected::compile(stored, value)?)),
            "in" => Ok(Self::In(listed(stored, value)?)),
            "not_in" => Ok(Self::NotIn(listed(stored, value)?)),
            "exists" if matches!(value, None | Some(Value::Bool(true))) => Ok(Self::Exists),
            "exists" => Err(stored.error("value", "must be absent: exists has no opposite")),
            _ => Err(stored.error("op", "must be equal to one of the allowed values")),
        }
    }

    fn holds(&self, value: Option<&Json<'_>>, need: Need) -> bool {
        match need {
            Need::May => self.may_hold(value),
            Need::Surely => self.surely_holds(value),
        }
    }

    fn may_hold(&self, value: Option<&Json<'_>>) -> bool {
        match self {
            Self::Contains(search) | Self::Matches(search) => {
                value.is_some_and(|value| any_text(value, search))
            }
            Self::Equal(expected) => expected.may_equal(value),
            Self::Exists => value.is_some(),
            Self::In(list) => value.is_some_and(|value| any_listed(value, list)),
            Self::Never => false,
            Self::NotEqual(expected) => !expected.equals(value),
            Self::NotIn(list) => !value.is_some_and(|value| all_listed(value, list)),
        }
    }

    fn surely_holds(&self, value: Option<&Json<'_>>) -> bool {
        match self {
            Self::Contains(search) | Self::Matches(search) => {
                value.is_some_and(|value| all_texts(value, search))
            }
            Self::Equal(expected) => expected.equals(value),
            Self::Exists => value.is_some(),
            Self::In(list) => value.is_some_and(|value| all_listed(value, list)),
            Self::Never => false,
            Self::NotEqual(expected) => !expected.may_equal(value),
            Self::NotIn(list) => !value.is_some_and(|value| any_listed(value, list)),
        }
    }
}

// === impl Expected ===

impl Expected {
    fn compile(stored: &Stored<'_>, value: Option<&Value>) -> Result<Self, CompileError> {
        match value {
            None => Ok(Self::Missing),
            Some(Value::Bool(value)) => Ok(Self::Bool(*value)),
            Some(Value::Number(number)) => Ok(Self::Number(number.to_string().into())),
            Some(Value::String(text)) => Ok(Self::Text(text.as_str().into())),
            Some(Value::Array(_)) => {
                listed(stored, value)?;
                Ok(Self::Nothing)
            }
            Some(_) => Err(stored.error("value", INVALID)),
        }
    }

    /// Same type, same value.
    fn equals(&self, value: Option<&Json<'_>>) -> bool {
        match (self, value) {
            (Self::Missing, None) => true,
            (Self::Bool(expected), Some(Json::Bool(value))) => expected == value,
            (Self::Number(expected), Some(Json::Number(value))) => number::equal(expected, value),
            (Self::Text(expected), Some(Json::Text(value))) => **expected == **value,
            _ => false,
        }
    }

    /// Also inside lists: many providers take a value or a list of values.
    fn may_equal(&self, value: Option<&Json<'_>>) -> bool {
        match value {
            Some(Json::List(items)) => items.iter().any(|item| self.may_equal(Some(item))),
            value => self.equals(value),
        }
    }
}

fn search(
    stored: &Stored<'_>,
    path: &str,
    value: Option<&Value>,
    compile: impl FnOnce(&str) -> Result<Search, crate::pattern::PatternError>,
) -> Result<Option<Search>, CompileError> {
    match value {
        Some(Value::String(text)) => match compile(text) {
            Ok(search) => Ok(Some(search)),
            Err(error) => Err(stored.error("value", format!("\"{path}\": {error}"))),
        },
        None | Some(Value::Bool(_) | Value::Number(_) | Value::Array(_)) => Ok(None),
        Some(_) => Err(stored.error("value", INVALID)),
    }
}

fn listed(stored: &Stored<'_>, value: Option<&Value>) -> Result<Box<[Box<str>]>, CompileError> {
    if !matches!(value, Some(Value::Array(_))) {
        return Err(stored.error("value", "must be array"));
    }
    let mut list: Vec<Box<str>> = stored
        .texts("value", MAX_LIST)?
        .into_iter()
        .map(Into::into)
        .collect();
    list.sort_unstable();
    list.dedup();
    Ok(list.into())
}

/// Whether a text in `value` may be found, at any depth: a text may be given as a list of blocks.
fn any_text(value: &Json<'_>, search: &Search) -> bool {
    match value {
        Json::Text(text) => search.may_find(text),
        Json::List(items) => items.iter().any(|item| any_text(item, search)),
        Json::Object(members) => members.iter().any(|(_, value)| any_text(value, search)),
        _ => false,
    }
}

fn all_texts(value: &Json<'_>, search: &Search) -> bool {
    match value {
        Json::Text(text) => search.surely_finds(text),
        Json::List(items) => !items.is_empty() && items.iter().all(|i| all_texts(i, search)),
        _ => false,
    }
}

fn any_listed(value: &Json<'_>, list: &[Box<str>]) -> bool {
    match value {
        Json::List(items) => items.iter().any(|item| any_listed(item, list)),
        value => is_listed(value, list),
    }
}

fn all_listed(value: &Json<'_>, list: &[Box<str>]) -> bool {
    match value {
        Json::List(items) => !items.is_empty() && items.iter().all(|item| all_listed(item, list)),
        value => is_listed(value, list),
    }
}

fn is_listed(value: &Json<'_>, list: &[Box<str>]) -> bool {
    let has = |text: &str| list.binary_search_by(|listed| (**listed).cmp(text)).is_ok();
    match value {
        Json::Bool(value) => has(if *value { "true" } else { "false" }),
        Json::Null => has("null"),
        Json::Number(raw) => has(&number::text(raw)),
        Json::Text(text) => has(text),
        Json::List(_) | Json::Object(_) => false,
    }
}

const INVALID: &str = "Invalid input";
const MAX_LIST: usize = 1000;
