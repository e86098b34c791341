//! The decision: a pure function of compiled policies and the facts of a call.

use std::fmt;
use std::sync::Arc;

use ah5_contracts::policy::Method;

use crate::allowlist::Miss;
use crate::body::{Body, Reading};
use crate::compile::CompiledPolicy;
use crate::constraints::Trim;
use crate::facets::Target;
use crate::response::RuleFilter;
use crate::rules::Trace;
use crate::scan::{Match, Redaction};
use crate::url::CanonicalUrl;

mod judge;
#[cfg(test)]
mod tests;

use judge::{Judged, Reached};

/// What a decision may depend on. Nothing in it is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub method: Method,
    /// With the query merged: the URL that will be called.
    pub url: &'a CanonicalUrl,
    /// Seconds since 1970-01-01 UTC.
    pub now_unix: i64,
    /// `None` is a body that nobody has looked at: no rule that reads bodies lets it pass. A call
    /// without a body has an empty one.
    pub body: Option<Body<'a>>,
    /// The connection's service in the catalogue, or empty.
    pub service: &'a str,
    /// The tenant that the connection's account belongs to, as its provider said.
    pub tenant: Option<&'a str>,
    /// The agent asks to send personal data that a rule would replace.
    pub bypass_pii_redaction: bool,
    /// The agent asks for fields that response rules take out.
    pub request_full_fields: bool,
    /// Whether to write traces.
    pub explain: bool,
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
        reason: String,
        rule: Rule,
    },
}

/// The part of a policy that decided. Displays as the field's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Allowlist(usize),
    DefaultMode,
    FieldStepUp,
    ProviderConstraints,
    Request(usize),
    StepUp,
    TimeWindows,
}

/// Limits of a policy; `None` is none of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub max_payload_bytes: Option<u64>,
    pub max_requests_per_hour: Option<u64>,
    pub max_response_bytes: Option<u64>,
}

/// What several policies on one agent and connection say together.
#[derive(Clone, Debug)]
pub struct Combined {
    pub decision: Decision,
    /// The strictest of every policy that covers the call.
    pub limits: Limits,
    /// Which of the policies decided, counted from 0 in the order given.
    pub policy: Option<usize>,
    /// The label of the rule that decided.
    pub label: Option<Arc<str>>,
    /// What the deciding rule found in the body.
    pub matches: Vec<Match>,
    /// The body to send in place of the one given, if rules changed it.
    pub body: Option<Vec<u8>>,
    pub redactions: Vec<Redaction>,
    /// What the answer must lose.
    pub response: Vec<Arc<RuleFilter>>,
    /// Lists in the answer that provider constraints hold to the policies' own.
    pub trims: Vec<Trim>,
    /// One a policy, where facts asked for it.
    pub traces: Vec<Trace>,
}

// === impl Facts ===

impl<'a> Facts<'a> {
    #[must_use]
    pub const fn new(method: Method, url: &'a CanonicalUrl, now_unix: i64) -> Self {
        Self {
            method,
            url,
            now_unix,
            body: None,
            service: "",
            tenant: None,
            bypass_pii_redaction: false,
            request_full_fields: false,
            explain: false,
        }
    }

    #[must_use]
    pub const fn with_body(mut self, body: Body<'a>) -> Self {
        self.body = Some(body);
        self
    }
}

// === impl CompiledPolicy ===

impl CompiledPolicy {
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        decide_all([self], facts).decision
    }
}

/// What the policies that cover the call say together. An explicit deny wins; else the strictest
/// of those in which a rule matched; else the strictest of the rest. A policy that does not cover
/// the call adds nothing, and where none does the call is denied.
#[must_use]
pub fn decide_all<'a>(
    policies: impl IntoIterator<Item = &'a CompiledPolicy>,
    facts: &Facts<'_>,
) -> Combined {
    let target = Target::new(facts.method, facts.url);
    let body = Reading::new(facts.body.unwrap_or_else(Body::unread));
    let mut judged: Vec<(usize, &CompiledPolicy, Judged)> = Vec::new();
    let mut missed: Vec<(usize, &CompiledPolicy, Reached)> = Vec::new();
    let mut traces = Vec::new();
    for (i, policy) in policies.into_iter().enumerate() {
        let mut trace = Trace::new();
        let reached = policy.judge(facts, &target, &body, facts.explain.then_some(&mut trace));
        traces.extend(facts.explain.then_some(trace));
        match reached {
            Reached::Judged(verdict) => judged.push((i, policy, *verdict)),
            Reached::Model => {}
            other => missed.push((i, policy, other)),
        }
    }
    let combined = if judged.is_empty() {
        refuse(&missed, facts)
    } else {
        combine(judged, facts, &target, &body)
    };
    Combined { traces, ..combined }
}

fn combine(
    mut judged: Vec<(usize, &CompiledPolicy, Judged)>,
    facts: &Facts<'_>,
    target: &Target<'_>,
    body: &Reading<'_>,
) -> Combined {
    let mut all = Combined::denied(String::new(), None, None);
    for (_, policy, verdict) in &judged {
        all.limits = all.limits.tighten(policy.limits);
        let leave_out = |label: &str| verdict.lets_through(label, facts);
        let rules = &policy.response_rules;
        rules.select_into(target, leave_out, &mut all.response);
        let constraints = policy.constraints.as_ref();
        all.trims
            .extend(constraints.and_then(|c| c.trim(facts, body)));
        if verdict.redacts {
            all.redact(policy, verdict, body);
        }
    }
    let mut strictest = 0;
    for at in 1..judged.len() {
        if judged[at].2.rank() > judged[strictest].2.rank() {
            strictest = at;
        }
    }
    let (policy, _, verdict) = judged.swap_remove(strictest);
    let decided = verdict.outcome.decided;
    Combined {
        decision: verdict.decision,
        policy: Some(policy),
        label: verdict.label,
        matches: decided.map(|decided| decided.matches).unwrap_or_default(),
        ..all
    }
}

/// The nearest miss explains itself: hints are for the slow way out.
fn refuse(missed: &[(usize, &CompiledPolicy, Reached)], facts: &Facts<'_>) -> Combined {
    let mut nearest: Option<(usize, Miss, Option<Rule>)> = None;
    for (at, policy, reached) in missed {
        let (miss, rule) = match reached {
            Reached::Closed(reason) => (Miss::closed(reason.clone()), Some(Rule::TimeWindows)),
            _ => (policy.allowlist.explain(facts), None),
        };
        if nearest
            .as_ref()
            .is_none_or(|(_, n, _)| miss.nearness > n.nearness)
        {
            nearest = Some((*at, miss, rule));
        }
    }
    let (policy, reason, hint, rule) = match nearest {
        Some((at, miss, rule)) => (Some(at), miss.reason, miss.hint, rule),
        None => (None, NO_POLICY.to_owned(), None, None),
    };
    Combined {
        policy,
        ..Combined::denied(reason, hint, rule)
    }
}

// === impl Combined ===

impl Combined {
    fn denied(reason: String, hint: Option<String>, rule: Option<Rule>) -> Self {
        Self {
            decision: Decision::Deny { reason, hint, rule },
            limits: Limits::default(),
            policy: None,
            label: None,
            matches: Vec::new(),
            body: None,
            redactions: Vec::new(),
            response: Vec::new(),
            trims: Vec::new(),
            traces: Vec::new(),
        }
    }

    /// Adds one policy's redactions to those of the policies before it.
    fn redact(&mut self, policy: &CompiledPolicy, verdict: &Judged, body: &Reading<'_>) {
        self.redactions
            .extend(verdict.outcome.redactions.iter().cloned());
        self.body = match self.body.take() {
            None => verdict.outcome.body.clone(),
            Some(earlier) => {
                let rules = &policy.request_rules;
                let again = rules.redact_again(&verdict.outcome, &body.with_bytes(&earlier));
                Some(again.unwrap_or(earlier))
            }
        };
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
            max_requests_per_hour: least(self.max_requests_per_hour, other.max_requests_per_hour),
            max_response_bytes: least(self.max_response_bytes, other.max_response_bytes),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowlist(at) => write!(f, "allowlists/{at}"),
            Self::DefaultMode => f.write_str("defaultMode"),
            Self::FieldStepUp => f.write_str("rules/fieldStepUpEnabled"),
            Self::ProviderConstraints => f.write_str("providerConstraints"),
            Self::Request(at) => write!(f, "rules/request/{at}"),
            Self::StepUp => f.write_str("stepUpApproval"),
            Self::TimeWindows => f.write_str("timeWindows"),
        }
    }
}

const NO_POLICY: &str = "No policy allows Model B for this connection";
