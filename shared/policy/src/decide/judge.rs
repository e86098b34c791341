//! One policy on one call, step by step: windows, allowlist, provider constraints, rules, and what
//! stands where no rule matched.

use std::sync::Arc;

use ah5_contracts::policy::{DefaultMode, Method, StepUp};

use super::{Decision, Facts, Rule};
use crate::body::Reading;
use crate::compile::CompiledPolicy;
use crate::constraints::Trust;
use crate::endpoints::{Class, Tunnel};
use crate::facets::Target;
use crate::rules::{Action, Decided, Outcome, Trace};
use crate::step_up;

/// How far a call got with a policy.
pub(super) enum Reached {
    /// Outside the policy's time windows.
    Closed(String),
    Judged(Box<Judged>),
    /// The policy doesn't let calls be made at all.
    Model,
    Uncovered,
}

/// A policy's own answer.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) decision: Decision,
    /// A rule or a constraint spoke, not only the modes.
    pub(super) explicit: bool,
    pub(super) label: Option<Arc<str>>,
    pub(super) outcome: Outcome,
    /// Whether the outcome's redactions are made.
    pub(super) redacts: bool,
    pub(super) trust: Trust,
}

// === impl Judged ===

impl Judged {
    fn new(decision: Decision, explicit: bool, outcome: Outcome) -> Self {
        Self {
            decision,
            explicit,
            label: None,
            redacts: outcome.body.is_some(),
            outcome,
            trust: Trust::default(),
        }
    }

    fn constrained(reason: String) -> Self {
        let decision = deny(reason, None, Rule::ProviderConstraints);
        Self::new(decision, true, Outcome::default())
    }

    /// An explicit deny is above all; what a rule said is above what only a mode says.
    pub(super) fn rank(&self) -> (bool, u8) {
        (self.explicit, self.decision.strictness())
    }

    /// Whether the response rules of this label do not apply to the call. Full fields are only ever
    /// sent for after a person approved them.
    pub(super) fn lets_through(&self, label: &str, facts: &Facts<'_>) -> bool {
        (self.trust.response && label == OUTSIDE_SCOPE)
            || (facts.request_full_fields && FULL_FIELDS_LEAVE_OUT.contains(&label))
    }

    /// The rule that asks, if it is one about what a language model is told.
    pub(super) fn stopped(&self) -> Option<usize> {
        let decided = self.outcome.decided.as_ref()?;
        let rule = Rule::Request(decided.rule);
        let asks =
            matches!(&self.decision, Decision::NeedsApproval { rule: by, .. } if *by == rule);
        (decided.reads_prompt && asks).then_some(decided.rule)
    }

    fn ask(&mut self, reason: String, rule: Rule, label: Option<Arc<str>>) {
        if self.decision.strictness() == 0 {
            self.decision = Decision::NeedsApproval { reason, rule };
            self.explicit = true;
            self.label = label;
        }
    }
}

// === impl CompiledPolicy ===

impl CompiledPolicy {
    pub(super) fn judge(
        &self,
        facts: &Facts<'_>,
        target: &Target<'_>,
        body: &Reading<'_>,
        mut trace: Option<&mut Trace>,
    ) -> Reached {
        let mut note = |text: &str| {
            if let Some(trace) = &mut trace {
                trace.push(text.to_owned());
            }
        };
        if !self.brokers {
            note("allowedModels:skip(no B)");
            return Reached::Model;
        }
        if let Err(reason) = self.windows.check(facts.now_unix) {
            note("timeWindows:closed");
            return Reached::Closed(reason);
        }
        let Some(entry) = self.allowlist.find(facts) else {
            note("allowlists:skip(no entry)");
            return Reached::Uncovered;
        };
        let constraints = self.constraints.as_ref();
        let trust = match constraints.map_or(Ok(Trust::default()), |c| c.check(facts, body)) {
            Ok(trust) => trust,
            Err(reason) => {
                note("providerConstraints:MATCH(deny)");
                return Reached::Judged(Box::new(Judged::constrained(reason)));
            }
        };
        let outcome = self.request_rules.evaluate_read(target, body, trace);
        let mut judged = self.by_rules(facts, entry, trust, outcome);
        judged.trust = trust;
        self.bypass(facts, &mut judged);
        self.full_fields(facts, &mut judged);
        Reached::Judged(Box::new(judged))
    }

    fn by_rules(&self, facts: &Facts<'_>, entry: usize, trust: Trust, outcome: Outcome) -> Judged {
        let explicit = outcome.decided.is_some() || outcome.redacted_by.is_some();
        let Some(decided) = &outcome.decided else {
            let decision = self.fallback(facts, entry, trust);
            return Judged::new(decision, explicit, outcome);
        };
        let rule = Rule::Request(decided.rule);
        let decision = match decided.action {
            Action::Deny => deny(DENIED.to_owned(), denial_hint(decided), rule),
            Action::RequireApproval if !trust.target => Decision::NeedsApproval {
                reason: approval_reason(decided.label.as_deref(), facts.method),
                rule,
            },
            Action::RequireApproval => Decision::Allow {
                rule: Rule::ProviderConstraints,
            },
            Action::Allow | Action::Redact => Decision::Allow { rule },
        };
        let label = decided.label.clone();
        Judged {
            label,
            ..Judged::new(decision, true, outcome)
        }
    }

    /// Sending personal data as it is takes a person's approval.
    fn bypass(&self, facts: &Facts<'_>, judged: &mut Judged) {
        if !facts.bypass_pii_redaction {
            return;
        }
        judged.redacts = false;
        if let Some(by) = judged.outcome.redacted_by.clone() {
            let reason = approval_reason(by.label.as_deref(), facts.method);
            judged.ask(reason, Rule::Request(by.rule), by.label);
        }
    }

    fn full_fields(&self, facts: &Facts<'_>, judged: &mut Judged) {
        if !facts.request_full_fields || judged.decision.strictness() == 2 {
            return;
        }
        let refuse = |reason: &str| deny(reason.to_owned(), None, Rule::FieldStepUp);
        if !self.field_step_up {
            judged.decision = refuse(NO_FULL_FIELDS);
            judged.explicit = true;
            return;
        }
        let Some(contact) = contact(facts.url.path()) else {
            judged.decision = refuse(ONLY_ONE_CONTACT);
            judged.explicit = true;
            return;
        };
        let reason = format!(
            "Agent requested full contact details for {contact} \
             (phone numbers, addresses, birthdays)"
        );
        judged.ask(reason, Rule::FieldStepUp, Some(FULL_FIELDS_LABEL.into()));
    }

    /// What stands where no rule matched: the step-up mode, capped by the default mode.
    fn fallback(&self, facts: &Facts<'_>, entry: usize, trust: Trust) -> Decision {
        if self.default_mode == DefaultMode::Custom {
            return deny(
                "Request denied: no rule of this policy covers it".to_owned(),
                Some(CUSTOM_HINT.to_owned()),
                Rule::DefaultMode,
            );
        }
        // What a batch carries is judged by itself; carrying it is no write.
        let carries = facts.class == Some(Class::Tunnel(Tunnel::JsonBatch));
        let write = !carries && step_up::is_write(facts.service, facts.method, facts.url);
        let ask = match self.step_up {
            StepUp::Always => true,
            StepUp::RiskBased => write,
            StepUp::Never => false,
        };
        if ask && !trust.target {
            return Decision::NeedsApproval {
                reason: approval_reason(None, facts.method),
                rule: Rule::StepUp,
            };
        }
        if write && self.default_mode == DefaultMode::ReadOnly {
            let method = facts.method.as_str();
            return deny(
                format!("Request denied: {method} is a write and this policy is read-only"),
                Some(READ_ONLY_HINT.to_owned()),
                Rule::DefaultMode,
            );
        }
        Decision::Allow {
            rule: Rule::Allowlist(entry),
        }
    }
}

fn deny(reason: String, hint: Option<String>, rule: Rule) -> Decision {
    Decision::Deny {
        reason,
        hint,
        rule: Some(rule),
    }
}

fn denial_hint(decided: &Decided) -> Option<String> {
    match (&decided.unreadable, &decided.label) {
        (Some(error), _) => Some(format!(
            "A rule of the policy reads the request body, and it cannot be read: {error}."
        )),
        (None, Some(label)) => Some(format!("Denied by rule: \"{label}\".")),
        (None, None) => None,
    }
}

/// What the approver is told at first sight, in words that clients know; a read is called a write.
fn approval_reason(label: Option<&str>, method: Method) -> String {
    match (label, method) {
        (Some(label), _) => format!("Guard: {label}"),
        (None, Method::Delete) => "Delete operation requires approval".to_owned(),
        (None, _) => "Write operation requires approval".to_owned(),
    }
}

/// The contact that a path names, where it names one only.
fn contact(path: &str) -> Option<&str> {
    let google = path.strip_prefix("/v1/people/").and_then(|rest| {
        let digits = rest.strip_prefix('c')?;
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        let after = &digits[end..];
        (end > 0 && (after.is_empty() || after.starts_with(['/', ':']))).then(|| &rest[..=end])
    });
    let microsoft = || {
        let id = path.strip_prefix("/v1.0/me/contacts/")?;
        (!id.is_empty() && !id.contains('/')).then_some(id)
    };
    google.or_else(microsoft)
}

const DENIED: &str = "Request denied by policy rule";
const NO_FULL_FIELDS: &str = "Full field access is not available for this policy tier";
const ONLY_ONE_CONTACT: &str =
    "Full field access is only available for individual contact requests";
const FULL_FIELDS_LABEL: &str = "Request full contact fields";
const FULL_FIELDS_LEAVE_OUT: [&str; 2] =
    ["Strip contact PII fields", "Redact PII from all responses"];
const OUTSIDE_SCOPE: &str = "Redact PII outside trusted recipient scope";
const CUSTOM_HINT: &str = "The policy's default mode is custom: only what a rule allows passes.";
const READ_ONLY_HINT: &str = "A policy with default mode read_write, or a step-up mode that asks a person, lets writes pass.";
