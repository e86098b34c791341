//! From a stored policy to a compiled one. The control plane compiles before it stores, so what is
//! refused here is refused with 400 there; a policy found uncompilable in the database denies.

use std::fmt;

use ah5_contracts::policy::{DefaultMode, StepUp};
use serde_json::Value;

use crate::allowlist::Allowlist;
use crate::budgets::{self, Budgets};
use crate::constraints::Constraints;
use crate::decide::Limits;
use crate::pattern::Patterns;
use crate::rules::{MAX_RULES, RequestRules, ResponseRules};
use crate::stored::Stored;
use crate::windows::Windows;

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
    pub(crate) budgets: Budgets,
    pub(crate) constraints: Option<Constraints>,
    pub(crate) default_mode: DefaultMode,
    /// Whether agents may ask for fields that response rules take out.
    pub(crate) field_step_up: bool,
    pub(crate) limits: Limits,
    pub(crate) request_rules: RequestRules,
    pub(crate) response_rules: ResponseRules,
    pub(crate) step_up: StepUp,
    pub(crate) vends: bool,
    pub(crate) windows: Windows,
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
        Self::compile_with(source, &mut Patterns::default())
    }

    /// As [`Self::compile`], sharing equal patterns with the policies compiled before.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn compile_with(
        source: &PolicySource<'_>,
        patterns: &mut Patterns,
    ) -> Result<Self, CompileError> {
        patterns.begin_policy();
        for (i, model) in source.allowed_models.iter().enumerate() {
            if !matches!(model.as_str(), "A" | "B") {
                let path = format!("allowedModels/{i}");
                return Err(CompileError::new(path, ONE_OF));
            }
        }
        let allowlist = Allowlist::compile(source.allowlists, source.plain_http)?;
        let fold_paths = allowlist.hosts().any(folds_paths);
        let rules = Rules::compile(source.rules, patterns, fold_paths)?;
        let lists = |wanted: &str| source.allowed_models.iter().any(|model| model == wanted);
        let constraints = source.provider_constraints.filter(|c| !c.is_null());
        let (limits, budgets) = limits(source.rate_limits)?;
        Ok(Self {
            allowlist,
            brokers: lists("B"),
            budgets,
            constraints: constraints.map(Constraints::compile).transpose()?,
            default_mode: default_mode(source.default_mode)?,
            field_step_up: rules.field_step_up,
            limits,
            request_rules: rules.request,
            response_rules: rules.response,
            step_up: step_up(source.step_up)?,
            vends: lists("A"),
            windows: Windows::compile(source.time_windows)?,
        })
    }

    /// Whether a decision depends on the request's body: then the body must be at hand.
    #[must_use]
    pub fn reads_bodies(&self) -> bool {
        self.constraints.is_some() || self.request_rules.read_bodies() || !self.budgets.is_empty()
    }

    /// Whether what is allowed depends on the hour.
    #[must_use]
    pub fn has_windows(&self) -> bool {
        !self.windows.is_empty()
    }

    /// Whether an allowlist entry names the header, given in lower case, with any value.
    #[must_use]
    pub fn names_header(&self, name: &str) -> bool {
        self.allowlist.names_header(name)
    }

    /// Whether agents may have calls made for them (Model B).
    #[must_use]
    pub fn brokers(&self) -> bool {
        self.brokers
    }

    /// Whether agents may have tokens for calls of their own (Model A).
    #[must_use]
    pub fn vends(&self) -> bool {
        self.vends
    }

    /// Whether it has nothing that a token which is handed out would get around: no rules, no
    /// constraints, no question to a person, and an allowlist that names everything.
    #[must_use]
    pub fn is_unfiltered(&self) -> bool {
        self.constraints.is_none()
            && self.step_up == StepUp::Never
            && self.default_mode == DefaultMode::ReadWrite
            && self.allowlist.names_everything()
            && self.request_rules.is_empty()
            && self.response_rules.is_empty()
            && self.budgets.is_empty()
    }

    /// # Errors
    /// What to tell a caller outside the time windows; `now` in seconds since 1970-01-01 UTC.
    pub fn check_hours(&self, now: i64) -> Result<(), String> {
        self.windows.check(now)
    }

    /// What language models may use.
    #[must_use]
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }
}

/// The `rules` column, compiled.
#[derive(Debug)]
pub struct Rules {
    pub field_step_up: bool,
    pub request: RequestRules,
    pub response: ResponseRules,
}

// === impl Rules ===

impl Rules {
    /// # Errors
    /// Names the first field at fault.
    pub fn compile(
        stored: &Value,
        patterns: &mut Patterns,
        fold_paths: bool,
    ) -> Result<Self, CompileError> {
        let nothing = Value::Object(serde_json::Map::new());
        let stored = if stored.is_null() { &nothing } else { stored };
        let known = ["request", "response", "fieldStepUpEnabled"];
        let stored = Stored::object(stored, "rules", &known)?;
        let list = |name: &str| Ok(stored.list(name, MAX_RULES)?.unwrap_or_default());
        let request = list("request")?;
        let request = RequestRules::compile(request, "rules/request", patterns, fold_paths)?;
        let response = list("response")?;
        let response = ResponseRules::compile(response, "rules/response", patterns, fold_paths)?;
        let field_step_up = match stored.get("fieldStepUpEnabled") {
            None => false,
            Some(Value::Bool(enabled)) => *enabled,
            Some(_) => return Err(stored.error("fieldStepUpEnabled", "must be boolean")),
        };
        Ok(Self {
            field_step_up,
            request,
            response,
        })
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

    /// For a fault within `rules`: in the words that clients of the rules endpoint know, as in
    /// `request[0].match.urlPattern: invalid regex — …`.
    #[must_use]
    pub fn in_rules(&self) -> Option<String> {
        let mut steps = self.path.strip_prefix("rules/")?.split('/').peekable();
        let kind = steps.next()?;
        let mut text = kind.to_owned();
        if let Some(index) = steps.next_if(|step| step.parse::<usize>().is_ok()) {
            text.push_str(&format!("[{index}]"));
        }
        for step in steps {
            match step {
                // The condition names its path in the reason.
                "body" if self.why.starts_with('"') => {
                    return Some(format!("{text}.body {}", self.why));
                }
                "pattern" => return Some(format!("{text} custom pattern: {}", self.why)),
                // The fault is the rule's as a whole.
                "filter" if self.path.ends_with("/filter") => {}
                "types" => {}
                step if step.parse::<usize>().is_ok() => {}
                step => text.push_str(&format!(".{step}")),
            }
        }
        Some(format!("{text}: {}", self.why))
    }
}

fn limits(stored: Option<&Value>) -> Result<(Limits, Budgets), CompileError> {
    let mut limits = Limits::default();
    let Some(stored) = stored.filter(|stored| !stored.is_null()) else {
        return Ok((limits, Budgets::default()));
    };
    let slots = [
        ("maxRequestsPerHour", &mut limits.max_requests_per_hour),
        ("maxPayloadSizeBytes", &mut limits.max_payload_bytes),
        ("maxResponseSizeBytes", &mut limits.max_response_bytes),
    ];
    let names = slots.each_ref().map(|(name, _)| *name);
    let known = [names.as_slice(), budgets::MEMBERS.as_slice()].concat();
    let stored = Stored::object(stored, "rateLimits", &known)?;
    for (name, slot) in slots {
        *slot = budgets::whole(&stored, name)?;
    }
    Ok((limits, Budgets::compile(&stored)?))
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

/// Whether a host takes a path for the same whatever its case.
#[must_use]
pub fn folds_paths(host: &str) -> bool {
    FOLDS_PATHS.contains(&host)
}

const ONE_OF: &str = "must be equal to one of the allowed values";
const FOLDS_PATHS: [&str; 2] = ["api.telegram.org", "graph.microsoft.com"];

#[cfg(test)]
mod tests;
