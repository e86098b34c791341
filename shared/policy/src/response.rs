//! What a provider's answer must lose before the agent sees it: members by name, personal data by
//! kind. The policy compiler makes the rules, the data plane runs them on whole bodies and, through
//! [`crate::stream`], on streams.
//!
//! Whatever a rule should filter and cannot is an error here, never passed on quietly.

use std::sync::Arc;

use crate::constraints::Trim;
use crate::pii::{PiiError, PiiType, Recognisers};
use crate::stream::join_items;

mod base64;
pub mod content;
mod json;
mod leaf;
mod names;
mod pass;
mod patch;

pub(crate) use base64::{LENIENT, LENIENT_URL};
use content::Content;
pub(crate) use json::{Malformed, Reader, quote, unquote};
pub(crate) use leaf::Redactor;
use leaf::is_mail;
use names::Names;
pub(crate) use pass::{Given, Plan};

/// The compiled filter of one response rule.
#[derive(Clone, Debug)]
pub struct RuleFilter {
    allow: Option<Names>,
    deny: Option<Names>,
    on_unfilterable: OnUnfilterable,
    redact: Option<Redactor>,
}

/// A rule's filter as it is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct FilterSource<'a> {
    /// An empty list keeps nothing. Where both lists are given, this one counts.
    pub allow_fields: Option<&'a [&'a str]>,
    pub deny_fields: Option<&'a [&'a str]>,
    pub on_unfilterable: OnUnfilterable,
    pub redact: &'a [PiiType<'a>],
    /// What stands for a find: the first type's `replacement`.
    pub replacement: Option<&'a str>,
}

/// What becomes of an answer that a rule cannot filter. The order is that of strictness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnUnfilterable {
    Pass,
    /// A person decides; only for content that is proven binary, anything else is refused.
    Approve,
    #[default]
    Refuse,
}

/// Everything that applies to one answer: the filters of the rules that matched, in order.
#[derive(Clone, Debug, Default)]
pub struct ResponseFilter {
    rules: Vec<Arc<RuleFilter>>,
    /// Run before the rules.
    trims: Vec<Trim>,
}

/// Why an answer cannot be filtered. Safe to show to the agent: nothing of the answer is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfilterable {
    #[error("the answer is binary")]
    Binary,
    #[error("the answer is encrypted")]
    Encrypted,
    #[error("the answer is not JSON, and a rule names its fields")]
    FieldsOfText,
    #[error("the answer's JSON is malformed")]
    Malformed,
    #[error("the answer's content is not what its type says")]
    Mislabelled,
    #[error("the answer is not UTF-8 text")]
    NotUtf8,
    #[error("the answer is larger than can be filtered")]
    TooLarge,
    #[error("the answer is of an unknown kind")]
    Unknown,
}

// === impl RuleFilter ===

impl RuleFilter {
    /// # Errors
    /// A type that is unknown or whose pattern does not compile.
    pub fn compile(source: &FilterSource<'_>) -> Result<Self, PiiError> {
        let redact = match source.redact {
            [] => None,
            types => Some(Redactor::new(
                Recognisers::compile(types.iter().copied())?,
                source.replacement.unwrap_or(MARKER),
            )),
        };
        let allow = source.allow_fields.map(Names::new);
        let deny = source
            .deny_fields
            .filter(|_| allow.is_none())
            .map(Names::new);
        Ok(Self {
            allow,
            deny,
            on_unfilterable: source.on_unfilterable,
            redact,
        })
    }

    /// The rule of every event stream, where a link is spread over events: links to `origins` that carry a token for resetting a password,
    /// verifying an address, accepting an invitation or deciding an approval. What it cannot read
    /// it lets pass.
    #[must_use]
    pub fn own_links<O: AsRef<str>>(origins: &[O]) -> Self {
        Self {
            allow: None,
            deny: None,
            on_unfilterable: OnUnfilterable::Pass,
            redact: Some(Redactor::new(Recognisers::own_links(origins), MARKER)),
        }
    }
}

// === impl ResponseFilter ===

impl ResponseFilter {
    #[must_use]
    pub fn new(rules: Vec<Arc<RuleFilter>>) -> Self {
        Self {
            rules,
            trims: Vec::new(),
        }
    }

    /// With lists held to what provider constraints allow. Only for successful answers: an error has
    /// no list.
    #[must_use]
    pub fn trimmed_by(mut self, trims: Vec<Trim>) -> Self {
        self.trims = trims;
        self
    }

    /// As it applies to an answer that tells of a failure.
    #[must_use]
    pub fn for_failure(&self) -> Self {
        Self::new(self.rules.clone())
    }

    /// These rules and one more.
    #[must_use]
    pub fn with(&self, rule: Arc<RuleFilter>) -> Self {
        let rules = self.rules.iter().cloned().chain([rule]);
        Self::new(rules.collect()).trimmed_by(self.trims.clone())
    }

    /// Whether every answer passes as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.trims.is_empty()
    }

    /// Whether a list has to be seen whole.
    pub(crate) fn trims(&self) -> bool {
        !self.trims.is_empty()
    }

    /// The filtered body, or `None` if it may pass as it is. Codings are already decoded.
    ///
    /// # Errors
    /// The answer cannot be filtered; [`Self::action`] says what the rules make of that.
    pub fn body(
        &self,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Option<Vec<u8>>, Unfilterable> {
        if self.is_empty() || body.is_empty() {
            return Ok(None);
        }
        let mut trimmed: Option<Vec<u8>> = None;
        for trim in &self.trims {
            let now = trim.apply(trimmed.as_deref().unwrap_or(body))?;
            trimmed = now.or(trimmed);
        }
        if self.rules.is_empty() {
            return Ok(trimmed);
        }
        let filtered = self.ruled(content_type, trimmed.as_deref().unwrap_or(body))?;
        Ok(filtered.or(trimmed))
    }

    fn ruled(
        &self,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Option<Vec<u8>>, Unfilterable> {
        match content::of(content_type, body)? {
            Content::Events | Content::Lines => self.whole_stream(content_type, body),
            Content::Json => self.whole_json(body),
            Content::Mail(text) => self.text(text, true),
            Content::Text(text) => match self.json_in_text(body) {
                Some(filtered) => Ok(filtered),
                None => self.text(text, is_mail(text)),
            },
        }
    }

    fn whole_json(&self, body: &[u8]) -> Result<Option<Vec<u8>>, Unfilterable> {
        let is_list = body.trim_ascii_start().first() == Some(&b'[');
        let given = if is_list && memchr::memmem::find(body, b"\"candidates\"").is_some() {
            join_items(self, body)?
        } else {
            Vec::new()
        };
        self.json(body, Some(&given))
            .map_err(|_| Unfilterable::Malformed)
    }

    /// What the rules say of an answer they cannot filter: the strictest of them.
    #[must_use]
    pub fn action(&self, why: Unfilterable) -> OnUnfilterable {
        if self.trims() {
            return OnUnfilterable::Refuse;
        }
        let rules = self.rules.iter().map(|rule| rule.on_unfilterable);
        match rules.max() {
            Some(OnUnfilterable::Approve) if why != Unfilterable::Binary => OnUnfilterable::Refuse,
            strictest => strictest.unwrap_or(OnUnfilterable::Pass),
        }
    }

    /// Filters one JSON text. `given` replaces strings that were filtered elsewhere.
    pub(crate) fn json(
        &self,
        body: &[u8],
        given: Option<&[Given]>,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        pass::filter(body, &self.plan(given))
    }

    /// Only the rules on members.
    pub(crate) fn fields(&self, body: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
        let mut plan = self.plan(None);
        plan.redactors.clear();
        pass::filter(body, &plan)
    }

    pub(crate) fn redactors(&self) -> impl Iterator<Item = &Redactor> {
        self.rules.iter().filter_map(|rule| rule.redact.as_ref())
    }

    /// Whether a rule looks for more than links of ours.
    pub(crate) fn redacts_data(&self) -> bool {
        self.redactors()
            .any(|redactor| !redactor.recognisers().finds_links_only())
    }

    /// Whether a rule names members: then text cannot be filtered.
    pub(crate) fn names_fields(&self) -> bool {
        let names = |rule: &Arc<RuleFilter>| rule.allow.is_some() || rule.deny.is_some();
        self.rules.iter().any(names)
    }

    /// Text outside JSON.
    pub(crate) fn text(&self, text: &str, is_mail: bool) -> Result<Option<Vec<u8>>, Unfilterable> {
        if self.names_fields() {
            return Err(Unfilterable::FieldsOfText);
        }
        let redact = |redactor: &Redactor, text: &str| match is_mail {
            true => redactor.mail(text),
            false => redactor.text(text),
        };
        let mut changed: Option<String> = None;
        for redactor in self.redactors() {
            let now = redact(redactor, changed.as_deref().unwrap_or(text));
            changed = now.or(changed);
        }
        Ok(changed.map(String::into_bytes))
    }

    /// JSON under a text type is JSON, or its escapes would hide what it says.
    fn json_in_text(&self, body: &[u8]) -> Option<Option<Vec<u8>>> {
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace())?;
        matches!(first, b'{' | b'[' | b'"').then(|| self.json(body, None).ok())?
    }

    fn whole_stream(
        &self,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Option<Vec<u8>>, Unfilterable> {
        let rules = Arc::new(self.for_failure());
        let mut stream = crate::stream::StreamFilter::new(rules, content_type, body.len());
        let mut out = Vec::with_capacity(body.len());
        stream.push(body, &mut out)?;
        stream.finish(&mut out)?;
        Ok((out != body).then_some(out))
    }

    fn plan<'a>(&'a self, given: Option<&'a [Given]>) -> Plan<'a> {
        Plan {
            allow: self
                .rules
                .iter()
                .filter_map(|rule| rule.allow.as_ref())
                .collect(),
            deny: self
                .rules
                .iter()
                .filter_map(|rule| rule.deny.as_ref())
                .collect(),
            given: given.unwrap_or(&[]),
            redactors: self.redactors().collect(),
        }
    }
}

const MARKER: &str = "[REDACTED]";

#[cfg(test)]
mod tests;
