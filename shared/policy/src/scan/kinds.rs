//! The kinds of personal data that a rule names, out of its list of types.

use serde_json::Value;

use super::Found;
use crate::compile::CompileError;
use crate::pattern::{Patterns, to_linear};
use crate::pii::{PiiError, PiiType, Recognisers};
use crate::stored::Stored;

#[derive(Clone, Debug)]
pub(crate) struct Kinds(Recognisers);

// === impl Kinds ===

impl Kinds {
    /// The list `name` of a stored object.
    pub(crate) fn compile(
        stored: &Stored<'_>,
        name: &str,
        patterns: &mut Patterns,
    ) -> Result<Self, CompileError> {
        let list = stored.list(name, MAX_TYPES)?.unwrap_or_default();
        if list.is_empty() {
            return Err(stored.error(name, "must NOT have fewer than 1 items"));
        }
        let types = Types::read(stored, name, list, patterns)?;
        let recognisers = Recognisers::compile(types.iter());
        recognisers.map(Self).map_err(|error| types.blame(&error))
    }

    /// Whether a number says by itself or by its member's name that it is personal data.
    pub(crate) fn tells(&self, number: &str, member: Option<&str>) -> bool {
        self.0.is_telling_number(number, member)
    }

    pub(crate) fn find(&self, text: &str, member: Option<&str>) -> Vec<Found> {
        let findings = self.0.find(text, member).into_iter();
        findings
            .map(|finding| (finding.label.name(), finding.start..finding.end))
            .collect()
    }
}

/// A list of types with its patterns in the engine's dialect.
pub(crate) struct Types<'a> {
    at: String,
    types: Vec<(&'a str, Option<String>)>,
    /// The first entry's: it stands for all of them.
    pub(crate) replacement: Option<&'a str>,
}

// === impl Types ===

impl<'a> Types<'a> {
    pub(crate) fn read(
        stored: &Stored<'_>,
        name: &str,
        list: &'a [Value],
        patterns: &mut Patterns,
    ) -> Result<Self, CompileError> {
        let mut types = Vec::with_capacity(list.len());
        let mut replacement = None;
        for (i, entry) in list.iter().enumerate() {
            let at = stored.path(&format!("{name}/{i}"));
            let entry = Stored::object(entry, &at, &["type", "pattern", "replacement"])?;
            let kind = entry.text("type")?;
            let kind = kind.ok_or_else(|| entry.error("type", "is required"))?;
            let pattern = entry.text("pattern")?.filter(|_| kind == "custom");
            let linear = |pattern: &str| {
                let pattern = to_linear(pattern)?;
                patterns.count(&pattern).map(|()| pattern)
            };
            let pattern = pattern.map(linear).transpose();
            let pattern = pattern.map_err(|error| entry.error("pattern", error))?;
            let replaced_by = entry.text("replacement")?;
            if i == 0 {
                replacement = replaced_by;
            }
            types.push((kind, pattern));
        }
        Ok(Self {
            at: stored.path(name),
            types,
            replacement,
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = PiiType<'_>> {
        self.types.iter().map(|(name, pattern)| PiiType {
            name,
            pattern: pattern.as_deref(),
        })
    }

    pub(crate) fn blame(&self, error: &PiiError) -> CompileError {
        let at = &self.at;
        match error {
            PiiError::NoPattern { place } => {
                CompileError::new(format!("{at}/{place}/pattern"), "is required")
            }
            PiiError::Pattern { place, why } => {
                let why = format!("invalid regex — {why}");
                CompileError::new(format!("{at}/{place}/pattern"), why)
            }
            PiiError::Unknown { place, .. } => CompileError::new(
                format!("{at}/{place}/type"),
                "must be equal to one of the allowed values",
            ),
        }
    }
}

const MAX_TYPES: usize = 100;
