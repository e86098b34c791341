//! The cookies of signing in.

use axum::http::{HeaderMap, HeaderValue};

use ah5_edge::cookie::{attributes, value};
use ah5_security::secret::SecretText;

const SESSION: &str = "better-auth.session_token";
const BROWSER: &str = "better-auth.state";
const PARKED: &str = "ah5.parked_consent";
const CEREMONY: &str = "better-auth.better-auth-passkey";
const CEREMONY_SECONDS: u32 = 300;
const FORGETFUL: &str = "better-auth.dont_remember";
/// Days a session lives, counted anew at most once a day.
pub const SESSION_DAYS: i32 = 30;

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

/// What binds a sign-in elsewhere to this browser.
pub fn sign_in_browser(headers: &HeaderMap, https: bool) -> Option<SecretText> {
    value(headers, &browser_name(https)).map(|value| SecretText::new(value.to_owned()))
}

pub fn set_sign_in_browser(secret: &SecretText, https: bool, seconds: i32) -> HeaderValue {
    let (name, end) = (browser_name(https), attributes(https));
    header_value(
        &format!("{name}={}; Max-Age={seconds}{end}", secret.expose()),
        true,
    )
}

pub fn clear_sign_in_browser(https: bool) -> HeaderValue {
    let (name, end) = (browser_name(https), attributes(https));
    header_value(&format!("{name}=; Max-Age=0{end}"), false)
}

/// What a code is known by that came back to this browser too early.
pub fn parked(headers: &HeaderMap, https: bool) -> Option<SecretText> {
    value(headers, &parked_name(https)).map(|value| SecretText::new(value.to_owned()))
}

pub fn set_parked(secret: &SecretText, https: bool, seconds: i32) -> HeaderValue {
    let (name, end) = (parked_name(https), attributes(https));
    header_value(
        &format!("{name}={}; Max-Age={seconds}{end}", secret.expose()),
        true,
    )
}

pub fn clear_parked(https: bool) -> HeaderValue {
    let (name, end) = (parked_name(https), attributes(https));
    header_value(&format!("{name}=; Max-Age=0{end}"), false)
}

/// Names the passkey ceremony that this browser has begun.
pub fn set_ceremony(token: &SecretText, https: bool) -> HeaderValue {
    let (name, end) = (prefixed(CEREMONY, https), attributes(https));
    let text = format!("{name}={}; Max-Age={CEREMONY_SECONDS}{end}", token.expose());
    header_value(&text, true)
}

pub fn ceremony_token(headers: &HeaderMap, https: bool) -> Option<SecretText> {
    value(headers, &prefixed(CEREMONY, https)).map(|value| SecretText::new(value.to_owned()))
}

pub fn clear_ceremony(https: bool) -> HeaderValue {
    let (name, end) = (prefixed(CEREMONY, https), attributes(https));
    header_value(&format!("{name}=; Max-Age=0{end}"), false)
}

// No neighbour under the same domain may plant a cookie of this name.
fn browser_name(https: bool) -> String {
    if https {
        format!("__Host-{BROWSER}")
    } else {
        BROWSER.to_owned()
    }
}

fn parked_name(https: bool) -> String {
    if https {
        format!("__Host-{PARKED}")
    } else {
        PARKED.to_owned()
    }
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

fn header_value(text: &str, sensitive: bool) -> HeaderValue {
    // Names, base64url and attributes: always legal field content.
    let mut value = HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(sensitive);
    value
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    fn cookies(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(text))])
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
