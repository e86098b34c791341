use serde_json::{Value, json};

use super::*;
use crate::pii::PiiType;
use crate::response::{FilterSource, RuleFilter};

mod links;
mod models;

const SSE: Option<&str> = Some("text/event-stream; charset=utf-8");

fn rules(names: &[&str], deny: Option<&[&str]>) -> Arc<ResponseFilter> {
    let types: Vec<PiiType<'_>> = names
        .iter()
        .map(|name| PiiType {
            name,
            pattern: None,
        })
        .collect();
    let source = FilterSource {
        deny_fields: deny,
        redact: &types,
        ..FilterSource::default()
    };
    Arc::new(ResponseFilter::new(vec![Arc::new(
        RuleFilter::compile(&source).unwrap(),
    )]))
}

fn email() -> Arc<ResponseFilter> {
    rules(&["email", "us_ssn", "secret_code", "credit_card"], None)
}

/// Runs a stream cut into pieces of every small size; they must agree.
fn run(
    rules: &Arc<ResponseFilter>,
    kind: Option<&str>,
    text: &str,
) -> Result<String, Unfilterable> {
    let of = |size: usize| {
        let mut stream = StreamFilter::new(rules.clone(), kind, 1 << 16);
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            stream.push(piece, &mut out)?;
        }
        stream.finish(&mut out)?;
        Ok(String::from_utf8(out).unwrap())
    };
    let whole = of(text.len().max(1));
    for size in 1..8 {
        assert_eq!(of(size), whole, "pieces of {size}");
    }
    whole
}

fn sse(events: &[Value]) -> String {
    events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect()
}

/// The events of a stream that came out.
fn events(stream: &str) -> Vec<Value> {
    let data = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn joined(events: &[Value], pointer: &str) -> String {
    events
        .iter()
        .filter_map(|event| event.pointer(pointer)?.as_str())
        .collect()
}

#[test]
fn every_line_end_of_the_standard_counts_and_stays() {
    for end in ["\n", "\r\n", "\r"] {
        let text = format!(
            "event: x{end}data: {{\"a\":\"a@b.io\"}}{end}{end}: c{end}{end}data: [DONE]{end}{end}"
        );
        let left = text.replace("a@b.io", "[REDACTED]");
        assert_eq!(run(&email(), SSE, &text), Ok(left), "{end:?}");
    }
}

#[test]
fn data_over_several_lines_is_one_text() {
    let text = "data: {\"a\":\ndata:  \"a@b.io\"}\nid: 7\n\n";
    let left = "data: {\"a\":\ndata:  \"[REDACTED]\"}\nid: 7\n\n";
    assert_eq!(run(&email(), SSE, text), Ok(left.to_owned()));
    let plain = "data:{\"a\":\ndata: 1}\n\n";
    assert_eq!(run(&email(), SSE, plain), Ok(plain.to_owned()));
}

#[test]
fn plain_data_comments_and_ids_are_text() {
    let text = "data: plain a@b.io\nid: a@b.io\n: a@b.io\n\n";
    let left = text.replace("a@b.io", "[REDACTED]");
    assert_eq!(run(&email(), SSE, text), Ok(left));
}

#[test]
fn members_are_dropped_from_every_event() {
    let rules = rules(&["email"], Some(&["x"]));
    let text = "data: {\"a\":\"a@b.io\",\"x\":1}\n\ndata:{\"x\":2}\n\n";
    let left = "data: {\"a\":\"[REDACTED]\"}\n\ndata:{}\n\n";
    assert_eq!(run(&rules, SSE, text), Ok(left.to_owned()));
}

#[test]
fn an_event_cut_by_the_end_is_filtered_too() {
    assert_eq!(
        run(&email(), SSE, "data: {\"a\":\"a@b.io\"}"),
        Ok("data: {\"a\":\"[REDACTED]\"}".into())
    );
}

#[test]
fn unknown_shapes_are_held_and_seen_as_joined() {
    let text = sse(&[
        json!({"piece": "mail a@"}),
        json!({"piece": "b.io now", "n": 1}),
    ]);
    let out = events(&run(&email(), SSE, &text).unwrap());
    assert_eq!(joined(&out, "/piece"), "mail [REDACTED] now");
    let apart = sse(&[json!({"m": "a@b.io"}), json!({"m": "c@d.io"})]);
    let out = events(&run(&email(), SSE, &apart).unwrap());
    assert_eq!(
        out,
        [json!({"m": "[REDACTED]"}), json!({"m": "[REDACTED]"})]
    );
    let ended = sse(&[json!({"m": "a@b.io", "x": 1})]) + "data: [DONE]\n\n";
    let both = rules(&["email"], Some(&["x"]));
    let out = run(&both, SSE, &ended).unwrap();
    assert_eq!(out, sse(&[json!({"m": "[REDACTED]"})]) + "data: [DONE]\n\n");
    let endless = sse(&[json!({"m": "x".repeat(1000)})]).repeat(100);
    assert_eq!(run(&email(), SSE, &endless), Err(Unfilterable::TooLarge));
    assert_eq!(run(&rules(&[], Some(&["x"])), SSE, &endless), Ok(endless));
}

#[test]
fn each_line_of_json_is_filtered_as_it_ends() {
    let kind = Some("application/x-ndjson");
    let text = "{\"a\":\"a@b.io\"}\r\n\n{\"a\":1}\n{\"a\":\"c@d.io\"}";
    let left = "{\"a\":\"[REDACTED]\"}\r\n\n{\"a\":1}\n{\"a\":\"[REDACTED]\"}";
    assert_eq!(run(&email(), kind, text), Ok(left.to_owned()));
    assert_eq!(
        run(&email(), kind, "{\"a\":1}\n{"),
        Err(Unfilterable::Malformed)
    );
}

#[test]
fn text_comes_out_as_soon_as_it_is_sure() {
    let mut stream = StreamFilter::new(email(), Some("text/plain"), 1 << 16);
    let mut out = Vec::new();
    stream.push("Grüße an al".as_bytes(), &mut out).unwrap();
    assert_eq!(stream.held(), 2);
    assert_eq!(out, "Grüße an ".as_bytes());
    stream.push(b"ice@example.com und \xc3", &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out.clone()).unwrap(),
        "Grüße an [REDACTED] und "
    );
    stream.push(b"\xbcber", &mut out).unwrap();
    stream.finish(&mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "Grüße an [REDACTED] und über"
    );
}

#[test]
fn text_that_starts_like_json_and_json_are_held_to_the_end() {
    for kind in ["text/plain", "application/json"] {
        let text = r#" {"a":"a\u0040b.io"}"#;
        assert_eq!(
            run(&email(), Some(kind), text),
            Ok(r#" {"a":"[REDACTED]"}"#.to_owned())
        );
    }
    assert_eq!(
        run(&email(), Some("text/plain"), "[see a@b.io]"),
        Ok("[see [REDACTED]]".to_owned())
    );
}

#[test]
fn a_mail_under_a_text_type_is_held_for_its_encoded_parts() {
    let mail = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        SGVsbG8gdGhlcmUsIHBsZWFzZSBjb250YWN0IGpvaG5AZXhhbXBsZS5jb20gYWJvdXQgdGhlIHRoaW5nLg==\r\n";
    for kind in [
        "text/plain",
        "message/rfc822",
        "multipart/mixed; boundary=b",
    ] {
        let out = run(&email(), Some(kind), mail).unwrap();
        assert!(!out.contains("IGpvaG5AZXhhbXBsZS5jb20g"), "{kind}: {out}");
    }
}

#[test]
fn what_cannot_be_filtered_stops_the_stream_unless_it_may_pass() {
    let mut stream = StreamFilter::new(email(), Some("text/plain"), 1 << 16);
    let mut out = Vec::new();
    assert_eq!(stream.push(b"\xff", &mut out), Err(Unfilterable::NotUtf8));
    assert_eq!(stream.push(b"more", &mut out), Err(Unfilterable::NotUtf8));
    assert_eq!(stream.finish(&mut out), Err(Unfilterable::NotUtf8));
    assert!(out.is_empty());
    let links = Arc::new(RuleFilter::own_links(&["https://ah5.example"]));
    let links = Arc::new(ResponseFilter::new(vec![links]));
    for (kind, text) in [
        ("text/plain", &b"x \xff y"[..]),
        ("image/png", b"\x89PNG"),
        ("application/json", b"{"),
    ] {
        let mut stream = StreamFilter::new(links.clone(), Some(kind), 1 << 16);
        let mut out = Vec::new();
        stream.push(text, &mut out).unwrap();
        stream.finish(&mut out).unwrap();
        assert_eq!(out, text, "{kind}");
    }
}
