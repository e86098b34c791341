//! The one canonical form of a target URL. What is judged, shown, recorded and sent is this value,
//! so two spellings of one target cannot be told apart by a rule, and one spelling cannot mean two
//! targets to two readers: whatever is ambiguous is refused.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

mod origin;
mod path;
mod query;
#[cfg(test)]
mod tests;

use origin::Origin;
pub(crate) use path::{canonical_literal, decode_text, escape};

/// An absolute http(s) URL in canonical form. Cloning shares the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalUrl {
    origin: Arc<Origin>,
    /// `/path` or `/path?query`, every byte as it goes on the wire.
    path_and_query: String,
    path_len: usize,
}

/// Why a URL is refused. The caller wrote the URL, so the reasons may be shown to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("path climbs above its root")]
    AboveRoot,
    #[error("backslash in URL")]
    Backslash,
    #[error("control character in URL")]
    Control,
    #[error("percent sign in path is encoded twice")]
    DoubleEncoding,
    #[error("dot segment after an empty path segment")]
    EmptySegment,
    #[error("encoded slash or backslash in path")]
    EncodedSlash,
    #[error("URI malformed")]
    Escape,
    #[error("URL has a fragment")]
    Fragment,
    #[error("Invalid URL")]
    Host,
    #[error("Invalid URL")]
    NotAbsolute,
    #[error("path leaves the connection's base URL")]
    OutsideBase,
    #[error("control character in path")]
    PathControl,
    #[error("path segment hides a dot segment")]
    PathParameter,
    #[error("Invalid URL")]
    Port,
    #[error("URL is longer than {MAX_URL} bytes")]
    TooLong,
    #[error("URL contains path traversal sequences")]
    Traversal,
    #[error("URL has user info")]
    UserInfo,
}

// === impl CanonicalUrl ===

impl CanonicalUrl {
    /// Everything in `text` is under the caller's control.
    ///
    /// # Errors
    /// The first ambiguity or malformation found.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        Self::parse_with(text, false)
    }

    /// As [`Self::parse`], but host labels may hold `*`: for the base URL of an allowlist entry.
    pub(crate) fn parse_pattern(text: &str) -> Result<Self, UrlError> {
        Self::parse_with(text, true)
    }

    fn parse_with(text: &str, wildcards: bool) -> Result<Self, UrlError> {
        let text = text.trim_matches(' ');
        check_text(text)?;
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::NotAbsolute)?;
        let https = if scheme.eq_ignore_ascii_case("https") {
            true
        } else if scheme.eq_ignore_ascii_case("http") {
            false
        } else {
            return Err(UrlError::NotAbsolute);
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let mut path_and_query = String::with_capacity(target.len() + 1);
        path::append(&mut path_and_query, path.strip_prefix('/').unwrap_or(path))?;
        Self {
            origin: Arc::new(Origin::parse(https, authority, wildcards)?),
            path_len: path_and_query.len(),
            path_and_query,
        }
        .with_query(query)
    }

    /// The target that `raw_path` names below `base`. The result's path is the base's path or
    /// continues it by whole segments; a path that climbs out is refused. Never takes scheme, host
    /// or port from the caller.
    ///
    /// # Errors
    /// As [`Self::parse`], and [`UrlError::OutsideBase`].
    pub fn join(base: &Self, raw_path: &str, raw_query: Option<&str>) -> Result<Self, UrlError> {
        check_text(raw_path)?;
        // A whole URL where a path belongs is a mistake; it would name a path below the base.
        if raw_path.contains("://") {
            return Err(UrlError::OutsideBase);
        }
        let base_path = base.path();
        let room = raw_path.len() + raw_query.map_or(0, str::len) + base_path.len() + 2;
        let mut path_and_query = String::with_capacity(room);
        path_and_query.push_str(base_path.trim_end_matches('/'));
        let below = path_and_query.len();
        if raw_path.is_empty() {
            path_and_query.push_str(&base_path[below..]);
        } else {
            let path = raw_path.strip_prefix('/').unwrap_or(raw_path);
            path::append(&mut path_and_query, path).map_err(|error| match error {
                UrlError::AboveRoot => UrlError::OutsideBase,
                other => other,
            })?;
        }
        if let Some(query) = raw_query {
            check_text(query)?;
        }
        Self {
            origin: Arc::clone(&base.origin),
            path_len: path_and_query.len(),
            path_and_query,
        }
        .with_query(raw_query)
    }

    fn with_query(mut self, raw: Option<&str>) -> Result<Self, UrlError> {
        if let Some(raw) = raw.filter(|raw| !raw.is_empty()) {
            self.path_and_query.push('?');
            query::append(&mut self.path_and_query, raw)?;
        }
        if self.path_and_query.len() > MAX_URL {
            return Err(UrlError::TooLong);
        }
        Ok(self)
    }

    /// Sets query parameters: each name given replaces every parameter of that name in the URL
    /// (names compared decoded), at the place of the first one.
    ///
    /// # Errors
    /// [`UrlError::Control`] for a NUL, [`UrlError::TooLong`].
    pub fn merge<'a>(
        &mut self,
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), UrlError> {
        let merged = query::merge(self.query().unwrap_or_default(), parameters)?;
        self.path_and_query.truncate(self.path_len);
        if !merged.is_empty() {
            self.path_and_query.push('?');
            self.path_and_query.push_str(&merged);
        }
        if self.path_and_query.len() > MAX_URL {
            return Err(UrlError::TooLong);
        }
        Ok(())
    }

    #[must_use]
    pub fn is_https(&self) -> bool {
        self.origin.https
    }

    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.origin.scheme()
    }

    /// The name or address, without an IPv6 address's brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.origin.host
    }

    /// The host, if it is an address.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.origin.ip
    }

    /// The effective port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.origin.port
    }

    /// As in a `Host` header: `host` or `host:port` if the port is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.origin.authority
    }

    /// `scheme://authority`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }

    #[must_use]
    pub fn path(&self) -> &str {
        &self.path_and_query[..self.path_len]
    }

    /// Without the `?`; `None` if there is none.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.path_and_query.get(self.path_len + 1..)
    }

    /// What follows the authority, as it goes into the request line.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// Names and values, decoded (`+` reads as a space), in order.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        query::pairs(self.query().unwrap_or_default())
    }

    #[must_use]
    pub fn same_origin(&self, other: &Self) -> bool {
        let (ours, theirs) = (&*self.origin, &*other.origin);
        ours.https == theirs.https && ours.port == theirs.port && ours.host == theirs.host
    }

    /// Whether `self` is `base` or lies below it: same origin, path continued by whole segments.
    #[must_use]
    pub fn is_below(&self, base: &Self) -> bool {
        self.same_origin(base) && path::is_below(self.path(), base.path())
    }
}

impl fmt::Display for CanonicalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = &self.origin;
        write!(f, "{}://{}", origin.scheme(), origin.authority)?;
        f.write_str(&self.path_and_query)
    }
}

/// What may stand nowhere in a URL.
fn check_text(text: &str) -> Result<(), UrlError> {
    if text.len() > MAX_URL {
        return Err(UrlError::TooLong);
    }
    for byte in text.bytes() {
        match byte {
            b'\\' => return Err(UrlError::Backslash),
            b'#' => return Err(UrlError::Fragment),
            0..=0x1f | 0x7f => return Err(UrlError::Control),
            _ => {}
        }
    }
    Ok(())
}

/// Longest URL, and longest path with query, in bytes.
pub const MAX_URL: usize = 8192;
