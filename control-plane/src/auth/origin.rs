//! Protection of cookie-bearing requests against other sites (CSRF).

use axum::http::{HeaderMap, HeaderValue, header};

use crate::error::AppError;
use ah5_edge::Origin;

/// Token exchange: an `Origin` must be ours, and the browser must not call it cross-site.
pub fn check_exchange(headers: &HeaderMap, ours: &Origin) -> Result<(), AppError> {
    let origin = headers
        .get(header::ORIGIN)
        .map(|v| v.to_str().unwrap_or_default());
    let foreign = origin.is_some_and(|origin| !ours.is_ours(origin));
    if foreign
        || headers
            .get("sec-fetch-site")
            .is_some_and(|site| site == "cross-site")
    {
        return Err(AppError::forbidden("Forbidden"));
    }
    Ok(())
}

/// State changes under `/api/auth`: with a cookie, or from a browser, the origin must be ours.
/// Scripts that send neither cookie nor `Sec-Fetch-*` are nobody's browser.
pub fn check_auth(headers: &HeaderMap, ours: &Origin) -> Result<(), AuthOrigin> {
    let browser = headers
        .keys()
        .any(|name| name.as_str().starts_with("sec-fetch-"));
    if !headers.contains_key(header::COOKIE) && !browser {
        return Ok(());
    }
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    let referer = || {
        let url = url::Url::parse(text(header::REFERER)?).ok()?;
        Some(url.origin().ascii_serialization())
    };
    match text(header::ORIGIN).map(str::to_owned).or_else(referer) {
        None => Err(AuthOrigin("MISSING_OR_NULL_ORIGIN")),
        Some(origin) if origin == "null" => Err(AuthOrigin("MISSING_OR_NULL_ORIGIN")),
        Some(origin) if ours.is_ours(&origin) => Ok(()),
        Some(_) => Err(AuthOrigin("INVALID_ORIGIN")),
    }
}

/// What a page of ours sends as a form. Unlike JSON, a browser sends forms for any page without asking
/// us, so that nothing less than our own `Origin` will do.
pub fn check_form(headers: &HeaderMap, ours: &Origin) -> Result<(), AuthOrigin> {
    let origin = headers.get(header::ORIGIN).and_then(|it| it.to_str().ok());
    match origin {
        None | Some("null") => Err(AuthOrigin("MISSING_OR_NULL_ORIGIN")),
        Some(origin) if ours.is_ours(origin) => Ok(()),
        Some(_) => Err(AuthOrigin("INVALID_ORIGIN")),
    }
}

/// The code of a refusal under `/api/auth`.
#[derive(Debug, PartialEq, Eq)]
pub struct AuthOrigin(pub &'static str);

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap()))
            .collect()
    }

    fn ours() -> Origin {
        Origin::parse("http://localhost:8080").unwrap()
    }

    #[test]
    fn exchange_refuses_foreign_origins_and_cross_site_calls() {
        let check = |pairs: &[_]| check_exchange(&headers(pairs), &ours()).is_ok();
        assert!(check(&[]));
        assert!(check(&[
            ("origin", "http://localhost:8080"),
            ("sec-fetch-site", "same-origin")
        ]));
        assert!(check(&[("origin", "http://127.0.0.1:8080")]));
        for foreign in [
            "http://localhost:8081",
            "https://localhost:8080",
            "http://evil",
            "null",
            "",
        ] {
            assert!(!check(&[("origin", foreign)]), "{foreign}");
        }
        assert!(!check(&[("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn a_cookie_needs_an_origin_of_ours() {
        let check = |pairs: &[_]| check_auth(&headers(pairs), &ours());
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(
            check(&[("cookie", "a=b")]),
            Err(AuthOrigin("MISSING_OR_NULL_ORIGIN"))
        );
        assert_eq!(
            check(&[("sec-fetch-mode", "cors")]),
            Err(AuthOrigin("MISSING_OR_NULL_ORIGIN"))
        );
        let evil = [("cookie", "a=b"), ("origin", "http://evil")];
        assert_eq!(check(&evil), Err(AuthOrigin("INVALID_ORIGIN")));
        let good = [
            ("cookie", "a=b"),
            ("referer", "http://localhost:8080/login?x=1"),
        ];
        assert_eq!(check(&good), Ok(()));
    }
}
