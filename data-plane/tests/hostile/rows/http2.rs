//! The same for HTTP/2: what makes the frames out of a good request's fields, and what becomes of them.

use crate::fate::Fate::{self, Broken, Refused, Sent};
use crate::frames::{CONTINUATION, END_HEADERS, END_STREAM, Fields, Frames, HEADERS, number};

pub struct Row {
    pub what: &'static str,
    pub fate: Fate,
    pub frames: Box<dyn Fn(Fields) -> Frames>,
}

pub fn rows() -> Vec<Row> {
    [
        names(),
        steering(),
        pseudo(),
        hosts(),
        lengths(),
        endings(),
        floods(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const NO: Fate = Refused(&[]);

fn row(what: &'static str, fate: Fate, frames: impl Fn(Fields) -> Frames + 'static) -> Row {
    Row {
        what,
        fate,
        frames: Box::new(frames),
    }
}

/// A whole request with one more field.
fn with(what: &'static str, fate: Fate, name: &'static str, value: &'static str) -> Row {
    row(what, fate, move |good| {
        Frames::request(&good.with(name, value), "abc")
    })
}

fn names() -> Vec<Row> {
    let mut rows = vec![with("one more field", Sent("abc"), "x-a", "b")];
    for value in ["a\r\nx-b: c", "a\nb", "a\rb", "a\0b", "a\u{1}b", "a\u{7f}b"] {
        rows.push(with("an odd value", NO, "x-a", value));
    }
    for name in [
        "x\r\nb",
        "x\nb",
        "x\rb",
        "x\0b",
        "x b",
        "x:b",
        "",
        " x",
        "x\u{e9}",
        "x\u{7f}",
        "(x)",
        "X-A",
        "Content-Length",
        "transfer-Encoding",
    ] {
        rows.push(with("an odd name", NO, name, "b"));
    }
    rows
}

/// RFC 9113 §8.2.2: they belong to connections of HTTP/1.
fn steering() -> Vec<Row> {
    let mut rows = vec![with("te of trailers", Sent("abc"), "te", "trailers")];
    for (name, value) in [
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "trailers, deflate"),
    ] {
        rows.push(with("a field of connections", NO, name, value));
    }
    rows
}

fn pseudo() -> Vec<Row> {
    let mut rows = vec![
        with("a path behind the others", NO, ":path", "/v1/health"),
        with("one that there is not", NO, ":other", "x"),
        with("an answer's", NO, ":status", "200"),
        row("a path twice", NO, |good| {
            let path = good.value(":path").to_owned();
            Frames::request(&good.first(":path", &path), "abc")
        }),
    ];
    for name in [":path", ":method", ":scheme"] {
        rows.push(row("one too few", NO, move |good| {
            Frames::request(&good.without(name), "abc")
        }));
    }
    for (name, value) in [
        (":path", ""),
        (":path", "*"),
        (":path", "v1/health"),
        (":path", "http://evil.test/v2/echo"),
        (":path", "/v1/proxy x HTTP/1.1\r\nhost: evil.test"),
        (":path", "/a b"),
        (":method", ""),
        (
            ":method",
            "GET /v2/echo HTTP/1.1\r\nhost: evil.test\r\n\r\n",
        ),
        (":method", "CONNECT"),
        (":method", "TRACE"),
        (":scheme", "http\r\n"),
        (":authority", "h\r\nx: y"),
        (":authority", "a b"),
    ] {
        rows.push(row("an odd first line", NO, move |good| {
            Frames::request(&good.instead(name, value), "abc")
        }));
    }
    rows.push(row("another protocol", NO, |good| {
        let good = good.instead(":method", "CONNECT");
        Frames::request(&good.first(":protocol", "websocket"), "abc")
    }));
    rows
}

/// RFC 9113 §8.3.1: what names two hosts is malformed.
fn hosts() -> Vec<Row> {
    vec![
        with("the same host again", Sent("abc"), "host", "h"),
        with("another host", NO, "host", "evil.test"),
        row("two hosts", NO, |good| {
            Frames::request(&good.with("host", "h").with("host", "evil.test"), "abc")
        }),
        row("two hosts and no authority", NO, |good| {
            let good = good.without(":authority");
            Frames::request(&good.with("host", "h").with("host", "evil.test"), "abc")
        }),
        row("two authorities", NO, |good| {
            Frames::request(&good.first(":authority", "evil.test"), "abc")
        }),
        row("two credentials", NO, |good| {
            Frames::request(&good.with("authorization", "Bearer other"), "abc")
        }),
    ]
}

fn lengths() -> Vec<Row> {
    let mut rows = vec![with("its length", Sent("abc"), "content-length", "3")];
    for value in ["2", "4", "9999999"] {
        rows.push(with("another length", Broken, "content-length", value));
    }
    for value in ["+3", "-3", "3, 3", "0x3", "", "3 ", "18446744073709551616"] {
        rows.push(with(
            "a length that is no number",
            Broken,
            "content-length",
            value,
        ));
    }
    rows.push(row("two lengths", Broken, |good| {
        let good = good.with("content-length", "3");
        Frames::request(&good.with("content-length", "30"), "abc")
    }));
    rows.push(row("a length and no body", Broken, |good| {
        Frames::open().head(&good.with("content-length", "3"), true)
    }));
    rows
}

fn endings() -> Vec<Row> {
    let authority = || {
        Fields::of(&[
            ("authorization", "Bearer x"),
            ("host", "evil.test"),
            ("content-length", "30"),
        ])
    };
    vec![
        row("trailers with authority", Sent("abc"), move |good| {
            let frames = Frames::open().head(&good, false).data("abc", false);
            frames.head(&authority(), true)
        }),
        row("trailers with a path", Sent("abc"), |good| {
            let path = Fields::of(&[(":path", "/v1/health")]);
            Frames::open()
                .head(&good, false)
                .data("abc", false)
                .head(&path, true)
        }),
        row("trailers that do not end it", Broken, |good| {
            let more = Fields::of(&[("x-a", "b")]);
            Frames::open()
                .head(&good, false)
                .data("abc", false)
                .head(&more, false)
        }),
        row("a body on no stream", NO, |good| {
            Frames::open()
                .raw(0, END_STREAM, 0, b"abc")
                .head(&good, false)
        }),
        row("a body before its head", NO, |good| {
            Frames::open().data("abc", true).head(&good, true)
        }),
        row("a frame inside a head", NO, |good| {
            let frames = Frames::open().raw(HEADERS, 0, 1, &good.block());
            frames
                .data("abc", true)
                .raw(CONTINUATION, END_HEADERS, 1, b"")
        }),
        row("an even stream", NO, |good| {
            Frames::open().block(2, &good.block(), true)
        }),
        row("a frame that is too long", NO, |good| {
            Frames::open()
                .head(&good, false)
                .data(&"x".repeat(20_000), true)
        }),
    ]
}

fn floods() -> Vec<Row> {
    vec![
        row("many fields", NO, |good| {
            let good = (0..2000).fold(good, |good, n| good.with(&format!("x-{n}"), "1"));
            Frames::request(&good, "abc")
        }),
        row("a long field", NO, |good| {
            Frames::request(&good.with("x-long", &"x".repeat(100_000)), "abc")
        }),
        row("one long field a thousand times", NO, |good| {
            let mut block = good.block();
            // Into the table of both sides, and out of it again and again.
            block.push(0x40);
            for text in ["x-long", &"x".repeat(3900)] {
                number(&mut block, 0, text.len());
                block.extend(text.as_bytes());
            }
            block.extend([0xbe; 10_000]);
            Frames::open().block(1, &block, false).data("abc", true)
        }),
        row("a head in pieces without end", NO, |good| {
            let frames = Frames::open().raw(HEADERS, END_STREAM, 1, &good.block());
            let piece = Fields::of(&[("x-a", "b")]).block();
            (0..20_000).fold(frames, |frames, _| frames.raw(CONTINUATION, 0, 1, &piece))
        }),
        row("a head in empty pieces", NO, |good| {
            let frames = Frames::open().raw(HEADERS, END_STREAM, 1, &good.block());
            (0..20_000).fold(frames, |frames, _| frames.raw(CONTINUATION, 0, 1, b""))
        }),
        row("a flood of trailers", Sent("abc"), |good| {
            let more = (0..2000).fold(Fields::of(&[]), |more, n| more.with(&format!("x-{n}"), "1"));
            Frames::open()
                .head(&good, false)
                .data("abc", false)
                .head(&more, true)
        }),
    ]
}
