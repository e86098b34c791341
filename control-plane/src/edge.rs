//! What every answer gets, and what happens before any route is looked at.

use std::any::Any;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use ah5_edge::{Origin, cookie};

use crate::app::App;
use crate::error::AppError;

pub mod request_id;

/// From the request's head to the answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A trailing slash means nothing.
pub fn drop_trailing_slash(mut request: Request) -> Request {
    let path = request.uri().path();
    let trimmed = path.trim_end_matches('/');
    if trimmed.len() < path.len() && !trimmed.is_empty() {
        let query = request
            .uri()
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        if let Ok(uri) = format!("{trimmed}{query}").parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// CORS for our own origin, security headers, the balancer's cookie.
pub async fn dress(State(app): State<App>, request: Request, next: Next) -> Response {
    let preflight = request.method() == Method::OPTIONS;
    let health = matches!(request.uri().path(), "/health" | "/v1/health");
    let sticky =
        !preflight && !health && cookie::value(request.headers(), cookie::STICKY).is_none();
    let mut response = if preflight {
        answer_preflight(&request)
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    put_headers(headers, &app.config.origin);
    if sticky {
        headers.append(header::SET_COOKIE, cookie::sticky(app.config.origin.https));
    }
    response
}

/// An answer in time, or 408.
pub async fn limit_time(request: Request, next: Next) -> Response {
    let late = || AppError::new(StatusCode::REQUEST_TIMEOUT, "The request took too long");
    tokio::time::timeout(ANSWER_WITHIN, next.run(request))
        .await
        .unwrap_or_else(|_| late().into_response())
}

/// Counts and times answers by route, never by the path that was asked for.
pub async fn measure(request: Request, next: Next) -> Response {
    let (method, start) = (method_name(request.method()), Instant::now());
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "unknown".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    let labels = [
        ("method", method.to_owned()),
        ("route", route),
        ("status", status),
    ];
    metrics::counter!("ah5_http_requests_total", &labels).increment(1);
    metrics::histogram!("ah5_http_request_seconds", &labels[..2]).record(start.elapsed());
    response
}

/// A panic is ours to mend and the client's to know nothing about.
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let why = text.unwrap_or_else(|| "a panic without a text".to_owned());
    AppError::internal(format_args!("panicked: {why}")).into_response()
}

fn put_headers(headers: &mut HeaderMap, ours: &Origin) {
    if let Ok(origin) = HeaderValue::from_str(&ours.text) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    for (name, value) in SECURITY {
        let name = HeaderName::from_static(name);
        // A page of ours says itself what it loads.
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if ours.https {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

// Anybody can invent a method; a label must not grow with them.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::DELETE => "DELETE",
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::POST => "POST",
        Method::PUT => "PUT",
        _ => "other",
    }
}

fn answer_preflight(request: &Request) -> Response {
    let headers = request.headers();
    if !headers.contains_key(header::ORIGIN)
        || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return (StatusCode::BAD_REQUEST, "Invalid Preflight Request").into_response();
    }
    let allowed = [
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, PUT, DELETE, PATCH",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, X-API-Key",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "3600"),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

const SECURITY: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'",
    ),
];

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_trailing_slash_means_nothing() {
        for (given, kept) in [
            ("/v1/agents/", "/v1/agents"),
            ("/v1/agents//", "/v1/agents"),
            ("/v1/audit/?limit=5/", "/v1/audit?limit=5/"),
            ("/v1/agents", "/v1/agents"),
            ("/", "/"),
        ] {
            let request = Request::builder().uri(given).body(Body::empty()).unwrap();
            assert_eq!(drop_trailing_slash(request).uri().to_string(), kept);
        }
    }
}
