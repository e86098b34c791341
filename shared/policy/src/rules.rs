//! Request rules: tried in order, the first that matches decides. Redacting changes the body and
//! goes on, so that what is judged next is what would be sent.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::body::{Body, BodyError, Reading};
use crate::compile::CompileError;
use crate::facets::Target;
use crate::pattern::Patterns;
use crate::scan::{Match, Redacted, Redaction};
use crate::stored::Stored;

mod request;
mod response;
#[cfg(test)]
mod tests;

use request::{RequestRule, Verdict};
pub use response::ResponseRules;

/// The compiled request rules of a policy.
#[derive(Clone, Debug, Default)]
pub struct RequestRules {
    rules: Box<[RequestRule]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Allow,
    Deny,
    Redact,
    RequireApproval,
}

/// What the rules say of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The first rule that allowed, denied or asked.
    pub decided: Option<Decided>,
    /// The first rule that redacted.
    pub redacted_by: Option<Decided>,
    /// The body after every redaction, if there was one.
    pub body: Option<Vec<u8>>,
    pub redactions: Vec<Redaction>,
    /// Every rule that redacted, in order.
    redactors: Vec<usize>,
}

/// The rule that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub action: Action,
    /// Counted from 0.
    pub rule: usize,
    pub label: Option<Arc<str>>,
    /// Where its personal-data facet found something.
    pub matches: Vec<Match>,
    /// It looks at what a language model is told, or at all of the body, for one thing, which is no personal
    /// data.
    pub reads_prompt: bool,
    /// Why the body could not be read, if the rule denies for that.
    pub unreadable: Option<BodyError>,
}

/// For people: one line a rule that was tried.
pub type Trace = Vec<String>;

// === impl RequestRules ===

impl RequestRules {
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(crate) fn compile(
        list: &[Value],
        at: &str,
        patterns: &mut Patterns,
        fold_paths: bool,
    ) -> Result<Self, CompileError> {
        let rules = list.iter().enumerate();
        let rules = rules
            .map(|(i, rule)| RequestRule::compile(rule, &format!("{at}/{i}"), patterns, fold_paths))
            .collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    pub(crate) fn read_bodies(&self) -> bool {
        self.rules.iter().any(RequestRule::reads_body)
    }

    /// The trace is only written when one is given.
    #[must_use]
    pub fn evaluate(
        &self,
        target: &Target<'_>,
        body: Body<'_>,
        trace: Option<&mut Trace>,
    ) -> Outcome {
        self.evaluate_read(target, &Reading::new(body), trace)
    }

    pub(crate) fn evaluate_read(
        &self,
        target: &Target<'_>,
        body: &Reading<'_>,
        mut trace: Option<&mut Trace>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        self.walk(0, target, body, &mut outcome, &mut trace);
        outcome
    }

    fn walk(
        &self,
        from: usize,
        target: &Target<'_>,
        body: &Reading<'_>,
        outcome: &mut Outcome,
        trace: &mut Option<&mut Trace>,
    ) {
        for (i, rule) in self.rules.iter().enumerate().skip(from) {
            let verdict = match body.for_rule(i) {
                Some(narrowed) => rule.judge(target, body, &narrowed),
                None => rule.judge(target, body, body),
            };
            if let Some(trace) = trace {
                trace.push(rule.trace(i, &verdict));
            }
            match verdict {
                Verdict::Skip(_) => {}
                Verdict::Unreadable(error) => {
                    let mut decided = rule.decided(i, Action::Deny, Vec::new());
                    decided.unreadable = Some(error);
                    outcome.decided = Some(decided);
                    return;
                }
                Verdict::Match(matches) => {
                    outcome.decided = Some(rule.decided(i, rule.action, matches));
                    return;
                }
                Verdict::Redact(Redacted { bytes, redactions }) => {
                    let by = rule.decided(i, Action::Redact, Vec::new());
                    outcome.redacted_by.get_or_insert(by);
                    outcome.redactions.extend(redactions);
                    outcome.redactors.push(i);
                    let rest = body.with_bytes(&bytes);
                    self.walk(i + 1, target, &rest, outcome, trace);
                    outcome.body.get_or_insert(bytes);
                    return;
                }
            }
        }
    }

    /// The redactions that `outcome` tells of, applied to a body that another policy has redacted.
    pub(crate) fn redact_again(&self, outcome: &Outcome, body: &Reading<'_>) -> Option<Vec<u8>> {
        let mut bytes: Option<Vec<u8>> = None;
        for &rule in &outcome.redactors {
            let redact = self.rules.get(rule)?.redact.as_ref()?;
            let changed = match &bytes {
                Some(bytes) => redact.redact(&body.with_bytes(bytes)),
                None => redact.redact(body),
            };
            if let Ok(Some(changed)) = changed {
                bytes = Some(changed.bytes);
            }
        }
        bytes
    }
}

// === impl Action ===

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Redact => "redact",
            Self::RequireApproval => "require_approval",
        })
    }
}

/// A label that is empty is none.
pub(crate) fn label(stored: &Stored<'_>) -> Result<Option<Arc<str>>, CompileError> {
    let label = stored.text("label")?.filter(|label| !label.is_empty());
    if label.is_some_and(|label| label.len() > MAX_LABEL) {
        let why = format!("must NOT have more than {MAX_LABEL} characters");
        return Err(stored.error("label", why));
    }
    Ok(label.map(Into::into))
}

/// Most rules of a kind in one policy.
pub(crate) const MAX_RULES: usize = 500;
const MAX_LABEL: usize = 500;
