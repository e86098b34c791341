//! One rule's redaction of one string: as text, as JSON inside the string, as base64 of text.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::base64::{self, Layers};
use super::pass::{Plan, filter};
use crate::pii::{Recognisers, Window, replace};

/// What to look for, and what to put in its place.
#[derive(Clone, Debug)]
pub(crate) struct Redactor {
    marker: Box<str>,
    recognisers: Recognisers,
}

// === impl Redactor ===

impl Redactor {
    pub(super) fn new(recognisers: Recognisers, marker: &str) -> Self {
        Self {
            marker: marker.into(),
            recognisers,
        }
    }

    pub(crate) fn marker(&self) -> &str {
        &self.marker
    }

    pub(crate) fn recognisers(&self) -> &Recognisers {
        &self.recognisers
    }

    /// Plain text; `None` if it stays.
    pub(crate) fn text(&self, text: &str) -> Option<String> {
        self.recognisers.redact(text, None, &self.marker)
    }

    /// The string value of the member `name`.
    pub(crate) fn leaf(&self, text: &str, name: Option<&str>) -> Option<String> {
        if let Some(inner) = self.inner_json(text) {
            return inner;
        }
        if is_mail(text) {
            return self.mail(text);
        }
        self.recognisers
            .redact(text, name, &self.marker)
            .or_else(|| base64::redact(text, self, Layers::FULL))
    }

    /// A mail or another MIME entity: encoded parts are decoded, looked at and encoded again.
    pub(crate) fn mail(&self, text: &str) -> Option<String> {
        let parts = base64::redact_parts(text, self);
        let text = parts.as_deref().unwrap_or(text);
        let mut window = Window::whole(text, None);
        window.is_quoted_printable = true;
        let findings = self.recognisers.find_in(&window);
        replace(text, &findings, |_| (&*self.marker).into()).or(parts)
    }

    /// A run of base64 within a text; `None` if it stays.
    pub(crate) fn encoded(&self, run: &str) -> Option<String> {
        base64::redact(run, self, Layers::FULL)
    }

    /// The marker, if a number is personal data. Of a bare number only its member's name or an
    /// issuer's checksum tells: else a time stamp in eleven would be someone's tax number.
    pub(super) fn number(&self, text: &str, name: Option<&str>) -> Option<&str> {
        self.recognisers
            .is_telling_number(text, name)
            .then_some(&self.marker)
    }

    /// A string that is a JSON text, as tool arguments are: its own escapes must not hide anything,
    /// and what is left must still parse. `None` if it is something else.
    fn inner_json(&self, text: &str) -> Option<Option<String>> {
        let trimmed = text.trim_ascii();
        let (first, last) = (trimmed.bytes().next()?, trimmed.bytes().last()?);
        if !matches!((first, last), (b'{', b'}') | (b'[', b']')) {
            return None;
        }
        let plan = Plan {
            allow: Vec::new(),
            deny: Vec::new(),
            given: &[],
            redactors: vec![self],
        };
        let inner = filter(text.as_bytes(), &plan).ok()?;
        Some(inner.and_then(|inner| String::from_utf8(inner).ok()))
    }
}

/// Whether a text has MIME headers, whatever it is called.
pub(super) fn is_mail(text: &str) -> bool {
    text.len() > ENCODING_HEADER.needle().len() && ENCODING_HEADER.find(text.as_bytes()).is_some()
}

static ENCODING_HEADER: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new(b"Content-Transfer-Encoding"));
