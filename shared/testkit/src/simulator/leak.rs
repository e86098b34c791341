//! A provider that gives away the credential it was sent, in one of many spellings: what the
//! product must catch.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};

use super::body::Body;
use super::connection::Received;
use super::query::Query;
use super::routes::{json_answer, text_answer};
use super::stream;

/// `/leak/SPELLING`. The credential is the header of name `?header=`, the query parameter of name
/// `?param=`, or else what `Authorization` carries.
pub(super) fn leak(received: &Received, spelling: &str, query: &Query) -> Response<Body> {
    let Some(secret) = credential(&received.headers, query) else {
        return text_answer(400, "no credential was sent");
    };
    let body = |text: String| text_answer(200, &format!("<{text}>"));
    match spelling {
        "base64" => body(STANDARD.encode(format!("user:{secret}"))),
        "base64url" => body(URL_SAFE_NO_PAD.encode(&secret)),
        "body" => body(secret),
        "cookie" => header(header::SET_COOKIE, &format!("session={secret}; Path=/")),
        "header" => header(header::HeaderName::from_static("x-echo"), &secret),
        "hex" => body(each(&secret, |byte| format!("{byte:02x}"))),
        "hex-upper" => body(each(&secret, |byte| format!("{byte:02X}"))),
        "json" => body(format!(
            "\"{}\"",
            each(&secret, |byte| format!("\\u{byte:04x}"))
        )),
        "location" => redirect(&secret),
        "percent" => body(each(&secret, |byte| format!("%{byte:02X}"))),
        "split" => split(&secret, query),
        _ => text_answer(404, "no such spelling"),
    }
}

fn credential(headers: &HeaderMap, query: &Query) -> Option<String> {
    if let Some(name) = query.text("param") {
        return query.text(name).map(str::to_owned);
    }
    let name = query.text("header").unwrap_or("authorization");
    let value = headers.get(name)?.to_str().ok()?;
    let value = value.strip_prefix("Bearer ").unwrap_or(value);
    let Some(basic) = value.strip_prefix("Basic ") else {
        return Some(value.to_owned());
    };
    let pair = String::from_utf8(STANDARD.decode(basic).ok()?).ok()?;
    pair.split_once(':').map(|(_, secret)| secret.to_owned())
}

fn each(text: &str, spell: impl Fn(u8) -> String) -> String {
    text.bytes().map(spell).collect()
}

fn header(name: header::HeaderName, value: &str) -> Response<Body> {
    let mut answer = json_answer(200, &serde_json::json!({"ok": true}));
    // It came in a header or a query: not each of these is legal in a header.
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
    answer
}

fn redirect(secret: &str) -> Response<Body> {
    let mut answer = header(
        header::LOCATION,
        &format!("https://example.test/?token={secret}"),
    );
    *answer.status_mut() = http::StatusCode::FOUND;
    answer
}

// In the middle of the secret the stream rests, so that no reader gets both halves at once.
fn split(secret: &str, query: &Query) -> Response<Body> {
    let at = secret.len() / 2;
    let at = (at..).find(|at| secret.is_char_boundary(*at)).unwrap_or(0);
    let (head, tail) = secret.split_at(at);
    let parts = [format!("<{head}"), format!("{tail}>")].map(Bytes::from);
    let pause = query.pause("interval", 30);
    let mut answer = Response::new(stream::paced(parts.into_iter(), pause));
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    answer
}
