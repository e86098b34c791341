//! Cookies: the session's and the balancer's.

use axum::http::{HeaderMap, HeaderValue, header};

use ah5_security::secret::SecretText;

const SESSION: &str = "better-auth.session_token";
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

pub fn set_session(token: &SecretText, https: bool, remember: bool) -> HeaderValue {
    let age = if remember {
        format!("; Max-Age={}", SESSION_DAYS * 86_400)
    } else {
        String::new()
    };
    header_value(
        &format!(
            "{}={}{age}{}",
            session_name(https),
            token.expose(),
            attributes(https)
        ),
        true,
    )
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
    if https {
        format!("__Secure-{SESSION}")
    } else {
        SESSION.to_owned()
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
