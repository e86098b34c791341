//! A request body as rules see it: read at most once, and only when a rule asks. What cannot be
//! read in one certain way is opaque, and a rule that needs an opaque body never lets it pass.

use std::borrow::Cow;
use std::cell::OnceCell;

use crate::decide::{Narrowed, Stop};

mod form;
pub mod json;
mod render;
#[cfg(test)]
mod tests;

pub use json::Json;
pub(crate) use render::{compact, in_order};

/// The bytes that will be sent, and what the caller says they are. All of it is untrusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Body<'a> {
    bytes: &'a [u8],
    content_type: Option<&'a str>,
    encoded: bool,
    fold_keys: bool,
    unread: bool,
}

/// A body and what was read of it so far.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    body: Body<'a>,
    view: OnceCell<View<'a>>,
    compact: OnceCell<String>,
    loose: OnceCell<Option<String>>,
    /// Of this policy, what some rules see less of.
    narrowed: Option<(usize, Narrowed<'a>)>,
}

/// What a body turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum View<'a> {
    Absent,
    /// Any JSON value; a form is the object that its names spell.
    Data(Json<'a>),
    Opaque(BodyError),
    /// Plain words, without a character that could give them structure.
    Words(&'a str),
}

/// Why rules cannot read a body. May be shown to the caller, who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("its content type is not one that rules can read")]
    ContentType,
    #[error("member \"{0}\" is given twice")]
    Duplicate(String),
    #[error("it has a content encoding")]
    Encoded,
    #[error("it is not a well-formed form")]
    Form,
    #[error("it is not well-formed JSON at byte {0}")]
    Json(usize),
    #[error("body and content type disagree")]
    Mismatch,
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("it is too deeply nested or has too many values")]
    TooComplex,
    #[error("personal data stands where it cannot be replaced")]
    Unredactable,
    #[error("it was not read")]
    Unread,
}

// === impl Body ===

impl<'a> Body<'a> {
    /// `content_type` is the header's whole value, as it will be sent.
    #[must_use]
    pub fn new(bytes: &'a [u8], content_type: Option<&'a str>) -> Self {
        Self {
            bytes,
            content_type,
            ..Self::default()
        }
    }

    /// A body that nobody has looked at.
    pub(crate) fn unread() -> Self {
        Self {
            unread: true,
            ..Self::default()
        }
    }

    /// A body with a content encoding other than identity.
    #[must_use]
    pub fn encoded(mut self) -> Self {
        self.encoded = true;
        self
    }

    /// For services that read members whatever the case of their names.
    #[must_use]
    pub fn fold_keys(mut self) -> Self {
        self.fold_keys = true;
        self
    }

    pub(crate) const fn folds_keys(&self) -> bool {
        self.fold_keys
    }

    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What rules see of it.
    #[must_use]
    pub fn read(self) -> View<'a> {
        if self.unread {
            return View::Opaque(BodyError::Unread);
        }
        if self.bytes.is_empty() {
            return View::Absent;
        }
        if self.encoded {
            return View::Opaque(BodyError::Encoded);
        }
        let Ok(text) = str::from_utf8(self.bytes) else {
            return View::Opaque(BodyError::NotUtf8);
        };
        let read = match self.content_type.map(Kind::of) {
            Some(Kind::Json) => Json::parse(text, self.fold_keys),
            Some(Kind::Form) => read_form(text),
            Some(Kind::Text) if is_words(text) => return View::Words(text),
            Some(Kind::Other | Kind::Text) => Err(BodyError::ContentType),
            None if is_words(text) && Json::parse(text, false).is_err() => {
                return View::Words(text);
            }
            None if form::looks_like(text) => read_form(text),
            None => Json::parse(text, self.fold_keys),
        };
        read.map_or_else(View::Opaque, View::Data)
    }
}

// === impl Reading ===

impl<'a> Reading<'a> {
    pub(crate) fn new(body: Body<'a>) -> Self {
        Self {
            body,
            view: OnceCell::new(),
            compact: OnceCell::new(),
            loose: OnceCell::new(),
            narrowed: None,
        }
    }

    /// For the rules of this policy.
    pub(crate) fn narrowed(self, policy: usize, narrowed: Narrowed<'a>) -> Self {
        Self {
            narrowed: Some((policy, narrowed)),
            ..self
        }
    }

    /// What stands in for the whole body where this rule looks at all of it, if it is to see less than
    /// others.
    pub(crate) fn for_rule(&self, rule: usize) -> Option<Self> {
        let (policy, narrowed) = self.narrowed?;
        let is_meant = narrowed.rules.contains(&Stop { policy, rule });
        is_meant.then(|| {
            Self::new(Body {
                bytes: narrowed.told.bytes,
                ..self.body
            })
        })
    }

    /// The same kind of body with other bytes: what a redaction leaves.
    pub(crate) fn with_bytes<'b>(&self, bytes: &'b [u8]) -> Reading<'b>
    where
        'a: 'b,
    {
        Reading {
            narrowed: self.narrowed,
            ..Reading::new(Body { bytes, ..self.body })
        }
    }

    pub(crate) fn view(&self) -> &View<'a> {
        self.view.get_or_init(|| self.body.read())
    }

    /// The value, if the body is one.
    pub(crate) fn data(&self) -> Option<&Json<'a>> {
        match self.view() {
            View::Data(data) => Some(data),
            _ => None,
        }
    }

    /// Whether it is a form, which only reads like JSON.
    pub(crate) fn is_form(&self) -> bool {
        let stated = self.body.content_type.map(|t| Kind::of(t) == Kind::Form);
        stated.unwrap_or_else(|| {
            let text = str::from_utf8(self.body.bytes).unwrap_or_default();
            Json::parse(text, false).is_err() && form::looks_like(text)
        })
    }

    /// The whole body as one text: compact JSON in the order given, or the words. `None` if there
    /// is none to read.
    pub(crate) fn compact(&self) -> Option<&str> {
        match self.view() {
            View::Absent | View::Opaque(_) => None,
            View::Words(words) => Some(words),
            View::Data(data) => Some(self.compact.get_or_init(|| compact(data))),
        }
    }

    /// [`Self::compact`] with numbers out of their quotes and every name that providers accept for
    /// a member, if that makes a difference.
    pub(crate) fn loose(&self) -> Option<&str> {
        let data = self.data()?;
        let loose = self.loose.get_or_init(|| render::loose(data));
        loose.as_deref()
    }
}

// A server that goes by the look of a body would read this one as something else.
fn read_form(text: &str) -> Result<Json<'static>, BodyError> {
    if text.trim_start().starts_with(['{', '[', '"']) {
        return Err(BodyError::Mismatch);
    }
    form::parse(text)
}

// === impl BodyError ===

impl BodyError {
    fn duplicate(name: &str) -> Self {
        Self::Duplicate(name.chars().take(64).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Form,
    Json,
    Other,
    Text,
}

// === impl Kind ===

impl Kind {
    fn of(content_type: &str) -> Self {
        let mut parts = content_type.split(';');
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        for parameter in parts {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim().trim_matches('"');
            let utf8 = ["utf-8", "utf8", "us-ascii"];
            if name.trim().eq_ignore_ascii_case("charset")
                && !utf8.iter().any(|known| value.eq_ignore_ascii_case(known))
            {
                return Self::Other;
            }
        }
        match essence.as_str() {
            "application/x-www-form-urlencoded" => Self::Form,
            "application/json" | "text/json" => Self::Json,
            "text/plain" => Self::Text,
            essence if essence.starts_with("application/") && essence.ends_with("+json") => {
                Self::Json
            }
            _ => Self::Other,
        }
    }
}

/// Text that no reader could take for members: not a brace, an equals sign, a tag or a second line.
fn is_words(text: &str) -> bool {
    !text.contains(|c: char| {
        c.is_control()
            || matches!(
                c,
                '{' | '}' | '[' | ']' | '<' | '>' | '=' | ':' | '&' | '"' | ';'
            )
    })
}

/// A text, whether borrowed from the body or made from it.
pub(crate) fn json_text(text: &str) -> Json<'_> {
    Json::Text(Cow::Borrowed(text))
}
