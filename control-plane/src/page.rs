//! The few pages that people see here: a heading, a text, at most a form. No script, and nothing from
//! anywhere else.

use std::sync::LazyLock;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use ah5_security::hash::sha256;

pub use crate::openapi::page::escaped;

/// `body` is HTML: whatever came from elsewhere in it must be [`escaped`].
pub fn page(status: StatusCode, title: &str, body: &str) -> Response {
    dressed(status, title, "", body)
}

/// One that leads on by itself.
pub fn leading_to(url: &str, title: &str) -> Response {
    let url = escaped(url);
    let head = format!("<meta http-equiv=\"refresh\" content=\"0;url={url}\">");
    let body = format!("<p><a href=\"{url}\" rel=\"noreferrer\">Go on</a></p>");
    dressed(StatusCode::OK, title, &head, &body)
}

fn dressed(status: StatusCode, title: &str, head: &str, body: &str) -> Response {
    let title = escaped(title);
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>{head}\
         <style>{STYLE}</style><h1>{title}</h1>{body}"
    );
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        // A form's origin is told to ourselves, and nothing to anybody else.
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        ),
    ];
    (status, headers, Html(page)).into_response()
}

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(sha256(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;\
padding:0 1rem;color:#1c2230;background:#fff}dt{color:#5a6273}dd{margin:0 0 .75rem}\
button{font:inherit;padding:.4rem 1rem;margin-right:.5rem}";
