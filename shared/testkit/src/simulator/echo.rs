//! Answers with what was received, and with less of it where the caller may not see it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use serde_json::{Value, json};

use super::body::Body;
use super::connection::Received;
use super::query::Query;
use super::routes::json_answer;

/// `?omit=NAME,…` leaves out headers and query parameters of these names: `authorization` unless
/// told otherwise, and `?omit=` leaves out nothing.
pub(super) fn echo(received: &Received, query: &Query) -> Response<Body> {
    let omitted = query.text("omit").unwrap_or("authorization");
    let omitted: Vec<&str> = omitted.split(',').map(str::trim).collect();
    let shown = |name: &str| !omitted.iter().any(|omit| omit.eq_ignore_ascii_case(name));
    let headers = received.headers.iter();
    let headers = headers.filter(|(name, _)| shown(name.as_str()));
    let headers: Vec<Value> = headers
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let pairs = query.pairs().iter().filter(|(name, _)| shown(name));
    let mut answer = json!({
        "method": received.method.as_str(),
        "path": received.path(),
        "query": pairs.map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
        "headers": headers,
        "bodyLength": received.body.len(),
    });
    match std::str::from_utf8(&received.body) {
        Ok(text) => answer["body"] = text.into(),
        Err(_) => answer["bodyBase64"] = STANDARD.encode(&received.body).into(),
    }
    json_answer(200, &answer)
}
