//! What a rule says of method, path and query, for request and response rules alike.

use std::cell::OnceCell;
use std::sync::Arc;

use ah5_contracts::policy::Method;

use crate::compile::CompileError;
use crate::pattern::{Pattern, Patterns};
use crate::stored::Stored;
use crate::url::CanonicalUrl;

/// Compiled facets; one that is absent always holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facets {
    /// One bit a method; 0 is any.
    methods: u8,
    url: Option<Arc<Pattern>>,
    query: Option<Arc<Pattern>>,
}

/// The part of a call that facets see, decoded at most once.
#[derive(Debug)]
pub struct Target<'a> {
    method: Method,
    path: &'a str,
    /// With its leading `?`, or empty.
    query: &'a str,
    plain_path: OnceCell<Option<String>>,
    plain_query: OnceCell<Option<String>>,
}

/// How sure a rule must be. A rule that restricts applies when it may match, one that allows only
/// when it surely does: whatever is uncertain about a call counts against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    May,
    Surely,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    Method,
    Query,
    Url,
}

// === impl Facets ===

impl Facets {
    pub(crate) fn compile(
        rule: &Stored<'_>,
        patterns: &mut Patterns,
        fold: bool,
    ) -> Result<Self, CompileError> {
        let mut pattern = |name: &str, fold: bool| match rule.text(name)? {
            None | Some("") => Ok(None),
            Some(text) => match patterns.compile(text, fold) {
                Ok(pattern) => Ok(Some(pattern)),
                Err(error) => Err(rule.error(name, error)),
            },
        };
        Ok(Self {
            methods: methods(rule)?,
            url: pattern("urlPattern", fold)?,
            query: pattern("queryPattern", false)?,
        })
    }

    pub(crate) fn check(&self, target: &Target<'_>, need: Need) -> Result<(), Miss> {
        if self.methods != 0 && self.methods & bit(target.method) == 0 {
            return Err(Miss::Method);
        }
        if let Some(pattern) = &self.url
            && !pattern.is_match(target.path)
            && !(need == Need::May && target.plain_path().is_some_and(|p| pattern.is_match(p)))
        {
            return Err(Miss::Url);
        }
        if let Some(pattern) = &self.query
            && !pattern.is_match(target.query)
            && !(need == Need::May && target.plain_query().is_some_and(|q| pattern.is_match(q)))
        {
            return Err(Miss::Query);
        }
        Ok(())
    }
}

// === impl Target ===

impl<'a> Target<'a> {
    #[must_use]
    pub fn new(method: Method, url: &'a CanonicalUrl) -> Self {
        let (path, query) = url.path_and_query().split_at(url.path().len());
        Self {
            method,
            path,
            query,
            plain_path: OnceCell::new(),
            plain_query: OnceCell::new(),
        }
    }

    fn plain_path(&self) -> Option<&str> {
        self.plain_path
            .get_or_init(|| decoded(self.path, false))
            .as_deref()
    }

    fn plain_query(&self) -> Option<&str> {
        self.plain_query
            .get_or_init(|| decoded(self.query, true))
            .as_deref()
    }
}

fn methods(rule: &Stored<'_>) -> Result<u8, CompileError> {
    let mut methods = 0;
    for (i, name) in rule.texts("methods", 16)?.into_iter().enumerate() {
        let method = Method::from_name(name).ok_or_else(|| {
            rule.error(
                &format!("methods/{i}"),
                "must be equal to one of the allowed values",
            )
        })?;
        methods |= bit(method);
    }
    Ok(methods)
}

const fn bit(method: Method) -> u8 {
    1 << method as u8
}

/// `None` if the text has nothing encoded.
fn decoded(text: &str, form: bool) -> Option<String> {
    let plus = form && text.contains('+');
    if !plus && !text.contains('%') {
        return None;
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        match crate::url::escape(&bytes[i..]).filter(|_| byte == b'%') {
            Some(byte) => {
                out.push(byte);
                i += 2;
            }
            None if form && byte == b'+' => out.push(b' '),
            None => out.push(byte),
        }
        i += 1;
    }
    String::from_utf8(out).ok()
}
