//! The first line: methods, targets and versions.

use super::{Row, row};
use crate::fate::Fate::{self, Denied, Refused, Sent};

pub fn rows() -> Vec<Row> {
    [methods(), targets(), versions()]
        .into_iter()
        .flatten()
        .collect()
}

const BAD: Fate = Refused(&[400]);
/// Those are nobody's.
const METHOD: Fate = Denied(&[403]);
const NOT_PASSED: Fate = Refused(&[400, 405]);

fn first(what: &'static str, line: &str, direct: Fate, front: Fate) -> Row {
    let text = format!("{line}\r\n<head>content-length: 0\r\n\r\n<behind>");
    row(what, text, direct, front)
}

fn methods() -> Vec<Row> {
    let line = |method: &str| format!("{method} <path> HTTP/1.1");
    vec![
        first(
            "CONNECT to a host",
            "CONNECT evil.test:443 HTTP/1.1",
            Denied(&[404]),
            NOT_PASSED,
        ),
        first("CONNECT to a path", &line("CONNECT"), METHOD, NOT_PASSED),
        first("TRACE", &line("TRACE"), METHOD, NOT_PASSED),
        first("TRACK", &line("TRACK"), METHOD, METHOD),
        first("a method in small letters", &line("post"), METHOD, BAD),
        first(
            "a method with a control character",
            &line("PO\u{1}ST"),
            BAD,
            BAD,
        ),
        first("a space before the method", &line(" POST"), BAD, BAD),
        first(
            "lines before the first",
            &format!("\r\n\r\n{}", line("POST")),
            Sent(""),
            Sent(""),
        ),
    ]
}

fn targets() -> Vec<Row> {
    let long = format!("POST <path>?{} HTTP/1.1", "x".repeat(70_000));
    let crlf = "POST <path>?a=%0d%0ahost:%20evil.test%0d%0a%0d%0a HTTP/1.1";
    vec![
        // Whom it names is no matter: it is not a proxy's request that is asked for here.
        first(
            "a target with another host",
            "POST http://evil.test<path> HTTP/1.1",
            Sent(""),
            Sent(""),
        ),
        first(
            "a target with another port",
            "POST https://h:99<path> HTTP/1.1",
            Sent(""),
            Sent(""),
        ),
        first(
            "another host's target",
            "POST http://evil.test/v2/echo/x HTTP/1.1",
            Denied(&[404]),
            Denied(&[401, 404]),
        ),
        first(
            "a target with a user",
            "POST http://u:p@h<path> HTTP/1.1",
            Sent(""),
            BAD,
        ),
        first(
            "a target of a host alone",
            "POST evil.test:443 HTTP/1.1",
            Denied(&[404]),
            BAD,
        ),
        first("a target with a space", "POST <path> x HTTP/1.1", BAD, BAD),
        first("a target with a tab", "POST <path>\tx HTTP/1.1", BAD, BAD),
        first(
            "a target with a control character",
            "POST <path>\u{7f} HTTP/1.1",
            BAD,
            BAD,
        ),
        first("a target with NUL", "POST <path>\0 HTTP/1.1", BAD, BAD),
        first(
            "a target with a line's end inside",
            "POST <path>\rx HTTP/1.1",
            BAD,
            BAD,
        ),
        first("a target with coded line ends", crlf, Sent(""), Sent("")),
        first(
            "a target that is too long",
            &long,
            Refused(&[414, 431]),
            Refused(&[414]),
        ),
    ]
}

fn versions() -> Vec<Row> {
    let line = |version: &str| format!("POST <path> {version}");
    let coded = "POST <path> HTTP/1.0\r\n<head>transfer-encoding: chunked\r\n\r\n0\r\n\r\n<behind>";
    let kept = "POST <path> HTTP/1.0\r\n<head>connection: keep-alive\r\ncontent-length: 3\r\n\r\nabc<behind>";
    vec![
        row("HTTP/0.9", "GET <path>\r\n\r\n", Refused(&[]), Refused(&[])),
        row(
            "HTTP/0.9 with lines",
            "GET <path>\r\n<head>\r\n<behind>",
            Refused(&[]),
            Refused(&[]),
        ),
        row("a coding in HTTP/1.0", coded, BAD, BAD),
        row(
            "a connection that HTTP/1.0 keeps",
            kept,
            Sent("abc"),
            Sent("abc"),
        ),
        first(
            "HTTP/2 in words",
            &line("HTTP/2.0"),
            BAD,
            Refused(&[400, 505]),
        ),
        first("HTTP/1.2", &line("HTTP/1.2"), BAD, Sent("")),
        first("no version", &line("HTTP/1."), BAD, BAD),
        first("a version in small letters", &line("http/1.1"), BAD, BAD),
    ]
}
