//! Reading stored JSON with exact blame: every member is asked for by name, and one that nobody
//! asks for is refused, since it might be meant as a condition.

use serde_json::{Map, Value};

use crate::compile::CompileError;

/// An object of the stored policy and where it stands.
pub(crate) struct Stored<'a> {
    at: String,
    members: &'a Map<String, Value>,
}

// === impl Stored ===

impl<'a> Stored<'a> {
    pub(crate) fn object(value: &'a Value, at: &str, known: &[&str]) -> Result<Self, CompileError> {
        let members = value
            .as_object()
            .ok_or_else(|| CompileError::new(at, "must be object"))?;
        if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(CompileError::new(format!("{at}/{name}"), "is not known"));
        }
        let at = at.to_owned();
        Ok(Self { at, members })
    }

    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.at)
    }

    pub(crate) fn error(&self, name: &str, why: impl std::fmt::Display) -> CompileError {
        CompileError::new(self.path(name), why)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name)
    }

    pub(crate) fn required(&self, name: &str) -> Result<&'a Value, CompileError> {
        self.get(name)
            .ok_or_else(|| self.error(name, "is required"))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, CompileError> {
        let text = |value: &'a Value| {
            let text = value.as_str();
            text.ok_or_else(|| self.error(name, "must be string"))
        };
        self.get(name).map(text).transpose()
    }

    pub(crate) fn list(
        &self,
        name: &str,
        most: usize,
    ) -> Result<Option<&'a [Value]>, CompileError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let list = value
            .as_array()
            .ok_or_else(|| self.error(name, "must be array"))?;
        if list.len() > most {
            let why = format!("must NOT have more than {most} items");
            return Err(self.error(name, why));
        }
        Ok(Some(list))
    }

    pub(crate) fn texts(&self, name: &str, most: usize) -> Result<Vec<&'a str>, CompileError> {
        let list = self.list(name, most)?.unwrap_or_default();
        let text = |(i, value): (usize, &'a Value)| {
            let text = value.as_str();
            text.ok_or_else(|| self.error(&format!("{name}/{i}"), "must be string"))
        };
        list.iter().enumerate().map(text).collect()
    }
}
