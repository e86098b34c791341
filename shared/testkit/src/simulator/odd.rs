//! Answers that break off, or that only a strange server gives.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderValue, Response, header};
use serde_json::json;

use super::body::Body;
use super::connection::Received;
use super::query::Query;
use super::routes::json_answer;
use super::wire::{Script, Then};

/// `/reset?after=N`: a head that promises more, N bytes of body, then a reset.
pub(super) fn reset(query: &Query) -> Response<Body> {
    let sent = query.number("after", 1000_usize).min(MAX_SENT);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
        sent + 1000
    );
    let bytes = [head.into_bytes(), vec![b'x'; sent]].concat();
    scripted(bytes, Then::Reset)
}

/// `/gzip`: JSON, compressed whatever the caller accepts; `?bytes=N` makes that many of it.
pub(super) fn gzip(query: &Query) -> Response<Body> {
    let length = query.number("bytes", 0_usize).min(MAX_INFLATED);
    let text = json!({"gzipped": true, "padding": "a".repeat(length)}).to_string();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let _ = encoder.write_all(text.as_bytes());
    let mut answer = Response::new(Body::from(encoder.finish().unwrap_or_default()));
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    answer
}

/// `/odd-headers`: cookies, hop-by-hop fields, forged marks of the product, bytes that are no text.
pub(super) fn headers() -> Response<Body> {
    let mut answer = json_answer(200, &json!({"ok": true}));
    let odd: [(&str, &[u8]); 12] = [
        ("alt-svc", b"h3=\":443\""),
        ("connection", b"x-hop"),
        ("keep-alive", b"timeout=5"),
        ("proxy-authenticate", b"Basic realm=\"x\""),
        ("server", b"simulator/1"),
        ("set-cookie", b"a=1; Path=/; HttpOnly"),
        ("set-cookie", b"b=2; Domain=localhost"),
        ("set-cookie", b"ah5sid=planted; Path=/"),
        ("x-ah5-audit-id", b"00000000-0000-0000-0000-000000000000"),
        ("x-ah5-source", b"gateway"),
        ("x-hop", b"1"),
        ("x-latin", b"caf\xe9"),
    ];
    for (name, value) in odd {
        // Legal by RFC 9110 §5.5: visible characters and what is above ASCII.
        if let Ok(value) = HeaderValue::from_bytes(value) {
            answer.headers_mut().append(name, value);
        }
    }
    answer
}

/// `/trailers`: sent whether or not the caller takes any.
pub(super) fn trailers() -> Response<Body> {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\
        trailer: x-checksum\r\nconnection: close\r\n\r\n\
        5\r\nhello\r\n6\r\n world\r\n0\r\nx-checksum: 11\r\nset-cookie: late=1\r\n\r\n";
    scripted(answer, Then::Close)
}

/// `/informational?status=N&count=N`: so many interim answers before the real one.
pub(super) fn informational(query: &Query) -> Response<Body> {
    let status = query.number("status", 103_u16).clamp(100, 199);
    let one = format!("HTTP/1.1 {status} Interim\r\nlink: </style.css>; rel=preload\r\n\r\n");
    let bytes = one.repeat(query.number("count", 1_usize).min(1000));
    let mut answer = json_answer(200, &json!({"ok": true}));
    answer.extensions_mut().insert(Script {
        bytes: bytes.into(),
        then: Then::Answer,
    });
    answer
}

/// `/raw`: the request's body is the answer, byte for byte; `?reset=1` resets after it.
pub(super) fn raw(received: &Received, query: &Query) -> Response<Body> {
    let then = match query.text("reset") {
        Some(_) => Then::Reset,
        None => Then::Close,
    };
    scripted(received.body.clone(), then)
}

fn scripted(bytes: impl Into<Bytes>, then: Then) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    let bytes = bytes.into();
    answer.extensions_mut().insert(Script { bytes, then });
    // Not sent: it only tells the library that nothing may follow.
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(header::CONNECTION, close);
    answer
}

const MAX_INFLATED: usize = 256 << 20;
const MAX_SENT: usize = 16 << 20;
