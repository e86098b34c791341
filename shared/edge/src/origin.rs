//! The installation's one public origin: `PUBLIC_ORIGIN`.

use ah5_settings::Settings;
use url::Url;

/// The one public origin of the installation.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Without a trailing slash, as browsers send it.
    pub text: String,
    pub https: bool,
    /// On a loopback origin both spellings of the host are ours.
    pub twin: Option<String>,
}

// === impl Origin ===

impl Origin {
    /// `PUBLIC_ORIGIN`, or `WEB_URL`, or `http://localhost:$PORT`. `None` exactly when a fault was
    /// noted.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let port: u16 = settings.parsed_or("PORT", 8080);
        let given = settings
            .optional("PUBLIC_ORIGIN")
            .or_else(|| settings.optional("WEB_URL"));
        let text = given.unwrap_or_else(|| format!("http://localhost:{port}"));
        let parsed = Self::parse(&text);
        if parsed.is_none() {
            settings.fault(
                "PUBLIC_ORIGIN",
                "must be scheme, host and maybe port: https://ah5.example.com",
            );
        }
        parsed
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let origin = url.origin().ascii_serialization();
        if !matches!(url.scheme(), "http" | "https") || origin != text.trim_end_matches('/') {
            return None;
        }
        let other = match url.host_str()? {
            "localhost" => Some("127.0.0.1"),
            "127.0.0.1" => Some("localhost"),
            _ => None,
        };
        let port = url
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        let twin = other.map(|host| format!("{}://{host}{port}", url.scheme()));
        Some(Self {
            https: url.scheme() == "https",
            text: origin,
            twin,
        })
    }

    #[must_use]
    pub fn is_ours(&self, origin: &str) -> bool {
        origin == self.text || self.twin.as_deref() == Some(origin)
    }

    /// Every spelling of the origin.
    #[must_use]
    pub fn spellings(&self) -> Vec<String> {
        std::iter::once(self.text.clone())
            .chain(self.twin.clone())
            .collect()
    }

    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.twin.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_scheme_host_and_port_only() {
        for bad in [
            "localhost",
            "ftp://a",
            "https://a/b",
            "https://u@a",
            "https://a?b",
            "",
        ] {
            assert!(Origin::parse(bad).is_none(), "{bad}");
        }
        let origin = Origin::parse("https://ah5.example.com/").unwrap();
        assert_eq!(origin.text, "https://ah5.example.com");
        assert!(origin.https && !origin.is_loopback());
        assert_eq!(origin.spellings().len(), 1);
    }

    #[test]
    fn a_loopback_origin_has_two_spellings() {
        let origin = Origin::parse("http://127.0.0.1:8080").unwrap();
        assert_eq!(
            origin.spellings(),
            ["http://127.0.0.1:8080", "http://localhost:8080"]
        );
        assert!(origin.is_ours("http://localhost:8080"));
        assert!(!origin.is_ours("http://localhost:8081"));
        assert!(!origin.is_ours("https://localhost:8080"));
    }
}
