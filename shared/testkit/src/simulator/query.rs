//! The query by which a request says how it wants to be answered.

use std::str::FromStr;
use std::time::Duration;

pub(super) struct Query(Vec<(String, String)>);

// === impl Query ===

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let pairs = url::form_urlencoded::parse(text.as_bytes());
        Self(pairs.into_owned().collect())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn number<T: FromStr>(&self, name: &str, default: T) -> T {
        let given = self.text(name).and_then(|text| text.parse().ok());
        given.unwrap_or(default)
    }

    /// A pause in milliseconds, never longer than ten minutes.
    pub(super) fn pause(&self, name: &str, default: u64) -> Duration {
        Duration::from_millis(self.number(name, default).min(MAX_PAUSE_MS))
    }

    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

const MAX_PAUSE_MS: u64 = 600_000;
