//! One request rule: its facets, its conditions, what it does.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::{Action, Decided, label};
use crate::body::{BodyError, Json, Reading, View};
use crate::compile::CompileError;
use crate::condition::Condition;
use crate::facets::{Facets, Miss, Need, Target};
use crate::pattern::Patterns;
use crate::scan::{Match, Redacted, Scan};
use crate::stored::Stored;

#[derive(Clone, Debug)]
pub(super) struct RequestRule {
    label: Option<Arc<str>>,
    facets: Facets,
    conditions: Box<[Condition]>,
    pii: Option<Box<Scan>>,
    pub(super) action: Action,
    pub(super) redact: Option<Box<Scan>>,
}

pub(super) enum Verdict {
    Match(Vec<Match>),
    Redact(Redacted),
    Skip(Skip),
    /// The rule needs a body that cannot be read: it would deny, or might.
    Unreadable(BodyError),
}

#[derive(Clone, Copy)]
pub(super) enum Skip {
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
    pub(super) fn compile(
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
        let conditions = conditions(&found, patterns)?;
        let redact = scan(&stored, "redactConfig", patterns)?;
        if action == Action::Redact && redact.is_none() {
            return Err(stored.error("redactConfig", "is required to redact"));
        }
        Ok(Self {
            label: label(&stored)?,
            facets,
            conditions,
            pii: scan(&found, "pii", patterns)?,
            action,
            redact: redact.filter(|_| action == Action::Redact),
        })
    }

    pub(super) fn reads_body(&self) -> bool {
        !self.conditions.is_empty() || self.pii.is_some() || self.redact.is_some()
    }

    /// `all` stands in for the body where the rule looks at all of it.
    pub(super) fn judge(
        &self,
        target: &Target<'_>,
        body: &Reading<'_>,
        all: &Reading<'_>,
    ) -> Verdict {
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
        self.judge_body(body, all, need)
    }

    fn judge_body(&self, body: &Reading<'_>, all: &Reading<'_>, need: Need) -> Verdict {
        if !self.conditions.is_empty() {
            let container = body.data().is_some_and(Json::is_container);
            // Without members an allowing rule has nothing to be sure of.
            let holds = (container || need == Need::May)
                && self.conditions.iter().all(|c| c.holds(body, all, need));
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
                Ok(Some(redacted)) => Verdict::Redact(redacted),
                Err(error) => Verdict::Unreadable(error),
            },
        }
    }

    /// One condition, on all that is said. Of several one might hold in what was shown and another in what
    /// was added, and neither part would show it.
    fn reads_all(&self) -> bool {
        matches!(&*self.conditions, [only] if only.reads_all())
    }

    pub(super) fn decided(&self, rule: usize, action: Action, matches: Vec<Match>) -> Decided {
        Decided {
            action,
            rule,
            label: self.label.clone(),
            matches,
            reads_prompt: self.pii.is_none() && self.reads_all(),
            unreadable: None,
        }
    }

    pub(super) fn trace(&self, i: usize, verdict: &Verdict) -> String {
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

// === impl Skip ===

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

fn conditions(
    found: &Stored<'_>,
    patterns: &mut Patterns,
) -> Result<Box<[Condition]>, CompileError> {
    let list = found.list("body", MAX_CONDITIONS)?.unwrap_or_default();
    let compile = |(i, stored): (usize, &Value)| {
        Condition::compile(stored, &found.path(&format!("body/{i}")), patterns)
    };
    list.iter().enumerate().map(compile).collect()
}

fn scan(
    stored: &Stored<'_>,
    name: &str,
    patterns: &mut Patterns,
) -> Result<Option<Box<Scan>>, CompileError> {
    let compile = |value| Scan::compile(value, &stored.path(name), patterns).map(Box::new);
    stored.get(name).map(compile).transpose()
}

const MAX_CONDITIONS: usize = 50;
