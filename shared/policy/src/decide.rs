//! The decision: a pure function of compiled policies and the facts of a call.

use std::fmt;
use std::sync::Arc;

use crate::allowlist::Miss;
use crate::body::{Body, Reading};
use crate::compile::CompiledPolicy;
use crate::constraints::Trim;
use crate::facets::Target;
use crate::response::RuleFilter;
use crate::rules::Trace;
use crate::scan::{Match, Redaction};

mod batch;
mod endpoint;
mod facts;
mod judge;
mod limits;
#[cfg(test)]
mod tests;

pub use facts::{Facts, Narrowed, Stop};
use judge::{Judged, Reached};
pub use limits::Limits;

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
    /// The endpoint's kind, as the service's file has it.
    Endpoint,
    FieldStepUp,
    Headers,
    ProviderConstraints,
    Request(usize),
    StepUp,
    TimeWindows,
}

/// What several policies on one agent and connection say together.
#[derive(Clone, Debug)]
pub struct Combined {
    pub decision: Decision,
    /// The strictest of every policy that covers the call.
    pub limits: Limits,
    /// Policies whose hours the call counts in, in the order given, with what they hold.
    pub hourly: Vec<(usize, u64)>,
    /// Policies with budgets that the call is under, in the order given.
    pub budgeted: Vec<usize>,
    /// For how many calls it counts there: a batch is as many as it carries.
    pub calls: u32,
    /// Which of the policies decided, counted from 0 in the order given.
    pub policy: Option<usize>,
    /// The label of the rule that decided.
    pub label: Option<Arc<str>>,
    /// What the deciding rule found in the body.
    pub matches: Vec<Match>,
    /// The rule that asks, if it looks at what a language model is told and not for personal data.
    pub stopped: Option<Stop>,
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
    policies: impl IntoIterator<Item = &'a CompiledPolicy, IntoIter: Clone>,
    facts: &Facts<'_>,
) -> Combined {
    let policies = policies.into_iter();
    match facts.class {
        None => unite(policies, facts),
        Some(class) => endpoint::decide(policies, facts, class),
    }
}

fn unite<'a>(policies: impl Iterator<Item = &'a CompiledPolicy>, facts: &Facts<'_>) -> Combined {
    let target = Target::new(facts.method, facts.url);
    let body = Reading::new(facts.body.unwrap_or_else(Body::unread));
    let mut judged: Vec<(usize, &CompiledPolicy, Judged)> = Vec::new();
    let mut missed: Vec<(usize, &CompiledPolicy, Reached)> = Vec::new();
    let mut traces = Vec::new();
    for (i, policy) in policies.enumerate() {
        let mut trace = Trace::new();
        let narrowed = facts.narrowed.map(|narrowed| {
            let body = facts.body.unwrap_or_else(Body::unread);
            Reading::new(body).narrowed(i, narrowed)
        });
        let body = narrowed.as_ref().unwrap_or(&body);
        let reached = policy.judge(facts, &target, body, facts.explain.then_some(&mut trace));
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
    for (at, policy, verdict) in &judged {
        all.limits = all.limits.tighten(policy.limits);
        let hour = policy.limits.max_requests_per_hour;
        all.hourly.extend(hour.map(|hour| (*at, hour)));
        all.budgeted
            .extend((!policy.budgets.is_empty()).then_some(*at));
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
    let unnamed = unnamed(&judged, facts);
    let (policy, _, verdict) = judged.swap_remove(strictest);
    let stopped = verdict.stopped().map(|rule| Stop { policy, rule });
    let decided = verdict.outcome.decided;
    let combined = Combined {
        decision: verdict.decision,
        stopped,
        policy: Some(policy),
        label: verdict.label,
        matches: decided.map(|decided| decided.matches).unwrap_or_default(),
        ..all
    };
    match unnamed {
        Some(name) => combined.without(name),
        None => combined,
    }
}

/// The first header that none of the policies lets pass. A policy that doesn't name it restricts the
/// call all the same: or a header would be the way around its rules.
fn unnamed<'f>(judged: &[(usize, &CompiledPolicy, Judged)], facts: &Facts<'f>) -> Option<&'f str> {
    let unnamed = facts.headers.iter().find(|header| {
        let mut policies = judged.iter();
        !policies.any(|(_, policy, _)| policy.allowlist.grants(facts, header))
    });
    unnamed.map(|(name, _)| name.as_str())
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
            hourly: Vec::new(),
            budgeted: Vec::new(),
            calls: 1,
            policy: None,
            label: None,
            matches: Vec::new(),
            stopped: None,
            body: None,
            redactions: Vec::new(),
            response: Vec::new(),
            trims: Vec::new(),
            traces: Vec::new(),
        }
    }

    /// Denied for a header, unless it is denied anyway.
    fn without(mut self, header: &str) -> Self {
        if !matches!(self.decision, Decision::Deny { .. }) {
            let reason = format!("Request denied: header {header} {UNNAMED}");
            let hint = Some(NAME_HEADER.to_owned());
            let rule = Some(Rule::Headers);
            self.decision = Decision::Deny { reason, hint, rule };
        }
        self
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

// === impl Rule ===

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowlist(at) => write!(f, "allowlists/{at}"),
            Self::DefaultMode => f.write_str("defaultMode"),
            Self::Endpoint => f.write_str("service/endpoints"),
            Self::FieldStepUp => f.write_str("rules/fieldStepUpEnabled"),
            Self::Headers => f.write_str("allowlists/headers"),
            Self::ProviderConstraints => f.write_str("providerConstraints"),
            Self::Request(at) => write!(f, "rules/request/{at}"),
            Self::StepUp => f.write_str("stepUpApproval"),
            Self::TimeWindows => f.write_str("timeWindows"),
        }
    }
}

const UNNAMED: &str = "carries authority or arguments, and no policy names it with this value";
const NAME_HEADER: &str = "An allowlist entry can name it under headers, with its values.";
const NO_POLICY: &str = "No policy allows Model B for this connection";
