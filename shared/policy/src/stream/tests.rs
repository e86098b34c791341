use serde_json::{Value, json};

use super::*;
use crate::pii::PiiType;
use crate::response::{FilterSource, RuleFilter};

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
fn openai_chat_text_is_seen_through_events() {
    let chunk = |text: &str, finish: Value| {
        json!({"object": "chat.completion.chunk", "id": "c", "choices": [
            {"index": 0, "delta": {"content": text}, "finish_reason": finish}]})
    };
    let last = json!({"object": "chat.completion.chunk", "id": "c", "choices": [
        {"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let text = sse(&[
        chunk("Write to ali", Value::Null),
        chunk("ce@exam", Value::Null),
        chunk("ple.com, or 123-45", Value::Null),
        chunk("-6789", Value::Null),
        last.clone(),
    ]) + "data: [DONE]\n\n";
    let out = run(&email(), SSE, &text).unwrap();
    assert!(out.ends_with("data: [DONE]\n\n"));
    let events = events(&out);
    assert_eq!(
        joined(&events, "/choices/0/delta/content"),
        "Write to [REDACTED], or [REDACTED]"
    );
    assert_eq!(events.last(), Some(&last));
    // What is sure goes out at once.
    assert_eq!(
        joined(&events[..1], "/choices/0/delta/content"),
        "Write to "
    );
}

#[test]
fn tool_arguments_are_json_and_stay_it() {
    let chunk = |piece: &str| {
        json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {
            "tool_calls": [{"index": 1, "function": {"arguments": piece}}]}, "finish_reason": null}]})
    };
    let text = sse(&[
        chunk("{\"card\": 41111111"),
        chunk("11111111, \"m\":\"a\\u0040"),
        chunk("b.io\"}"),
    ]) + "data: [DONE]\n\n";
    let out = run(&email(), SSE, &text).unwrap();
    let arguments = joined(
        &events(&out),
        "/choices/0/delta/tool_calls/0/function/arguments",
    );
    assert_eq!(arguments, r#"{"card": "[REDACTED]", "m":"[REDACTED]"}"#);
}

#[test]
fn anthropic_blocks_end_with_what_they_held() {
    let delta = |i: u32, text: &str| json!({"type": "content_block_delta", "index": i, "delta": {"type": "text_delta", "text": text}});
    let text = sse(&[
        json!({"type": "message_start", "message": {"id": "m", "content": []}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        delta(0, "password: hun"),
        json!({"type": "ping"}),
        delta(1, "other a@"),
        delta(0, "ter2"),
        delta(1, "b.io"),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "name": "t", "input": {}}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"to\":\"a@"}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "b.io\"}"}}),
        json!({"type": "content_block_stop", "index": 2}),
        json!({"type": "message_stop"}),
    ]);
    let events = events(&run(&email(), SSE, &text).unwrap());
    let of = |index: u64, pointer: &str| {
        let mine: Vec<Value> = events
            .iter()
            .filter(|e| e["index"] == index)
            .cloned()
            .collect();
        assert_eq!(mine.last().unwrap()["type"], "content_block_stop");
        joined(&mine, pointer)
    };
    assert_eq!(of(0, "/delta/text"), "[REDACTED]");
    assert_eq!(of(1, "/delta/text"), "other [REDACTED]");
    assert_eq!(of(2, "/delta/partial_json"), r#"{"to":"[REDACTED]"}"#);
}

#[test]
fn openai_responses_pieces_agree_with_the_whole_that_follows() {
    let delta = |text: &str| {
        json!({"type": "response.output_text.delta", "item_id": "i", "output_index": 0,
            "content_index": 0, "delta": text})
    };
    let text = sse(&[
        json!({"type": "response.created", "response": {"id": "r"}}),
        delta("mail a@b"),
        delta(".i"),
        delta("o"),
        json!({"type": "response.output_text.done", "item_id": "i", "output_index": 0,
            "content_index": 0, "text": "mail a@b.io"}),
        json!({"type": "response.completed", "response": {"output": ["mail a@b.io"]}}),
    ]);
    let events = events(&run(&email(), SSE, &text).unwrap());
    assert_eq!(joined(&events, "/delta"), "mail [REDACTED]");
    assert_eq!(joined(&events, "/text"), "mail [REDACTED]");
    assert_eq!(joined(&events, "/response/output/0"), "mail [REDACTED]");
}

#[test]
fn gemini_parts_are_joined_in_streams_and_in_lists() {
    let chunk = |text: &str| json!({"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}}]});
    let mut last = chunk("io now");
    last["candidates"][0]["finishReason"] = json!("STOP");
    let chunks = [chunk("to a"), chunk("@b."), last];
    let pointer = "/candidates/0/content/parts/0/text";
    let out = events(&run(&email(), SSE, &sse(&chunks)).unwrap());
    assert_eq!(joined(&out, pointer), "to [REDACTED] now");
    let list = Value::Array(chunks.into()).to_string();
    let out = run(&email(), Some("application/json"), &list).unwrap();
    let out: Vec<Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(joined(&out, pointer), "to [REDACTED] now");
}

#[test]
fn tokens_repeated_one_by_one_are_dropped() {
    let chunk = json!({"object": "chat.completion.chunk", "choices": [{"index": 0,
        "delta": {"content": "a@"}, "logprobs": {"content": [{"token": "a@"}]}, "finish_reason": null}]});
    let out = run(&email(), SSE, &sse(&[chunk])).unwrap();
    assert!(!out.contains("token"), "{out}");
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
