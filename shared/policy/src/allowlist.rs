//! Allowlists: which methods and paths of which hosts a policy covers. Default deny.

use ah5_contracts::policy::Method;
use serde_json::{Map, Value};

use crate::compile::{CompileError, PlainHttp};
use crate::decide::Facts;
use crate::glob::Glob;
use crate::header::NamedHeader;
use crate::origin::OriginPattern;
use crate::url::CanonicalUrl;

/// The compiled entries, in their stored order.
#[derive(Clone, Debug, Default)]
pub struct Allowlist {
    entries: Vec<Entry>,
}

/// Why no entry covers a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    pub reason: String,
    pub hint: Option<String>,
    /// How near the nearest entry came: more is nearer.
    pub nearness: u8,
}

#[derive(Clone, Debug)]
struct Entry {
    base: OriginPattern,
    /// Headers with authority or arguments that may come along.
    headers: Box<[NamedHeader]>,
    methods: Vec<Method>,
    patterns: Vec<Glob>,
    texts: Vec<String>,
}

// === impl Miss ===

impl Miss {
    /// Nearer than any miss of the allowlist: at another time the call would be covered.
    pub(crate) fn closed(reason: String) -> Self {
        Self {
            reason,
            hint: None,
            nearness: 4,
        }
    }
}

// === impl Allowlist ===

impl Allowlist {
    /// # Errors
    /// Names the first field that is malformed or that nothing here would enforce.
    pub fn compile(stored: &Value, plain_http: PlainHttp<'_>) -> Result<Self, CompileError> {
        let list = stored
            .as_array()
            .ok_or_else(|| CompileError::new("allowlists", "must be array"))?;
        if list.len() > MAX_ENTRIES {
            let why = format!("must NOT have more than {MAX_ENTRIES} items");
            return Err(CompileError::new("allowlists", why));
        }
        let entries = list
            .iter()
            .enumerate()
            .map(|(i, entry)| Entry::compile(entry, &format!("allowlists/{i}"), plain_http))
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    pub(crate) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.base.base().host())
    }

    /// Whether one entry takes every method and every path.
    pub(crate) fn names_everything(&self) -> bool {
        let all = |entry: &Entry| {
            let has = |name| entry.methods.iter().any(|method| method.as_str() == name);
            Method::NAMES.into_iter().all(has)
                && entry
                    .texts
                    .iter()
                    .any(|text| matches!(text.as_str(), "**" | "/**"))
        };
        self.entries.iter().any(all)
    }

    /// The index of the first entry that covers the call.
    #[must_use]
    pub fn find(&self, facts: &Facts<'_>) -> Option<usize> {
        self.entries.iter().position(|entry| {
            let plain = facts.class.is_none();
            entry.covers(facts) && (plain || entry.names_path(facts.url))
        })
    }

    /// Whether an entry that covers the call lets this header of it pass.
    pub(crate) fn grants(&self, facts: &Facts<'_>, header: &(String, String)) -> bool {
        let lets_pass = |entry: &Entry| entry.headers.iter().any(|named| named.lets_pass(header));
        self.entries
            .iter()
            .any(|entry| lets_pass(entry) && entry.covers(facts))
    }

    /// Whether an entry names the header, in lower case, with any value.
    pub(crate) fn names_header(&self, name: &str) -> bool {
        let mut headers = self.entries.iter().flat_map(|entry| &entry.headers);
        headers.any(|named| named.is(name))
    }

    /// Says why nothing covers the call, after [`Self::find`] found nothing.
    #[must_use]
    pub fn explain(&self, facts: &Facts<'_>) -> Miss {
        if self.entries.is_empty() {
            return Miss {
                reason: NO_ENTRIES.to_owned(),
                hint: None,
                nearness: 0,
            };
        }
        let (nearness, hint) = self.nearest(facts);
        Miss {
            reason: format!(
                "Request denied: {} {} does not match any allowlist rule",
                facts.method.as_str(),
                facts.url
            ),
            hint,
            nearness,
        }
    }

    fn nearest(&self, facts: &Facts<'_>) -> (u8, Option<String>) {
        if facts.class.is_some() && self.entries.iter().any(|entry| entry.covers(facts)) {
            return (3, Some(MUST_NAME.to_owned()));
        }
        let here = || {
            let entries = self.entries.iter();
            entries.filter(|entry| entry.base.covers_origin(facts.url))
        };
        if let Some(entry) = here().find(|e| e.covers_path(facts.url)) {
            let methods: Vec<_> = entry.methods.iter().map(|m| m.as_str()).collect();
            let hint = format!(
                "The path matched an allowlist rule, but method {} is not allowed. \
                 Allowed methods for this path: {}.",
                facts.method.as_str(),
                methods.join(", ")
            );
            return (3, Some(hint));
        }
        if let Some(entry) = here().find(|e| e.methods.contains(&facts.method)) {
            let hint = format!(
                "The host and method matched, but path {} is not in the allowed paths. \
                 Allowed patterns: {}.",
                facts.url.path(),
                entry.texts.join(", ")
            );
            return (2, Some(hint));
        }
        if here().next().is_some() {
            return (1, None);
        }
        let mut hosts: Vec<&str> = Vec::new();
        for entry in &self.entries {
            if !hosts.contains(&entry.base.base().host()) {
                hosts.push(entry.base.base().host());
            }
        }
        let hint = format!(
            "No allowlist rules for host {}. Allowed hosts: {}.",
            facts.url.host(),
            hosts.join(", ")
        );
        (1, Some(hint))
    }
}

// === impl Entry ===

impl Entry {
    fn compile(stored: &Value, at: &str, plain_http: PlainHttp<'_>) -> Result<Self, CompileError> {
        let object = stored
            .as_object()
            .ok_or_else(|| CompileError::new(at, "must be object"))?;
        // A member that nothing reads might be meant as a condition.
        if let Some(name) = object.keys().find(|k| !MEMBERS.contains(&k.as_str())) {
            return Err(CompileError::new(format!("{at}/{name}"), "is not known"));
        }
        let base = base_url(object, at, plain_http)?;
        let mut methods = Vec::new();
        for (i, text) in strings(object, at, "methods", NO_METHOD)?
            .into_iter()
            .enumerate()
        {
            let method = Method::from_name(text).ok_or_else(|| {
                let path = format!("{at}/methods/{i}");
                CompileError::new(path, "must be equal to one of the allowed values")
            })?;
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
        let texts = strings(object, at, "pathPatterns", NO_PATTERN)?;
        let patterns = texts
            .iter()
            .enumerate()
            .map(|(i, text)| {
                Glob::compile(text)
                    .map_err(|why| CompileError::new(format!("{at}/pathPatterns/{i}"), why))
            })
            .collect::<Result<_, _>>()?;
        let headers = match object.get("headers") {
            Some(list) => NamedHeader::compile_all(list, &format!("{at}/headers"))?,
            None => Box::default(),
        };
        Ok(Self {
            base,
            headers,
            methods,
            patterns,
            texts: texts.into_iter().map(str::to_owned).collect(),
        })
    }

    fn covers(&self, facts: &Facts<'_>) -> bool {
        self.methods.contains(&facts.method)
            && self.base.covers_origin(facts.url)
            && self.covers_path(facts.url)
    }

    fn covers_path(&self, url: &CanonicalUrl) -> bool {
        let matches = |pattern: &Glob| pattern.matches(url.path());
        self.base.covers_path(url) && self.patterns.iter().any(matches)
    }

    /// Whether a pattern is this very path.
    fn names_path(&self, url: &CanonicalUrl) -> bool {
        let names = |pattern: &Glob| pattern.is_literal() && pattern.matches(url.path());
        self.patterns.iter().any(names)
    }
}

fn base_url(
    object: &Map<String, Value>,
    at: &str,
    plain_http: PlainHttp<'_>,
) -> Result<OriginPattern, CompileError> {
    let path = format!("{at}/baseUrl");
    let text = object
        .get("baseUrl")
        .and_then(Value::as_str)
        .ok_or_else(|| CompileError::new(&path, "must be string"))?;
    let invalid = |_| CompileError::new(&path, format!("Invalid base URL: {text}"));
    let pattern = OriginPattern::parse(text).map_err(invalid)?;
    let base = pattern.base();
    if !base.is_https() && !plain_http(base.host(), base.port()) {
        let why = format!("Base URL must use HTTPS: {text}");
        return Err(CompileError::new(&path, why));
    }
    Ok(pattern)
}

fn strings<'a>(
    object: &'a Map<String, Value>,
    at: &str,
    member: &str,
    none: &str,
) -> Result<Vec<&'a str>, CompileError> {
    let path = format!("{at}/{member}");
    let list = object
        .get(member)
        .and_then(Value::as_array)
        .ok_or_else(|| CompileError::new(&path, "must be array"))?;
    if list.is_empty() {
        return Err(CompileError::new(path, none));
    }
    if list.len() > MAX_PATTERNS {
        let why = format!("must NOT have more than {MAX_PATTERNS} items");
        return Err(CompileError::new(path, why));
    }
    list.iter()
        .enumerate()
        .map(|(i, text)| {
            text.as_str()
                .ok_or_else(|| CompileError::new(format!("{path}/{i}"), "must be string"))
        })
        .collect()
}

pub const NO_ENTRIES: &str = "No allowlist rules configured — all requests are denied by default";
const NO_METHOD: &str = "Each allowlist entry requires at least one HTTP method";
const NO_PATTERN: &str = "Each allowlist entry requires at least one path pattern";
const MUST_NAME: &str = "This endpoint carries other requests or has effects beyond the call: \
     an allowlist covers it only by a path pattern without wildcards.";
const MEMBERS: [&str; 4] = ["baseUrl", "headers", "methods", "pathPatterns"];
const MAX_ENTRIES: usize = 200;
const MAX_PATTERNS: usize = 200;
