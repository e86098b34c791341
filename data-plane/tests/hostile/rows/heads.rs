//! Header lines: what ends one, what may be in one, how many there may be, and those that ask for
//! another protocol.

use super::{Row, both, post};
use crate::fate::Fate::{self, Denied, Refused, Sent};

pub fn rows() -> Vec<Row> {
    [
        lines(),
        hosts(),
        credentials(),
        floods(),
        steering(),
        others(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const BAD: Fate = Refused(&[400]);
const FLOOD: Fate = Refused(&[431]);
const NONE: &str = "content-length: 0\r\n";

fn lines() -> Vec<Row> {
    let mut rows = vec![both(
        "bare line feeds",
        "x-a: 1\ncontent-length: 3\n",
        "abc<behind>",
        Sent("abc"),
    )];
    for line in [
        "x-a: 1\r\n content-length: <length>",
        "x-a: 1\r\n\tcontent-length: <length>",
        " x-a: 1",
        "content-length : <length>",
        "content-length\t: <length>",
        "x a: 1",
        "x-a: 1\rcontent-length: <length>",
        "x-a\r: 1",
        "x-a: a\0b",
        "x-\0: b",
        ": b",
    ] {
        let lines = format!("{line}\r\n{NONE}");
        rows.push(both("an odd line", &lines, "<behind>", BAD));
    }
    // nginx passes on neither of these.
    for line in ["x-\u{e9}: 1", "x-nothing", "x(a): 1"] {
        let lines = format!("{line}\r\n{NONE}");
        rows.push(post(
            "a line that is none",
            &lines,
            "<behind>",
            BAD,
            Sent(""),
        ));
    }
    rows
}

fn hosts() -> Vec<Row> {
    let mut rows = Vec::new();
    for line in ["host: evil.test", "host: h", "Host: h\r\nhOST: evil.test"] {
        let lines = format!("{line}\r\n{NONE}");
        let denied = Denied(&[400]);
        rows.push(post("several hosts", &lines, "<behind>", denied, BAD));
    }
    rows
}

fn credentials() -> Vec<Row> {
    let mut rows = Vec::new();
    for line in [
        "authorization: Bearer other",
        "x-api-key: other",
        "x-goog-api-key: other",
        "authorization: DPoP other",
    ] {
        let lines = format!("{line}\r\n{NONE}");
        let denied = Denied(&[400, 401]);
        rows.push(both("several credentials", &lines, "<behind>", denied));
    }
    rows
}

fn floods() -> Vec<Row> {
    let one = format!("x-long: {}\r\n", "x".repeat(100_000));
    let some = format!("x-long: {}\r\n", "x".repeat(30_000)).repeat(6);
    vec![
        post(
            "many lines",
            &"x-flood: 1\r\n".repeat(200),
            "<behind>",
            FLOOD,
            Denied(&[431]),
        ),
        both("a long line", &one, "<behind>", FLOOD),
        both("long lines", &some, "<behind>", FLOOD),
    ]
}

/// Of another request than the one that is judged.
fn steering() -> Vec<Row> {
    let mut rows = Vec::new();
    for line in [
        "x-original-url: /v1/credentials/resolve",
        "x-rewrite-url: /v1/credentials/resolve",
        "x-http-method-override: DELETE",
    ] {
        let lines = format!("{line}\r\ncontent-length: 3\r\n");
        rows.push(both(
            "a word on another request",
            &lines,
            "abc<behind>",
            Denied(&[403]),
        ));
    }
    rows
}

/// Nobody changes over, and no word of it reaches the provider.
fn others() -> Vec<Row> {
    let mut rows = Vec::new();
    for lines in [
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__",
        "upgrade: h2c",
        "upgrade: TLS/1.0",
        "connection: close, content-length, host",
        "expect: 100-continue",
        "expect: 100-continue, other",
        "expect: 200-ok",
        "te: trailers, deflate",
        "proxy-connection: keep-alive",
        "keep-alive: timeout=9999",
        "forwarded: for=127.0.0.1;host=evil.test",
        "x-forwarded-host: evil.test",
        "x-ah5-method: DELETE",
    ] {
        let lines = format!("{lines}\r\ncontent-length: 3\r\n");
        rows.push(both(
            "a word to the next hop",
            &lines,
            "abc<behind>",
            Sent("abc"),
        ));
    }
    rows
}
