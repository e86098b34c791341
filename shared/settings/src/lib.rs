//! Reads settings from the environment, for the binaries' `config.rs` files and nobody else.
//!
//! Faults are collected, not thrown: an operator sees every mistake in one start. A setting `X`
//! may also come from the file that `X_FILE` names. Opens no port and starts nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The environment, and the faults found in it so far.
pub struct Settings {
    vars: BTreeMap<String, String>,
    faults: Vec<String>,
}

// === impl Settings ===

impl Settings {
    /// The process's environment. Variables that are not UTF-8 are faults if they are asked for.
    #[must_use]
    pub fn from_env() -> Self {
        let vars = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.to_string_lossy().into_owned())));
        Self::from_vars(vars)
    }

    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            vars: vars.into_iter().collect(),
            faults: Vec::new(),
        }
    }

    /// The value, or what the file of `NAME_FILE` holds. Empty counts as unset.
    pub fn optional(&mut self, name: &str) -> Option<String> {
        if let Some(value) = self.vars.get(name).filter(|v| !v.trim().is_empty()) {
            return Some(value.trim().to_owned());
        }
        let path = self
            .vars
            .get(&format!("{name}_FILE"))
            .filter(|v| !v.is_empty())?
            .clone();
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Ok(_) => {
                self.fault(name, format_args!("the file {path} is empty"));
                None
            }
            Err(error) => {
                self.fault(name, format_args!("cannot read {path}: {error}"));
                None
            }
        }
    }

    /// The value; a fault if there is none. The empty string then stands in until [`Self::finish`].
    pub fn required(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.fault(name, "is required");
            String::new()
        })
    }

    pub fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.optional(name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                // The value itself may be a secret in the wrong place, so it is not repeated.
                match error.to_string().as_str() {
                    // What the standard library says of a number.
                    "invalid digit found in string" => self.fault(name, "must be a whole number"),
                    why => self.fault(name, why),
                }
                None
            }
        }
    }

    pub fn parsed_or<T: FromStr<Err: fmt::Display>>(&mut self, name: &str, default: T) -> T {
        self.parsed(name).unwrap_or(default)
    }

    /// A number of 1 or more.
    pub fn positive<T>(&mut self, name: &str, default: T) -> T
    where
        T: FromStr<Err: fmt::Display> + PartialOrd + From<u8> + Copy,
    {
        let value = self.parsed_or(name, default);
        if value < T::from(1) {
            self.fault(name, "must be 1 or more");
        }
        value
    }

    pub fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.optional(name).map(PathBuf::from)
    }

    /// A comma-separated list; blanks around and empty members are dropped.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        let text = self.optional(name).unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect()
    }

    pub fn fault(&mut self, name: &str, why: impl fmt::Display) {
        self.faults.push(format!("{name}: {why}"));
    }

    /// # Errors
    /// Every fault found so far.
    pub fn finish(self) -> Result<(), Faults> {
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(Faults(self.faults))
        }
    }
}

/// Everything that is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} fault(s):\n  - {}", .0.len(), .0.join("\n  - "))]
pub struct Faults(pub Vec<String>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_every_fault_at_once_and_never_the_value() {
        let vars = [("PORT", "s3cret"), ("KEY_FILE", "/nowhere")];
        let mut settings = Settings::from_vars(vars.map(|(k, v)| (k.into(), v.into())));
        assert_eq!(settings.parsed_or("PORT", 1_u16), 1);
        settings.required("KEY");
        settings.required("NAME");
        let text = settings.finish().unwrap_err().to_string();
        assert!(text.contains("PORT: must be a whole number"), "{text}");
        for name in ["PORT", "KEY", "NAME"] {
            assert!(text.contains(name), "{text}");
        }
        assert!(!text.contains("s3cret"), "{text}");
    }
}
