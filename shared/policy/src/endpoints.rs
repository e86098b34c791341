//! Endpoints of a service that are more than they look like: those that carry other requests, hand
//! out authority, or have data sent elsewhere. A wildcard never covers them. Which they are is in
//! the service's file; what that means is decided in [`crate::decide`].

use std::borrow::Cow;

use ah5_contracts::policy::Method;

use crate::glob::{Glob, GlobError};
use crate::url::CanonicalUrl;

/// A service's endpoints of these kinds.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    entries: Box<[Endpoint]>,
}

/// The order is that of strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Has the provider send data to a place that the request names: webhooks, watches, forwards.
    CallbackTarget,
    /// Carries other requests.
    Tunnel(Tunnel),
    /// Hands out keys, tokens or other authority that outlives the call.
    MintsAuthority,
}

/// How requests are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tunnel {
    /// In a query language. What it asks for is the body's business, which rules can read.
    Graphql,
    /// As `{"requests": [{"id", "method", "url", ..}]}`: each is judged by itself.
    JsonBatch,
    /// In a form that nobody here reads.
    Opaque,
}

#[derive(Clone, Debug)]
struct Endpoint {
    class: Class,
    /// None is all of them.
    methods: Box<[Method]>,
    paths: Box<[Glob]>,
}

// === impl Endpoints ===

impl Endpoints {
    /// Adds endpoints; no method means all of them. Patterns are as those of allowlists.
    ///
    /// # Errors
    /// The first pattern that does not compile.
    pub fn add(
        &mut self,
        class: Class,
        methods: &[Method],
        patterns: &[impl AsRef<str>],
    ) -> Result<(), GlobError> {
        let paths = patterns.iter();
        let paths = paths.map(|p| Glob::compile(&p.as_ref().to_ascii_lowercase()));
        let mut entries = std::mem::take(&mut self.entries).into_vec();
        entries.push(Endpoint {
            class,
            methods: methods.into(),
            paths: paths.collect::<Result<_, _>>()?,
        });
        self.entries = entries.into();
        Ok(())
    }

    /// The strictest class that the call may be of, however its path is spelled: some servers
    /// ignore case, a slash at the end, and what follows a `;`.
    #[must_use]
    pub fn class(&self, method: Method, url: &CanonicalUrl) -> Option<Class> {
        if self.entries.is_empty() {
            return None;
        }
        let path = as_served(url.path());
        let entries = self.entries.iter();
        let found = entries.filter(|entry| entry.covers(method, &path));
        found.map(|entry| entry.class).max()
    }
}

// === impl Endpoint ===

impl Endpoint {
    fn covers(&self, method: Method, path: &str) -> bool {
        (self.methods.is_empty() || self.methods.contains(&method))
            && self.paths.iter().any(|glob| glob.matches(path))
    }
}

/// The path as a lenient server may take it: without case, parameters of segments and a slash at the
/// end. For what restricts only.
#[must_use]
pub fn as_served(path: &str) -> Cow<'_, str> {
    let trimmed = match path.strip_suffix('/') {
        Some("") | None => path,
        Some(trimmed) => trimmed,
    };
    if !trimmed.bytes().any(|b| b == b';' || b.is_ascii_uppercase()) {
        return Cow::Borrowed(trimmed);
    }
    let segments = trimmed.split('/');
    let names = segments.map(|segment| segment.split(';').next().unwrap_or_default());
    Cow::Owned(names.collect::<Vec<_>>().join("/").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_known_by_any_spelling() {
        let mut all = Endpoints::default();
        let batch = Class::Tunnel(Tunnel::JsonBatch);
        all.add(batch, &[], &["/**/$batch"]).unwrap();
        all.add(
            Class::CallbackTarget,
            &[Method::Post],
            &["/hooks", "/**/Watch"],
        )
        .unwrap();
        all.add(Class::MintsAuthority, &[], &["/**/keys/watch"])
            .unwrap();
        let class = |method, path: &str| {
            let url = CanonicalUrl::parse(&format!("https://h.example{path}")).unwrap();
            all.class(method, &url)
        };
        for path in [
            "/v1.0/$batch",
            "/V1.0/%24BATCH/",
            "/v1.0;a/$batch;x",
            "/a//./$batch",
        ] {
            assert_eq!(class(Method::Post, path), Some(batch), "{path}");
        }
        assert_eq!(class(Method::Post, "/hooks/"), Some(Class::CallbackTarget));
        assert_eq!(class(Method::Get, "/hooks"), None);
        assert_eq!(class(Method::Post, "/x/watch"), Some(Class::CallbackTarget));
        assert_eq!(
            class(Method::Post, "/x/keys/watch"),
            Some(Class::MintsAuthority)
        );
        assert_eq!(class(Method::Post, "/"), None);
        assert_eq!(
            Endpoints::default().class(Method::Get, &CanonicalUrl::parse("https://h/").unwrap()),
            None
        );
    }
}
