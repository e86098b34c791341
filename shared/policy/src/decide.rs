//! The decision: a pure function of compiled policies and the facts of a call.

use std::fmt;

use ah5_contracts::policy::{DefaultMode, Method, StepUp};

use crate::compile::CompiledPolicy;
use crate::url::CanonicalUrl;

/// What a decision may depend on. Nothing in it is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub method: Method,
    /// With the query merged: the URL that will be called.
    pub url: &'a CanonicalUrl,
    /// Seconds since 1970-01-01 UTC.
    pub now_unix: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow {
        rule: Rule,
    },
    Deny {
        /// For the caller, as are the hint's words.
        reason: String,
        hint: Option<String>,
        rule: Option<Rule>,
    },
    /// Allowed once a person has approved it.
    NeedsApproval {
        reason: &'static str,
        rule: Rule,
    },
}

/// The part of a policy that decided. Displays as the field's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Allowlist(usize),
    DefaultMode,
    StepUp,
}

/// Byte limits of a policy; `None` is none of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub max_payload_bytes: Option<u64>,
    pub max_response_bytes: Option<u64>,
}

/// What several policies on one agent and connection say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combined {
    pub decision: Decision,
    /// The strictest of every policy that covers the call.
    pub limits: Limits,
    /// Which of the policies decided, counted from 0 in the order given.
    pub policy: Option<usize>,
}

// === impl Facts ===

impl<'a> Facts<'a> {
    #[must_use]
    pub const fn new(method: Method, url: &'a CanonicalUrl, now_unix: i64) -> Self {
        Self {
            method,
            url,
            now_unix,
        }
    }
}

// === impl CompiledPolicy ===

impl CompiledPolicy {
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        decide_all([self], facts).decision
    }

    /// `None` if the policy does not cover the call.
    fn covered(&self, facts: &Facts<'_>) -> Option<Decision> {
        let entry = self.allowlist.find(facts)?;
        Some(self.fallback(facts, entry))
    }

    /// What stands where no rule matched: the step-up mode, capped by the default mode.
    fn fallback(&self, facts: &Facts<'_>, entry: usize) -> Decision {
        if self.default_mode == DefaultMode::Custom {
            return Decision::Deny {
                reason: "Request denied: no rule of this policy covers it".to_owned(),
                hint: Some(CUSTOM_HINT.to_owned()),
                rule: Some(Rule::DefaultMode),
            };
        }
        let write = !facts.method.is_read();
        let ask = match self.step_up {
            StepUp::Always => true,
            StepUp::RiskBased => write,
            StepUp::Never => false,
        };
        if ask {
            return Decision::NeedsApproval {
                reason: "This request needs the approval of a person",
                rule: Rule::StepUp,
            };
        }
        if write && self.default_mode == DefaultMode::ReadOnly {
            return Decision::Deny {
                reason: format!(
                    "Request denied: {} is a write and this policy is read-only",
                    facts.method.as_str()
                ),
                hint: Some(READ_ONLY_HINT.to_owned()),
                rule: Some(Rule::DefaultMode),
            };
        }
        Decision::Allow {
            rule: Rule::Allowlist(entry),
        }
    }
}

/// The strictest answer of the policies that cover the call; a policy that does not cover it adds
/// nothing, and where none does the call is denied.
#[must_use]
pub fn decide_all<'a>(
    policies: impl IntoIterator<Item = &'a CompiledPolicy>,
    facts: &Facts<'_>,
) -> Combined {
    let mut strictest: Option<(usize, Decision)> = None;
    let mut missed: Option<(usize, &CompiledPolicy)> = None;
    let mut nearest: Option<(usize, crate::allowlist::Miss)> = None;
    let mut limits = Limits::default();
    for (i, policy) in policies.into_iter().enumerate().filter(|(_, p)| p.brokers) {
        let Some(decision) = policy.covered(facts) else {
            // Explained only if nothing else covers the call: hints are for the slow way out.
            if strictest.is_none() {
                if let Some((at, earlier)) = missed.take() {
                    keep_nearest(&mut nearest, at, earlier, facts);
                }
                missed = Some((i, policy));
            }
            continue;
        };
        limits = limits.tighten(policy.limits);
        if strictest
            .as_ref()
            .is_none_or(|(_, s)| decision.strictness() > s.strictness())
        {
            strictest = Some((i, decision));
        }
    }
    if let Some((policy, decision)) = strictest {
        return Combined {
            decision,
            limits,
            policy: Some(policy),
        };
    }
    if let Some((at, policy)) = missed {
        keep_nearest(&mut nearest, at, policy, facts);
    }
    let (policy, reason, hint) = match nearest {
        Some((at, miss)) => (Some(at), miss.reason, miss.hint),
        None => (None, NO_POLICY.to_owned(), None),
    };
    Combined {
        decision: Decision::Deny {
            reason,
            hint,
            rule: None,
        },
        limits,
        policy,
    }
}

fn keep_nearest(
    nearest: &mut Option<(usize, crate::allowlist::Miss)>,
    at: usize,
    policy: &CompiledPolicy,
    facts: &Facts<'_>,
) {
    let miss = policy.allowlist.explain(facts);
    if nearest
        .as_ref()
        .is_none_or(|(_, n)| miss.nearness > n.nearness)
    {
        *nearest = Some((at, miss));
    }
}

// === impl Decision ===

impl Decision {
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow { .. })
    }

    const fn strictness(&self) -> u8 {
        match self {
            Self::Allow { .. } => 0,
            Self::NeedsApproval { .. } => 1,
            Self::Deny { .. } => 2,
        }
    }
}

// === impl Limits ===

impl Limits {
    #[must_use]
    pub fn tighten(self, other: Self) -> Self {
        let least = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            max_payload_bytes: least(self.max_payload_bytes, other.max_payload_bytes),
            max_response_bytes: least(self.max_response_bytes, other.max_response_bytes),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowlist(at) => write!(f, "allowlists/{at}"),
            Self::DefaultMode => f.write_str("defaultMode"),
            Self::StepUp => f.write_str("stepUpApproval"),
        }
    }
}

const NO_POLICY: &str = "No policy allows Model B for this connection";
const CUSTOM_HINT: &str = "The policy's default mode is custom: only what a rule allows passes.";
const READ_ONLY_HINT: &str = "A policy with default mode read_write, or a step-up mode that asks a person, lets writes pass.";

#[cfg(test)]
mod tests;
