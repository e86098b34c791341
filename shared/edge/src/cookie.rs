//! Cookies: reading one, and the balancer's own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};

/// The balancer's cookie. It carries no authority; only speed depends on it.
pub const STICKY: &str = "ah5sid";

/// The value of the cookie of this name. A name that occurs twice is refused: one of the two was
/// planted, and nothing tells which.
#[must_use]
pub fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// A fresh balancer cookie: 16 random bytes, 30 days.
#[must_use]
pub fn sticky(https: bool) -> HeaderValue {
    let id = URL_SAFE_NO_PAD.encode(ah5_security::random::bytes::<16>());
    let text = format!("{STICKY}={id}; Max-Age=2592000{}", attributes(https));
    // Base64url and attributes: always legal field content.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// What every cookie of ours ends with.
#[must_use]
pub const fn attributes(https: bool) -> &'static str {
    if https {
        "; Path=/; HttpOnly; SameSite=Lax; Secure"
    } else {
        "; Path=/; HttpOnly; SameSite=Lax"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_given_twice_is_none() {
        let cookies =
            |text| HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(text))]);
        assert_eq!(value(&cookies("a=1; b=2"), "b"), Some("2"));
        assert_eq!(value(&cookies("a=1; b=2; a=3"), "a"), None);
        assert_eq!(value(&cookies("xa=1"), "a"), None);
    }

    #[test]
    fn each_balancer_cookie_is_another() {
        let (one, two) = (sticky(false), sticky(true));
        assert_ne!(one.as_bytes()[..29], two.as_bytes()[..29]);
        assert!(two.to_str().unwrap().ends_with("; Secure"));
    }
}
