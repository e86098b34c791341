//! Where a body ends: lengths, codings and chunks that contradict each other or themselves.

use super::{Row, both, post};
use crate::fate::Fate::{self, Broken, Denied, Refused, Sent};

pub fn rows() -> Vec<Row> {
    [lengths(), codings(), chunks(), sizes()]
        .into_iter()
        .flatten()
        .collect()
}

const BAD: Fate = Refused(&[400]);
/// What neither knows.
const CODING: Fate = Refused(&[400, 501]);
const CHUNKED: &str = "transfer-encoding: chunked\r\n";
const NOTHING: &str = "0\r\n\r\n<behind>";

fn lengths() -> Vec<Row> {
    let two = "content-length: 0\r\ncontent-length: <length>\r\n";
    let same = "content-length: 3\r\ncontent-length: 3\r\n";
    let mut rows = vec![
        both("two lengths", two, "<behind>", BAD),
        // RFC 9112 §6.3: may be read as the one that they are.
        post("one length twice", same, "abc<behind>", Sent("abc"), BAD),
        both(
            "too long a length",
            "content-length: 9999999999\r\n",
            "abc",
            Refused(&[413]),
        ),
        both(
            "a length for all there are",
            "content-length: 18446744073709551615\r\n",
            "abc",
            Refused(&[400, 413, 431]),
        ),
    ];
    for value in [
        "3, 3",
        "+3",
        "-3",
        "0x3",
        "3 3",
        "",
        "3;",
        "99999999999999999999",
    ] {
        let line = format!("content-length: {value}\r\n");
        rows.push(both(
            "a length that is no number",
            &line,
            "abc<behind>",
            BAD,
        ));
    }
    rows
}

fn codings() -> Vec<Row> {
    let (length, coding) = ("content-length: 5\r\n", CHUNKED);
    let around = format!("content-length: 4\r\n{CHUNKED}");
    let mut rows = vec![
        // RFC 9112 §6.1: the coding alone counts, and the connection ends with the answer.
        post(
            "a length before a coding",
            &format!("{length}{coding}"),
            NOTHING,
            Sent(""),
            BAD,
        ),
        post(
            "a length behind a coding",
            &format!("{coding}{length}"),
            NOTHING,
            Sent(""),
            BAD,
        ),
        post(
            "a length that ends in a chunk",
            &around,
            "<hex>\r\n<behind>\r\n0\r\n\r\n",
            Sent("<behind>"),
            BAD,
        ),
        both(
            "a coding in other letters",
            "Transfer-Encoding: ChUnKeD\r\n",
            NOTHING,
            Sent(""),
        ),
        post(
            "a coding behind a tab",
            "transfer-encoding:\tchunked\r\n",
            NOTHING,
            Sent(""),
            CODING,
        ),
        both(
            "names with underscores",
            "transfer_encoding: chunked\r\ncontent_length: <length>\r\n",
            "<behind>",
            Sent(""),
        ),
    ];
    for line in [
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: identity",
        "transfer-encoding: chunked;q=1",
        "transfer-encoding: \"chunked\"",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding: \u{b}chunked",
        "transfer-encoding:",
        "transfer-encoding:\r\n chunked",
        "transfer-encoding : chunked",
        "x: y\rtransfer-encoding: chunked",
    ] {
        let lines = format!("{line}\r\ncontent-length: 5\r\n");
        rows.push(both("an odd coding and a length", &lines, NOTHING, CODING));
        rows.push(both(
            "an odd coding",
            &format!("{line}\r\n"),
            NOTHING,
            CODING,
        ));
    }
    // Where the last of them says where the body ends.
    for line in [
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked",
    ] {
        for length in ["", "content-length: 5\r\n"] {
            let lines = format!("{line}\r\n{length}");
            let denied = Denied(&[400]);
            rows.push(post(
                "a coding inside chunks",
                &lines,
                NOTHING,
                denied,
                CODING,
            ));
        }
    }
    rows
}

fn chunks() -> Vec<Row> {
    let extended = "3;a=b;c=\"d\\\"\"\r\nabc\r\n0;e\r\n\r\n<behind>";
    let long = format!("3;{}\r\nabc\r\n0\r\n\r\n<behind>", "x".repeat(20_000));
    let trailers = "3\r\nabc\r\n0\r\nauthorization: Bearer x\r\ncontent-length: <length>\r\n\
        x-ah5-approval-id: x\r\nhost: evil.test\r\ntransfer-encoding: chunked\r\n\r\n<behind>";
    let flood = format!("3\r\nabc\r\n0\r\n{}\r\n<behind>", "x: y\r\n".repeat(20_000));
    vec![
        both("extensions of chunks", CHUNKED, extended, Sent("abc")),
        post("a long extension", CHUNKED, &long, Broken, Sent("abc")),
        both(
            "a line's end in an extension",
            CHUNKED,
            "3;a\nb\r\nabc\r\n0\r\n\r\n<behind>",
            Broken,
        ),
        post(
            "chunks with bare line feeds",
            CHUNKED,
            "3\nabc\n0\n\n<behind>",
            Broken,
            Sent("abc"),
        ),
        both("trailers with authority", CHUNKED, trailers, Sent("abc")),
        post("a flood of trailers", CHUNKED, &flood, Broken, Sent("abc")),
    ]
}

fn sizes() -> Vec<Row> {
    let bodies = [
        "fffffffffffffffff\r\nabc\r\n0\r\n\r\n<behind>",
        "fffffffffffffffe\r\nabc\r\n0\r\n\r\n<behind>",
        "8000000000000003\r\nabc\r\n0\r\n\r\n<behind>",
        "-3\r\nabc\r\n0\r\n\r\n<behind>",
        "+3\r\nabc\r\n0\r\n\r\n<behind>",
        "0x3\r\nabc\r\n0\r\n\r\n<behind>",
        "\r\nabc\r\n0\r\n\r\n<behind>",
        "g\r\nabc\r\n0\r\n\r\n<behind>",
        "3\r\nabcd\r\n0\r\n\r\n<behind>",
        "2\r\nabc\r\n0\r\n\r\n<behind>",
        "3\r\nabc0\r\n\r\n<behind>",
        "3\rabc\r\n0\r\n\r\n<behind>",
    ];
    let row = |body| both("an odd size", CHUNKED, body, Broken);
    bodies.into_iter().map(row).collect()
}
