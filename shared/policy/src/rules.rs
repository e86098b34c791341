//! Request rules: tried in order, the first that matches decides. Redacting changes the body and
//! goes on, so that what is judged next is what would be sent.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::body::{Body, BodyError, Json, Reading, View};
use crate::compile::CompileError;
use crate::condition::Condition;
use crate::facets::{Facets, Miss, Need, Target};
use crate::pattern::Patterns;
use crate::scan::{Match, Redaction, Scan};
use crate::stored::Stored;

mod response;
#[cfg(test)]
mod tests;

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

#[derive(Clone, Debug)]
struct RequestRule {
    label: Option<Arc<str>>,
    facets: Facets,
    conditions: Box<[Condition]>,
    pii: Option<Box<Scan>>,
    action: Action,
    redact: Option<Box<Scan>>,
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
    /// Why the body could not be read, if the rule denies for that.
    pub unreadable: Option<BodyError>,
}

/// For people: one line a rule that was tried.
pub type Trace = Vec<String>;

// === impl RequestRules ===

impl RequestRules {
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
            let verdict = rule.judge(target, body);
            if let Some(trace) = trace {
                trace.push(rule.trace(i, &verdict));
            }
            match verdict {
                Verdict::Skip(_) => {}
                Verdict::Unreadable(error) => {
                    let decided = rule.decided(i, Action::Deny, Vec::new());
                    outcome.decided = Some(Decided {
                        unreadable: Some(error),
                        ..decided
                    });
                    return;
                }
                Verdict::Match(matches) => {
                    outcome.decided = Some(rule.decided(i, rule.action, matches));
                    return;
                }
                Verdict::Redact(bytes, redactions) => {
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
            if let Ok(Some((changed, _))) = changed {
                bytes = Some(changed);
            }
        }
        bytes
    }
}

enum Verdict {
    Match(Vec<Match>),
    Redact(Vec<u8>, Vec<Redaction>),
    Skip(Skip),
    /// The rule needs a body that cannot be read: it would deny, or might.
    Unreadable(BodyError),
}

#[derive(Clone, Copy)]
enum Skip {
    BodyCondition,
    BodyType,
    Facet(Miss),
    Pii,
    PiiBodyType,
    /// A redaction that found nothing is no match.
    Redact,
}

// === impl RequestRule ===

impl RequestRule {
    fn compile(
        stored: &Value,
        at: &str,
        patterns: &mut Patterns,
        fold_paths: bool,
    ) -> Result<Self, CompileError> {
        let stored = Stored::object(stored, at, &["label", "match", "action", "redactConfig"])?;
        let action = action(&stored)?;
        let found = Stored::object(
            stored.required("match")?,
            &stored.path("match"),
            &["methods", "urlPattern", "queryPattern", "body", "pii"],
        )?;
        // Only what restricts has to see through spellings of a path that the service takes for one.
        let fold = fold_paths && action != Action::Allow;
        let facets = Facets::compile(&found, patterns, fold)?;
        let conditions = found.list("body", MAX_CONDITIONS)?.unwrap_or_default();
        let conditions = conditions
            .iter()
            .enumerate()
            .map(|(i, stored)| {
                Condition::compile(stored, &found.path(&format!("body/{i}")), patterns)
            })
            .collect::<Result<_, _>>()?;
        let scan = |stored: &Stored<'_>, name: &str| match stored.get(name) {
            None => Ok(None),
            Some(value) => Scan::compile(value, &stored.path(name)).map(|s| Some(Box::new(s))),
        };
        let redact = scan(&stored, "redactConfig")?;
        if action == Action::Redact && redact.is_none() {
            return Err(stored.error("redactConfig", "is required to redact"));
        }
        Ok(Self {
            label: label(&stored)?,
            facets,
            conditions,
            pii: scan(&found, "pii")?,
            action,
            redact: redact.filter(|_| action == Action::Redact),
        })
    }

    fn judge(&self, target: &Target<'_>, body: &Reading<'_>) -> Verdict {
        let need = match self.action {
            Action::Allow => Need::Surely,
            _ => Need::May,
        };
        if let Err(miss) = self.facets.check(target, need) {
            return Verdict::Skip(Skip::Facet(miss));
        }
        if self.conditions.is_empty() && self.pii.is_none() && self.redact.is_none() {
            return Verdict::Match(Vec::new());
        }
        if let View::Opaque(error) = body.view() {
            return match need {
                Need::Surely => Verdict::Skip(Skip::BodyType),
                Need::May => Verdict::Unreadable(error.clone()),
            };
        }
        self.judge_body(body, need)
    }

    fn judge_body(&self, body: &Reading<'_>, need: Need) -> Verdict {
        if !self.conditions.is_empty() {
            let container = body.data().is_some_and(Json::is_container);
            // Without members an allowing rule has nothing to be sure of.
            let holds = (container || need == Need::May)
                && self.conditions.iter().all(|c| c.holds(body, need));
            if !holds && !container {
                return Verdict::Skip(Skip::BodyType);
            }
            if !holds {
                return Verdict::Skip(Skip::BodyCondition);
            }
        }
        let mut matches = Vec::new();
        if let Some(pii) = &self.pii {
            matches = pii.find(body);
            let readable = !matches!(body.view(), View::Absent);
            match (matches.is_empty(), readable) {
                (false, _) => {}
                (true, true) => return Verdict::Skip(Skip::Pii),
                (true, false) => return Verdict::Skip(Skip::PiiBodyType),
            }
        }
        match &self.redact {
            None => Verdict::Match(matches),
            Some(redact) => match redact.redact(body) {
                Ok(None) => Verdict::Skip(Skip::Redact),
                Ok(Some((bytes, redactions))) => Verdict::Redact(bytes, redactions),
                Err(error) => Verdict::Unreadable(error),
            },
        }
    }

    fn decided(&self, rule: usize, action: Action, matches: Vec<Match>) -> Decided {
        Decided {
            action,
            rule,
            label: self.label.clone(),
            matches,
            unreadable: None,
        }
    }

    fn trace(&self, i: usize, verdict: &Verdict) -> String {
        let name = match &self.label {
            Some(label) => label.to_string(),
            None => format!("rule[{i}]"),
        };
        match verdict {
            Verdict::Skip(skip) => format!("{name}:skip({skip})"),
            Verdict::Unreadable(_) => format!("{name}:MATCH(deny, body unreadable)"),
            Verdict::Match(_) | Verdict::Redact(..) => format!("{name}:MATCH({})", self.action),
        }
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

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BodyCondition => "body-cond",
            Self::BodyType => "body-type",
            Self::Facet(Miss::Method) => "method",
            Self::Facet(Miss::Query) => "query",
            Self::Facet(Miss::Url) => "url",
            Self::Pii => "pii",
            Self::PiiBodyType => "pii-body-type",
            Self::Redact => "redact",
        })
    }
}

fn action(stored: &Stored<'_>) -> Result<Action, CompileError> {
    match stored.text("action")? {
        Some("allow") => Ok(Action::Allow),
        Some("deny") => Ok(Action::Deny),
        Some("redact") => Ok(Action::Redact),
        Some("require_approval") => Ok(Action::RequireApproval),
        Some(_) => Err(stored.error("action", "must be equal to one of the allowed values")),
        None => Err(stored.error("action", "is required")),
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
const MAX_CONDITIONS: usize = 50;
const MAX_LABEL: usize = 500;
