//! Origins whose host may hold `*`: the bases of allowlist entries, and of services whose accounts
//! have a host each.

use crate::url::{CanonicalUrl, UrlError};

/// A base URL. In its host `*` stands for one character or more of one label, at most once a label
/// and never in the last two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    base: CanonicalUrl,
}

// === impl OriginPattern ===

impl OriginPattern {
    /// # Errors
    /// What is no URL, has a query, or covers hosts of strangers.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let base = CanonicalUrl::parse_pattern(text)?;
        let labels: Vec<&str> = base.host().split('.').collect();
        let wide = labels.iter().rev().take(2).any(|label| label.contains('*'));
        let many = labels.iter().any(|label| label.matches('*').count() > 1);
        if base.query().is_some() || wide || many {
            return Err(UrlError::Host);
        }
        Ok(Self { base })
    }

    /// Its URL; the host may hold stars.
    #[must_use]
    pub fn base(&self) -> &CanonicalUrl {
        &self.base
    }

    /// Whether scheme, host and port are covered.
    #[must_use]
    pub fn covers_origin(&self, url: &CanonicalUrl) -> bool {
        if self.base.is_https() != url.is_https() || self.base.port() != url.port() {
            return false;
        }
        let pattern = self.base.host();
        if !pattern.contains('*') {
            return pattern == url.host();
        }
        let (mut ours, mut theirs) = (pattern.split('.'), url.host().split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return url.ip().is_none(),
                (Some(pattern), Some(label)) if label_matches(pattern, label) => {}
                _ => return false,
            }
        }
    }

    /// Whether the path is the base's or continues it by whole segments.
    #[must_use]
    pub fn covers_path(&self, url: &CanonicalUrl) -> bool {
        let base = self.base.path();
        let base = base.strip_suffix('/').unwrap_or(base);
        let rest = url.path().strip_prefix(base);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether the URL is below it.
    #[must_use]
    pub fn covers(&self, url: &CanonicalUrl) -> bool {
        self.covers_origin(url) && self.covers_path(url)
    }
}

/// At most one `*` a label, for one character or more.
fn label_matches(pattern: &str, label: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == label,
        Some((before, after)) => {
            label.len() > before.len() + after.len()
                && label.starts_with(before)
                && label.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_covers_one_label_of_a_known_domain() {
        let covers = |pattern: &str, url: &str| {
            let url = CanonicalUrl::parse(url).unwrap();
            OriginPattern::parse(pattern).unwrap().covers(&url)
        };
        let jira = "https://*.atlassian.net";
        assert!(covers(jira, "https://acme.atlassian.net/rest/api/3/myself"));
        for stranger in [
            "https://atlassian.net/",
            "https://a.b.atlassian.net/",
            "https://evil.example/.atlassian.net",
            "http://acme.atlassian.net/",
            "https://acme.atlassian.net:8443/",
            "https://acmeatlassian.net/",
        ] {
            assert!(!covers(jira, stranger), "{stranger}");
        }
        assert!(!covers("https://h.example/v1", "https://h.example/v10"));
        for wide in [
            "https://*.net",
            "https://*",
            "https://**.a.example",
            "https://h.example/?a=b",
        ] {
            assert!(OriginPattern::parse(wide).is_err(), "{wide}");
        }
    }
}
