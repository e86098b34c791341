//! Cookies: the session's and the balancer's.

use axum::http::{HeaderMap, HeaderValue, header};

use ah5_security::secret::SecretText;

const SESSION: &str = "better-auth.session_token";
const FORGETFUL: &str = "better-auth.dont_remember";
/// Days a session lives, counted anew at most once a day.
pub const SESSION_DAYS: i32 = 30;
pub const STICKY: &str = "ah5sid";

/// The value of the cookie of this name. A name that occurs twice is refused: one of the two was
/// planted, and nothing tells which.
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

pub fn session_token(headers: &HeaderMap, https: bool) -> Option<SecretText> {
    value(headers, &session_name(https)).map(|value| SecretText::new(value.to_owned()))
}

/// The session's cookie first. One that ends with the browser has a companion that says so.
pub fn set_session(token: &SecretText, https: bool, remember: bool) -> Vec<HeaderValue> {
    let (name, end) = (session_name(https), attributes(https));
    let age = if remember {
        format!("; Max-Age={}", SESSION_DAYS * 86_400)
    } else {
        String::new()
    };
    let session = format!("{name}={}{age}{end}", token.expose());
    let mut cookies = vec![header_value(&session, true)];
    if !remember {
        let forgetful = format!("{}=true{end}", prefixed(FORGETFUL, https));
        cookies.push(header_value(&forgetful, false));
    }
    cookies
}

/// Whether the session is to end with the browser.
pub fn is_forgetful(headers: &HeaderMap, https: bool) -> bool {
    value(headers, &prefixed(FORGETFUL, https)).is_some()
}

pub fn clear_session(https: bool) -> HeaderValue {
    header_value(
        &format!("{}=; Max-Age=0{}", session_name(https), attributes(https)),
        false,
    )
}

/// A fresh balancer cookie: 16 random bytes. It carries no authority.
pub fn sticky(https: bool) -> HeaderValue {
    use base64::Engine as _;
    let id = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .encode(ah5_security::random::bytes::<16>());
    header_value(
        &format!("{STICKY}={id}; Max-Age=2592000{}", attributes(https)),
        false,
    )
}

fn session_name(https: bool) -> String {
    prefixed(SESSION, https)
}

// Browsers take a name with this prefix from a TLS origin only.
fn prefixed(name: &str, https: bool) -> String {
    if https {
        format!("__Secure-{name}")
    } else {
        name.to_owned()
    }
}

const fn attributes(https: bool) -> &'static str {
    if https {
        "; Path=/; HttpOnly; SameSite=Lax; Secure"
    } else {
        "; Path=/; HttpOnly; SameSite=Lax"
    }
}

fn header_value(text: &str, sensitive: bool) -> HeaderValue {
    // Names, base64url and attributes: always legal field content.
    let mut value = HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(sensitive);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(text))])
    }

    #[test]
    fn a_cookie_given_twice_is_none() {
        assert_eq!(value(&cookies("a=1; b=2"), "b"), Some("2"));
        assert_eq!(value(&cookies("a=1; b=2; a=3"), "a"), None);
        assert_eq!(value(&cookies("xa=1"), "a"), None);
    }

    #[test]
    fn a_session_travels_under_the_name_that_fits_the_scheme() {
        let token = SecretText::new("t".into());
        let plain = set_session(&token, false, true);
        let shown: Vec<_> = plain.iter().map(|c| c.to_str().unwrap()).collect();
        assert_eq!(
            shown,
            ["better-auth.session_token=t; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax"]
        );
        assert!(plain[0].is_sensitive());
        let secure = set_session(&token, true, false);
        let shown: Vec<_> = secure.iter().map(|c| c.to_str().unwrap()).collect();
        assert_eq!(
            shown,
            [
                "__Secure-better-auth.session_token=t; Path=/; HttpOnly; SameSite=Lax; Secure",
                "__Secure-better-auth.dont_remember=true; Path=/; HttpOnly; SameSite=Lax; Secure",
            ]
        );
        let sent = cookies("better-auth.session_token=t");
        assert!(session_token(&sent, false).is_some() && session_token(&sent, true).is_none());
    }
}
