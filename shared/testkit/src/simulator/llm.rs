//! Language models: each provider's calls, whole and as streams, with the usage that they report. The
//! model repeats what it was told, word by word; a message of `emit:TEXT` makes it say just that, one of
//! `cut:N:TEXT` in two pieces, the first of N bytes.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde_json::{Value, json};

use super::body::Body;
use super::connection::Received;
use super::routes::json_answer;
use super::stream::paced;

/// `None`: the path is no model's.
pub(super) fn answer(received: &Received) -> Option<Response<Body>> {
    let path = received.path();
    let said: Value = serde_json::from_slice(&received.body).unwrap_or_default();
    let streams = said["stream"] == true;
    let (whole, events) = if path.ends_with("/chat/completions") {
        (chat(&said), chat_events(&said))
    } else if path.ends_with("/responses") {
        (response(&said), response_events(&said))
    } else if path.ends_with("/messages") {
        (message(&said), message_events(&said))
    } else if let Some((model, _)) = gemini_call(path) {
        let is_stream = path.ends_with(":streamGenerateContent");
        let whole = gemini(&said, model, &words(&said), true);
        return Some(of(whole, gemini_events(&said, model), is_stream));
    } else if path.ends_with("/audio/speech") {
        return Some(typed(SPEECH, "audio/mpeg"));
    } else if path.ends_with("/audio/transcriptions") {
        let kind = received.headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok());
        let heard = json!({"text": "heard", "type": kind, "bytes": received.body.len()});
        return Some(json_answer(200, &heard));
    } else {
        return None;
    };
    if said["model"] == "limited" {
        return Some(limited());
    }
    Some(of(whole, events, streams))
}

fn limited() -> Response<Body> {
    let body = json!({"error": {"message": "Slow down", "type": "rate_limit_error"}});
    let mut answer = json_answer(429, &body);
    for (name, value) in [
        ("anthropic-ratelimit-tokens-remaining", "0"),
        ("retry-after", "7"),
        ("retry-after-ms", "7000"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-request-id", "req_limited"),
    ] {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

fn typed(body: &'static [u8], kind: &'static str) -> Response<Body> {
    let mut answer = Response::new(Body::from(Bytes::from_static(body)));
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn of(whole: Value, events: Vec<String>, streams: bool) -> Response<Body> {
    let mut answer = match streams {
        false => json_answer(200, &whole),
        true => {
            let parts = events.into_iter().map(Bytes::from);
            let mut answer = Response::new(paced(parts, Duration::from_millis(5)));
            let kind = HeaderValue::from_static("text/event-stream");
            answer.headers_mut().insert(header::CONTENT_TYPE, kind);
            answer
        }
    };
    let id = HeaderValue::from_static("req_simulated");
    answer.headers_mut().insert("request-id", id.clone());
    answer.headers_mut().insert("x-request-id", id);
    answer
}

fn gemini_call(path: &str) -> Option<(&str, &str)> {
    let (_, rest) = path.split_once("/models/")?;
    rest.split_once(':')
        .filter(|(_, verb)| matches!(*verb, "generateContent" | "streamGenerateContent"))
}

/// The last text that the model was told.
fn told(said: &Value) -> String {
    fn texts(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Array(all) => all.iter().for_each(|one| texts(one, found)),
            Value::Object(members) => {
                for name in ["content", "parts", "text"] {
                    if let Some(value) = members.get(name) {
                        texts(value, found);
                    }
                }
            }
            Value::String(text) => found.push(text.clone()),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for name in ["messages", "input", "contents"] {
        texts(&said[name], &mut found);
    }
    found.pop().unwrap_or_default()
}

fn words(said: &Value) -> String {
    pieces(said).concat()
}

/// Words end in blanks, so that streams have something to cut.
fn pieces(said: &Value) -> Vec<String> {
    let told = told(said);
    if let Some((at, text)) = told.strip_prefix("cut:").and_then(|it| it.split_once(':')) {
        let (first, rest) = text.split_at(at.parse().unwrap_or(0).min(text.len()));
        return vec![first.to_owned(), rest.to_owned()];
    }
    let text = match told.strip_prefix("emit:") {
        Some(text) => text.to_owned(),
        None => format!("You said: {told}"),
    };
    text.split_inclusive(' ').map(str::to_owned).collect()
}

const INPUT: u64 = 11;
/// No text in any encoding.
const SPEECH: &[u8] = b"\xff\xfb\x90\x00\x00\x01\xfe\xff";

fn output(said: &Value) -> u64 {
    pieces(said).len() as u64
}

fn model(said: &Value) -> Value {
    said["model"].clone()
}

fn chat(said: &Value) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model(said),
        "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": words(said)},
        }],
        "usage": chat_usage(said),
    })
}

fn chat_usage(said: &Value) -> Value {
    let output = output(said);
    json!({"prompt_tokens": INPUT, "completion_tokens": output, "total_tokens": INPUT + output})
}

fn chat_events(said: &Value) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
            "model": model(said), "choices": choices, "usage": usage,
        })
    };
    let delta = |content: &str| json!([{"index": 0, "delta": {"content": content}}]);
    let mut chunks: Vec<Value> = pieces(said)
        .iter()
        .map(|piece| chunk(delta(piece), Value::Null))
        .collect();
    let end = json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
    chunks.push(chunk(end, Value::Null));
    if said["stream_options"]["include_usage"] == true {
        chunks.push(chunk(json!([]), chat_usage(said)));
    }
    plain(&chunks, true)
}

fn response(said: &Value) -> Value {
    let content = json!([{"type": "output_text", "text": words(said), "annotations": []}]);
    json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
        "model": model(said), "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
        "output": [{
            "type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
            "content": content,
        }],
        "usage": {
            "input_tokens": INPUT, "output_tokens": output(said),
            "total_tokens": INPUT + output(said),
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    })
}

fn response_events(said: &Value) -> Vec<String> {
    let mut events: Vec<Value> = pieces(said)
        .into_iter()
        .map(|piece| {
            json!({
                "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
                "content_index": 0, "delta": piece,
            })
        })
        .collect();
    events.push(json!({"type": "response.completed", "response": response(said)}));
    named(&events)
}

fn message(said: &Value) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": model(said),
        "content": [{"type": "text", "text": words(said)}], "stop_reason": "end_turn",
        "stop_sequence": null, "usage": {"input_tokens": INPUT, "output_tokens": output(said)},
    })
}

fn message_events(said: &Value) -> Vec<String> {
    let mut start = message(said);
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    start["usage"]["output_tokens"] = json!(1);
    let mut events = vec![
        json!({"type": "message_start", "message": start}),
        json!({
            "type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""},
        }),
    ];
    events.extend(pieces(said).into_iter().map(|piece| {
        json!({
            "type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": piece},
        })
    }));
    events.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({
            "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": output(said)},
        }),
        json!({"type": "message_stop"}),
    ]);
    named(&events)
}

fn gemini_events(said: &Value, model: &str) -> Vec<String> {
    let pieces = pieces(said);
    let last = pieces.len().saturating_sub(1);
    let events = pieces.iter().enumerate();
    let events: Vec<Value> = events
        .map(|(at, piece)| gemini(said, model, piece, at == last))
        .collect();
    plain(&events, false)
}

fn gemini(said: &Value, model: &str, text: &str, is_last: bool) -> Value {
    let mut candidate =
        json!({"content": {"role": "model", "parts": [{"text": text}]}, "index": 0});
    if is_last {
        candidate["finishReason"] = json!("STOP");
    }
    json!({
        "candidates": [candidate], "modelVersion": model,
        "usageMetadata": {
            "promptTokenCount": INPUT, "candidatesTokenCount": output(said),
            "totalTokenCount": INPUT + output(said),
        },
    })
}

fn plain(events: &[Value], done: bool) -> Vec<String> {
    let events = events.iter().map(|event| format!("data: {event}\n\n"));
    let end = done.then(|| "data: [DONE]\n\n".to_owned());
    events.chain(end).collect()
}

fn named(events: &[Value]) -> Vec<String> {
    let name = |event: &Value| event["type"].as_str().unwrap_or_default().to_owned();
    let events = events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", name(event)));
    events.collect()
}
