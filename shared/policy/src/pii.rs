//! Finds personal data and secrets in text. The response filter, the stream filters and request
//! rules call it.
//!
//! It knows forms and checksums, not people: names and postal addresses are not found. Every scan
//! is linear in the text.

mod checksum;
mod context;
mod custom;
mod email;
mod fold;
mod iban;
mod kind;
mod links;
mod phone;
mod probe;
mod scan;
mod secret;
mod shape;
mod verdict;
mod window;
mod words;

use std::borrow::Cow;
use std::sync::Arc;

use custom::Custom;
pub(crate) use fold::{Fold, fold};
use kind::Kinds;
pub use kind::{Kind, Label};
use links::Links;
pub(crate) use window::{Progress, Window, scan};

/// A compiled list of types: what to look for.
#[derive(Clone, Debug, Default)]
pub struct Recognisers {
    custom: Vec<Custom>,
    kinds: Kinds,
    links: Option<Arc<Links>>,
}

/// One entry of a rule's list of types.
#[derive(Clone, Copy, Debug)]
pub struct PiiType<'a> {
    /// A kind, a group, `ssn` or `custom`.
    pub name: &'a str,
    /// For `custom`.
    pub pattern: Option<&'a str>,
}

/// Something found, as a range of bytes of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    pub start: usize,
    pub end: usize,
    pub label: Label,
    /// In hundredths.
    pub score: u8,
}

/// A list of types that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PiiError {
    #[error("types/{place}: custom needs a pattern")]
    NoPattern { place: usize },
    #[error("types/{place}: pattern: {why}")]
    Pattern { place: usize, why: String },
    #[error("types/{place}: unknown type {name:?}")]
    Unknown { name: String, place: usize },
}

// === impl Recognisers ===

impl Recognisers {
    /// # Errors
    /// The first entry that is unknown or whose pattern does not compile: none is dropped.
    pub fn compile<'a>(types: impl IntoIterator<Item = PiiType<'a>>) -> Result<Self, PiiError> {
        let mut all = Self::default();
        for (place, wanted) in types.into_iter().enumerate() {
            if wanted.name == "custom" {
                all.custom.push(custom(place, wanted.pattern)?);
            } else {
                let kinds = Kinds::of_word(wanted.name).ok_or_else(|| PiiError::Unknown {
                    name: wanted.name.to_owned(),
                    place,
                })?;
                all.kinds = all.kinds.union(kinds);
            }
        }
        Ok(all)
    }

    /// Looks for links to pages of `origins` that act for whoever follows them.
    pub(crate) fn own_links<O: AsRef<str>>(origins: &[O]) -> Self {
        Self {
            links: Some(Arc::new(Links::new(origins))),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.custom.is_empty() && self.kinds.is_empty() && self.links.is_none()
    }

    /// What is in `text`, in order, without overlaps: overlapping finds count as one. `name` is the
    /// member whose value the text is; it counts as context.
    #[must_use]
    pub fn find(&self, text: &str, name: Option<&str>) -> Vec<Finding> {
        self.find_in(&Window::whole(text, name))
    }

    /// `text` with every find replaced, or `None` if there is none.
    #[must_use]
    pub fn redact(&self, text: &str, name: Option<&str>, marker: &str) -> Option<String> {
        replace(text, &self.find(text, name), |_| marker.into())
    }

    /// Whether a JSON number is personal data. A bare number tells nothing by its look, or a time
    /// stamp in ten would be someone's tax number: its member's name must speak of the kind, or
    /// it is a card's or fits the policy's own pattern.
    #[must_use]
    pub fn is_telling_number(&self, text: &str, name: Option<&str>) -> bool {
        if text.len() < SHORTEST_NUMBER && self.custom.is_empty() {
            return false;
        }
        let is_integer = text.bytes().all(|byte| byte.is_ascii_digit());
        let tells = |finding: &Finding| match finding.label {
            Label::Custom(_) | Label::Known(Kind::CreditCard) => true,
            Label::Known(kind) => name.is_some_and(|name| context::named_by(name).has(kind)),
        };
        is_integer && self.find(text, name).iter().any(tells)
    }

    pub(crate) fn find_in(&self, window: &Window<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        scan(self, window, &mut Progress::default(), &mut findings);
        united(findings)
    }

    pub(crate) fn finds_links_only(&self) -> bool {
        self.kinds.is_empty() && self.custom.is_empty()
    }

    /// Whether a stream can be searched piece by piece. Own patterns without a longest match, or
    /// bound to the text's ends, need the whole text.
    #[must_use]
    pub fn is_streamable(&self) -> bool {
        self.custom.iter().all(Custom::is_bounded)
    }
}

/// `text` with each find replaced by what `marker` says, or `None` if there is none.
pub(crate) fn replace<'m>(
    text: &str,
    findings: &[Finding],
    marker: impl Fn(&Finding) -> Cow<'m, str>,
) -> Option<String> {
    if findings.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for finding in findings {
        out.push_str(&text[copied..finding.start]);
        out.push_str(&marker(finding));
        copied = finding.end;
    }
    out.push_str(&text[copied..]);
    Some(out)
}

/// Sorted, and overlapping finds made one that has the longest one's label.
fn united(mut findings: Vec<Finding>) -> Vec<Finding> {
    if findings.len() < 2 {
        return findings;
    }
    findings.sort_by_key(|f| (f.start, std::cmp::Reverse((f.end, f.score))));
    let mut all: Vec<Finding> = Vec::with_capacity(findings.len());
    // The length of the find that gave the last one its label.
    let mut longest = 0;
    for finding in findings {
        let length = finding.end - finding.start;
        match all.last_mut().filter(|last| finding.start < last.end) {
            Some(last) => {
                last.end = last.end.max(finding.end);
                if (length, finding.score) > (longest, last.score) {
                    (last.label, last.score, longest) = (finding.label, finding.score, length);
                }
            }
            None => {
                all.push(finding);
                longest = length;
            }
        }
    }
    all
}

fn custom(place: usize, pattern: Option<&str>) -> Result<Custom, PiiError> {
    let pattern = pattern.ok_or(PiiError::NoPattern { place })?;
    let number = u16::try_from(place).unwrap_or(u16::MAX);
    Custom::compile(number, pattern).map_err(|why| PiiError::Pattern { place, why })
}

/// No number of fewer digits is anyone's.
const SHORTEST_NUMBER: usize = 8;

#[cfg(test)]
mod tests;
