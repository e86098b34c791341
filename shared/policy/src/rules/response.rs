//! Response rules: every one that matches the request applies to its answer.

use std::sync::Arc;

use serde_json::Value;

use super::label;
use crate::compile::CompileError;
use crate::facets::{Facets, Need, Target};
use crate::pattern::Patterns;
use crate::pii::PiiType;
use crate::response::{FilterSource, OnUnfilterable, RuleFilter};
use crate::scan::kinds::Types;
use crate::stored::Stored;

/// The compiled response rules of a policy.
#[derive(Clone, Debug, Default)]
pub struct ResponseRules {
    rules: Box<[ResponseRule]>,
}

#[derive(Clone, Debug)]
struct ResponseRule {
    label: Option<Arc<str>>,
    facets: Facets,
    filter: Arc<RuleFilter>,
}

// === impl ResponseRules ===

impl ResponseRules {
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
            .map(|(i, rule)| {
                ResponseRule::compile(rule, &format!("{at}/{i}"), patterns, fold_paths)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// Adds the filters that apply to the answer, but for those whose label is left out.
    pub(crate) fn select_into(
        &self,
        target: &Target<'_>,
        leave_out: impl Fn(&str) -> bool,
        filters: &mut Vec<Arc<RuleFilter>>,
    ) {
        for rule in &self.rules {
            let left_out = rule.label.as_deref().is_some_and(&leave_out);
            if !left_out && rule.facets.check(target, Need::May).is_ok() {
                filters.push(Arc::clone(&rule.filter));
            }
        }
    }

    /// The filters that apply to the answer.
    #[must_use]
    pub fn select(&self, target: &Target<'_>) -> Vec<Arc<RuleFilter>> {
        let mut filters = Vec::new();
        self.select_into(target, |_| false, &mut filters);
        filters
    }
}

// === impl ResponseRule ===

impl ResponseRule {
    fn compile(
        stored: &Value,
        at: &str,
        patterns: &mut Patterns,
        fold_paths: bool,
    ) -> Result<Self, CompileError> {
        let known = ["label", "match", "filter", "onUnfilterable"];
        let stored = Stored::object(stored, at, &known)?;
        let found = Stored::object(
            stored.required("match")?,
            &stored.path("match"),
            &["methods", "urlPattern", "queryPattern"],
        )?;
        let facets = Facets::compile(&found, patterns, fold_paths)?;
        Ok(Self {
            label: label(&stored)?,
            facets,
            filter: Arc::new(filter(&stored, patterns)?),
        })
    }
}

fn filter(rule: &Stored<'_>, patterns: &mut Patterns) -> Result<RuleFilter, CompileError> {
    let known = ["allowFields", "denyFields", "redact"];
    let stored = Stored::object(rule.required("filter")?, &rule.path("filter"), &known)?;
    let names = |name: &str| stored.texts(name, MAX_NAMES);
    let (allow, deny) = (names("allowFields")?, names("denyFields")?);
    let has = |name: &str| stored.get(name).is_some();
    if has("allowFields") && has("denyFields") {
        let why = "allowFields and denyFields are mutually exclusive";
        return Err(rule.error("filter", why));
    }
    let list = stored.list("redact", MAX_NAMES)?.unwrap_or_default();
    let types = Types::read(&stored, "redact", list, patterns)?;
    let redact: Vec<PiiType<'_>> = types.iter().collect();
    let source = FilterSource {
        allow_fields: has("allowFields").then_some(&*allow),
        deny_fields: has("denyFields").then_some(&*deny),
        on_unfilterable: on_unfilterable(rule)?,
        redact: &redact,
        replacement: types.replacement,
    };
    RuleFilter::compile(&source).map_err(|error| types.blame(&error))
}

fn on_unfilterable(rule: &Stored<'_>) -> Result<OnUnfilterable, CompileError> {
    match rule.text("onUnfilterable")? {
        None => Ok(OnUnfilterable::default()),
        Some("approve") => Ok(OnUnfilterable::Approve),
        Some("pass") => Ok(OnUnfilterable::Pass),
        Some("refuse") => Ok(OnUnfilterable::Refuse),
        Some(_) => {
            let why = "must be equal to one of the allowed values";
            Err(rule.error("onUnfilterable", why))
        }
    }
}

const MAX_NAMES: usize = 1000;
