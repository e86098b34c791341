//! Every behaviour, by path. A leading `/v2` is ignored, so that a base URL with a path can reach
//! them too.

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};

use super::body::{Body, Cut};
use super::connection::Received;
use super::query::Query;
use super::{Shared, echo, leak, llm, odd, stream};

/// `GET` reads the journal (`?after=SEQ`: only what came later), `DELETE` clears it. Neither is
/// written down.
pub(super) const JOURNAL: &str = "/__simulator/journal";

/// # Errors
/// The connection is closed without an answer: that is what was asked for.
pub(super) async fn answer(shared: &Shared, received: &Received) -> Result<Response<Body>, Cut> {
    if let Some(answer) = llm::answer(received) {
        return Ok(answer);
    }
    let query = Query::parse(received.query());
    let path = received.path().trim_start_matches('/');
    let path = path.strip_prefix("v2/").unwrap_or(path);
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    Ok(match first {
        "bytes" => stream::bytes(rest, &query),
        "close" => return Err(Cut),
        "count" => json_answer(200, &json!({"name": rest, "count": shared.count(rest)})),
        "echo" => echo::echo(received, &query),
        "gzip" => odd::gzip(&query),
        "informational" => odd::informational(&query),
        "leak" => leak::leak(received, rest, &query),
        "ndjson" => stream::ndjson(&query),
        "odd-headers" => odd::headers(),
        "raw" => odd::raw(received, &query),
        "redirect" => redirect(&query),
        "reset" => odd::reset(&query),
        "slow" => stream::slow(&query).await,
        "sse" => stream::sse(&query),
        "status" => status(rest),
        "trailers" => odd::trailers(),
        _ => json_answer(200, &json!({"ok": true, "path": received.path()})),
    })
}

pub(super) fn journal(shared: &Shared, method: &Method, query: Option<&str>) -> Response<Body> {
    match *method {
        Method::DELETE => {
            shared.journal.clear();
            json_answer(200, &json!({"cleared": true}))
        }
        Method::GET => {
            let after = Query::parse(query.unwrap_or_default()).number("after", 0);
            let requests = shared.journal.entries(after);
            let (last, forgotten) = (shared.journal.last(), shared.journal.forgotten());
            let body = json!({"requests": requests, "last": last, "forgotten": forgotten});
            json_answer(200, &body)
        }
        _ => text_answer(405, "GET or DELETE"),
    }
}

pub(super) fn json_answer(status: u16, body: &Value) -> Response<Body> {
    typed(status, "application/json", body.to_string())
}

pub(super) fn text_answer(status: u16, text: &str) -> Response<Body> {
    typed(status, "text/plain; charset=utf-8", text.to_owned())
}

fn typed(status: u16, kind: &'static str, body: String) -> Response<Body> {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// `/status/CODE`, of final answers.
fn status(code: &str) -> Response<Body> {
    match code.parse() {
        Ok(code @ (204 | 304)) => json_answer(code, &Value::Null).map(|_| Body::empty()),
        Ok(code @ 200..=999) => json_answer(code, &json!({"status": code})),
        _ => text_answer(400, "a status is a number from 200"),
    }
}

/// `/redirect?to=URL&status=CODE`.
fn redirect(query: &Query) -> Response<Body> {
    let to = query.text("to").unwrap_or("/");
    let Ok(to) = HeaderValue::from_str(to) else {
        return text_answer(400, "to is no legal header");
    };
    let mut answer = json_answer(query.number("status", 302), &json!({"moved": true}));
    answer.headers_mut().insert(header::LOCATION, to);
    answer
}
