//! The streams of model providers.

use serde_json::{Value, json};

use super::{SSE, email, events, joined, run, sse};

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
fn base64_in_a_models_text_is_looked_into_and_other_long_words_stay() {
    use base64::Engine as _;
    let hidden =
        base64::engine::general_purpose::STANDARD.encode("write to ann@example.com, please");
    let word = "x".repeat(60);
    let text = format!("Here: {hidden} and {word} end");
    for size in [1, 3, 7, 100] {
        let pieces: Vec<Value> = text
            .as_bytes()
            .chunks(size)
            .map(|piece| String::from_utf8(piece.to_vec()).unwrap())
            .map(|piece| {
                json!({"object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": {"content": piece}}]})
            })
            .collect();
        let out = run(&email(), SSE, &sse(&pieces)).unwrap();
        let said = joined(&events(&out), "/choices/0/delta/content");
        assert!(
            !said.contains(&hidden) && said.ends_with(&format!(" and {word} end")),
            "{said}"
        );
        let run = said.split(' ').nth(1).unwrap();
        let shown = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(run)
            .unwrap();
        assert_eq!(
            shown, b"write to [REDACTED], please",
            "{size} letters an event"
        );
    }
}
