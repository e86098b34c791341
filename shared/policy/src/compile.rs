//! From a stored policy to a compiled one. The control plane compiles before it stores, so what is
//! refused here is refused with 400 there; a policy found uncompilable in the database denies.

use std::fmt;

use ah5_contracts::policy::{DefaultMode, StepUp};
use serde_json::Value;

use crate::allowlist::Allowlist;
use crate::decide::Limits;

/// Tells whether plain http may be spoken to this host and port: the operator's exemptions.
pub type PlainHttp<'a> = &'a dyn Fn(&str, u16) -> bool;

/// For callers without exemptions.
pub const HTTPS_ONLY: PlainHttp<'static> = &|_, _| false;

/// A policy's columns, as stored.
#[derive(Clone, Copy)]
pub struct PolicySource<'a> {
    pub allowed_models: &'a [String],
    pub allowlists: &'a Value,
    /// `read_only`, `read_write` or `custom`.
    pub default_mode: &'a str,
    pub plain_http: PlainHttp<'a>,
    pub provider_constraints: Option<&'a Value>,
    pub rate_limits: Option<&'a Value>,
    pub rules: &'a Value,
    /// `always`, `risk_based` or `never`.
    pub step_up: &'a str,
    pub time_windows: &'a Value,
}

/// An immutable policy, ready to decide.
#[derive(Clone, Debug)]
pub struct CompiledPolicy {
    pub(crate) allowlist: Allowlist,
    pub(crate) brokers: bool,
    pub(crate) default_mode: DefaultMode,
    pub(crate) limits: Limits,
    pub(crate) step_up: StepUp,
}

/// The field that does not compile, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct CompileError {
    /// As in `allowlists/0/pathPatterns/1`.
    pub path: String,
    pub why: String,
}

// === impl CompiledPolicy ===

impl CompiledPolicy {
    /// # Errors
    /// The first field that is malformed, or that this build would not enforce: a condition is
    /// never dropped.
    pub fn compile(source: &PolicySource<'_>) -> Result<Self, CompileError> {
        for (i, model) in source.allowed_models.iter().enumerate() {
            if !matches!(model.as_str(), "A" | "B") {
                let path = format!("allowedModels/{i}");
                return Err(CompileError::new(path, ONE_OF));
            }
        }
        check_rules(source.rules)?;
        check_windows(source.time_windows)?;
        if source.provider_constraints.is_some_and(|c| !c.is_null()) {
            return Err(CompileError::unenforced(
                "providerConstraints",
                "provider constraints",
            ));
        }
        Ok(Self {
            allowlist: Allowlist::compile(source.allowlists, source.plain_http)?,
            brokers: source.allowed_models.iter().any(|model| model == "B"),
            default_mode: default_mode(source.default_mode)?,
            limits: limits(source.rate_limits)?,
            step_up: step_up(source.step_up)?,
        })
    }

    /// Whether agents may have calls made for them (Model B).
    #[must_use]
    pub fn brokers(&self) -> bool {
        self.brokers
    }

    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }
}

// === impl CompileError ===

impl CompileError {
    pub(crate) fn new(path: impl Into<String>, why: impl fmt::Display) -> Self {
        Self {
            path: path.into(),
            why: why.to_string(),
        }
    }

    fn unenforced(path: &str, what: &str) -> Self {
        Self::new(path, format!("not enforced by this build: {what}"))
    }
}

fn check_rules(rules: &Value) -> Result<(), CompileError> {
    let rules = match rules {
        Value::Null => return Ok(()),
        Value::Object(rules) => rules,
        _ => return Err(CompileError::new("rules", "must be object")),
    };
    for (name, value) in rules {
        let path = format!("rules/{name}");
        match name.as_str() {
            "request" | "response" => match value.as_array() {
                None => return Err(CompileError::new(path, "must be array")),
                Some(list) if !list.is_empty() => {
                    return Err(CompileError::unenforced(&path, &format!("{name} rules")));
                }
                Some(_) => {}
            },
            // Only ever offers a person one more thing to approve.
            "fieldStepUpEnabled" if value.is_boolean() => {}
            _ => return Err(CompileError::new(path, "is not known")),
        }
    }
    Ok(())
}

fn check_windows(windows: &Value) -> Result<(), CompileError> {
    match windows {
        Value::Null => Ok(()),
        Value::Array(list) if list.is_empty() => Ok(()),
        Value::Array(_) => Err(CompileError::unenforced("timeWindows", "time windows")),
        _ => Err(CompileError::new("timeWindows", "must be array")),
    }
}

fn limits(stored: Option<&Value>) -> Result<Limits, CompileError> {
    let mut limits = Limits::default();
    let stored = match stored {
        None | Some(Value::Null) => return Ok(limits),
        Some(Value::Object(stored)) => stored,
        Some(_) => return Err(CompileError::new("rateLimits", "must be object")),
    };
    for (name, value) in stored {
        let path = format!("rateLimits/{name}");
        let slot = match name.as_str() {
            "maxPayloadSizeBytes" => &mut limits.max_payload_bytes,
            "maxResponseSizeBytes" => &mut limits.max_response_bytes,
            "maxRequestsPerHour" => {
                return Err(CompileError::unenforced(&path, "requests per hour"));
            }
            _ => return Err(CompileError::new(path, "is not known")),
        };
        match value.as_u64() {
            Some(bytes) if bytes >= 1 => *slot = Some(bytes),
            Some(_) => return Err(CompileError::new(path, "must be >= 1")),
            None => return Err(CompileError::new(path, "must be integer")),
        }
    }
    Ok(limits)
}

fn default_mode(text: &str) -> Result<DefaultMode, CompileError> {
    match text {
        "read_only" => Ok(DefaultMode::ReadOnly),
        "read_write" => Ok(DefaultMode::ReadWrite),
        "custom" => Ok(DefaultMode::Custom),
        _ => Err(CompileError::new("defaultMode", ONE_OF)),
    }
}

fn step_up(text: &str) -> Result<StepUp, CompileError> {
    match text {
        "always" => Ok(StepUp::Always),
        "risk_based" => Ok(StepUp::RiskBased),
        "never" => Ok(StepUp::Never),
        _ => Err(CompileError::new("stepUpApproval", ONE_OF)),
    }
}

const ONE_OF: &str = "must be equal to one of the allowed values";

#[cfg(test)]
mod tests;
