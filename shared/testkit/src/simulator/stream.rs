//! Answers that take their time, and long ones.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, header};
use serde_json::json;

use super::body::Body;
use super::query::Query;
use super::routes::json_answer;

/// `/sse?events=N&interval=MS`: the first event at once, the next each interval.
pub(super) fn sse(query: &Query) -> Response<Body> {
    let events = query.number("events", 3_u64).min(MAX_EVENTS);
    let spell = |n| format!("id: {n}\nevent: tick\ndata: {}\n\n", json!({"n": n}));
    let events = (1..=events).map(move |n| Bytes::from(spell(n)));
    paced_answer("text/event-stream", events, query)
}

/// `/ndjson?lines=N&interval=MS`.
pub(super) fn ndjson(query: &Query) -> Response<Body> {
    let lines = query.number("lines", 3_u64).min(MAX_EVENTS);
    let lines = (1..=lines).map(|n| Bytes::from(format!("{}\n", json!({"n": n}))));
    paced_answer("application/x-ndjson", lines, query)
}

/// `/slow?head=MS&body=MS`: waits before the head, and again between head and body.
pub(super) async fn slow(query: &Query) -> Response<Body> {
    tokio::time::sleep(query.pause("head", 0)).await;
    let pause = query.pause("body", 0);
    if pause.is_zero() {
        return json_answer(200, &json!({"ok": true}));
    }
    let parts = [
        Bytes::from_static(b"{\"ok\":"),
        Bytes::from_static(b"true}"),
    ];
    let mut answer = Response::new(paced(parts.into_iter(), pause));
    set_type(&mut answer, "application/json");
    answer
}

/// `/bytes/N`: so many bytes, of a length told in advance; with `?chunked=1`, of one that is not.
pub(super) fn bytes(length: &str, query: &Query) -> Response<Body> {
    let length = length.parse().unwrap_or(0_u64).min(MAX_BYTES);
    let block = Bytes::from(PATTERN.repeat(BLOCK / PATTERN.len()));
    let blocks = stream::unfold(length, move |left| {
        let next = block.slice(..usize::try_from(left).unwrap_or(BLOCK).min(BLOCK));
        let sent = next.len() as u64;
        async move { (left > 0).then_some((Ok(next), left - sent)) }
    });
    let mut answer = Response::new(Body::stream(blocks));
    set_type(&mut answer, "application/octet-stream");
    if query.text("chunked").is_none() {
        let length = HeaderValue::from(length);
        answer.headers_mut().insert(header::CONTENT_LENGTH, length);
    }
    answer
}

/// The first part at once, each other after a pause.
pub(super) fn paced(parts: impl Iterator<Item = Bytes> + Send + 'static, pause: Duration) -> Body {
    Body::stream(stream::unfold(
        (parts, true),
        move |(mut parts, first)| async move {
            let part = parts.next()?;
            if !first {
                tokio::time::sleep(pause).await;
            }
            Some((Ok(part), (parts, false)))
        },
    ))
}

fn paced_answer(
    kind: &'static str,
    parts: impl Iterator<Item = Bytes> + Send + 'static,
    query: &Query,
) -> Response<Body> {
    let mut answer = Response::new(paced(parts, query.pause("interval", 100)));
    set_type(&mut answer, kind);
    answer
}

fn set_type(answer: &mut Response<Body>, kind: &'static str) {
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
}

const BLOCK: usize = 64 << 10;
const MAX_BYTES: u64 = 4 << 30;
const MAX_EVENTS: u64 = 1_000_000;
const PATTERN: &[u8] = b"0123456789abcdef";
