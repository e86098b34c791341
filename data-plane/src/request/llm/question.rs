//! A question to people, told to a client that knows of no such thing: as a message of the model. The
//! client's program finds the id in its text, or in headers of ours.

use std::fmt::Write as _;

use ah5_contracts::id::{ApprovalId, AuditId};
use ah5_providers::service::Dialect;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{self, AnswerBody};
use crate::request::parse::{Asked, AskedBody};

/// What the model is made to say.
pub struct Message<'a> {
    pub id: ApprovalId,
    pub reason: &'a str,
    pub hint: &'a str,
}

pub fn answer(
    asked: &Asked<'_>,
    dialect: Dialect,
    message: &Message<'_>,
    audit_id: Option<AuditId>,
) -> Response<AnswerBody> {
    let text = message.text();
    let form = Form::of(asked, dialect);
    let stream = streams(asked, dialect);
    let body = match stream {
        true => form.events(message.id, &text),
        false => form.whole(message.id, &text).to_string(),
    };
    let mut response = answer::json(StatusCode::OK, body.into_bytes(), audit_id);
    let headers = response.headers_mut();
    if stream {
        let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    mark(headers, message.id);
    response
}

/// Says which approval is waited for to who looks at headers.
pub fn mark(headers: &mut HeaderMap, id: ApprovalId) {
    headers.insert(REQUIRED, HeaderValue::from_static("true"));
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST, id);
    }
}

impl Message<'_> {
    fn text(&self) -> String {
        let Self { id, reason, hint } = self;
        format!("{reason}. Step-up approval has been requested with approvalRequestId {id}. {hint}")
    }
}

enum Form {
    Anthropic,
    Chat,
    Gemini,
    Responses,
}

impl Form {
    fn of(asked: &Asked<'_>, dialect: Dialect) -> Self {
        match dialect {
            Dialect::Anthropic => Self::Anthropic,
            Dialect::Gemini => Self::Gemini,
            Dialect::Openai if asked.url.path().ends_with("/responses") => Self::Responses,
            Dialect::Openai => Self::Chat,
        }
    }

    fn whole(&self, id: ApprovalId, text: &str) -> Value {
        match self {
            Self::Anthropic => json!({
                "id": format!("msg_approval_{id}"), "type": "message", "role": "assistant",
                "model": MODEL, "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 0, "output_tokens": 0},
            }),
            Self::Chat => json!({
                "id": format!("chatcmpl-approval-{id}"), "object": "chat.completion", "created": 0,
                "model": MODEL,
                "choices": [{
                    "index": 0, "message": {"role": "assistant", "content": text, "refusal": null},
                    "finish_reason": "stop", "logprobs": null,
                }],
                "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
            }),
            Self::Gemini => json!({
                "candidates": [{
                    "content": {"role": "model", "parts": [{"text": text}]},
                    "finishReason": "STOP", "index": 0,
                }],
                "usageMetadata": {
                    "promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0,
                },
                "modelVersion": MODEL, "responseId": format!("approval_{id}"),
            }),
            Self::Responses => response(id, "completed", &[item(id, "completed", Some(text))]),
        }
    }

    fn events(&self, id: ApprovalId, text: &str) -> String {
        match self {
            Self::Anthropic => named(&anthropic_events(id, text)),
            Self::Chat => {
                let chunk = |delta: Value, finish: Value| {
                    json!({
                        "id": format!("chatcmpl-approval-{id}"),
                        "object": "chat.completion.chunk", "created": 0, "model": MODEL,
                        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
                    })
                };
                let first = chunk(json!({"role": "assistant", "content": text}), Value::Null);
                let last = chunk(json!({}), json!("stop"));
                format!("data: {first}\n\ndata: {last}\n\ndata: [DONE]\n\n")
            }
            Self::Gemini => format!("data: {}\n\n", self.whole(id, text)),
            Self::Responses => named(&response_events(id, text)),
        }
    }
}

fn anthropic_events(id: ApprovalId, text: &str) -> Vec<Value> {
    vec![
        json!({"type": "message_start", "message": {
            "id": format!("msg_approval_{id}"), "type": "message", "role": "assistant",
            "model": MODEL, "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }}),
        json!({
            "type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""},
        }),
        json!({
            "type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": text},
        }),
        json!({"type": "content_block_stop", "index": 0}),
        json!({
            "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 0},
        }),
        json!({"type": "message_stop"}),
    ]
}

fn response_events(id: ApprovalId, text: &str) -> Vec<Value> {
    let item_id = format!("msg_approval_{id}");
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
    let at = json!({"item_id": item_id, "output_index": 0, "content_index": 0});
    let with = |kind: &str, name: &str, value: Value| {
        let mut event = at.clone();
        event["type"] = json!(kind);
        event[name] = value;
        event
    };
    let done = item(id, "completed", Some(text));
    let mut events = vec![
        json!({"type": "response.created", "response": response(id, "in_progress", &[])}),
        json!({
            "type": "response.output_item.added", "output_index": 0,
            "item": item(id, "in_progress", None),
        }),
        with("response.content_part.added", "part", part("")),
        with("response.output_text.delta", "delta", json!(text)),
        with("response.output_text.done", "text", json!(text)),
        json!({"type": "response.output_item.done", "output_index": 0, "item": done}),
        json!({"type": "response.completed", "response": response(id, "completed", &[done])}),
    ];
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    events
}

fn item(id: ApprovalId, status: &str, text: Option<&str>) -> Value {
    let content = text.map(|it| json!({"type": "output_text", "text": it, "annotations": []}));
    json!({
        "type": "message", "id": format!("msg_approval_{id}"), "status": status,
        "role": "assistant", "content": Vec::from_iter(content),
    })
}

fn response(id: ApprovalId, status: &str, output: &[Value]) -> Value {
    json!({
        "id": format!("resp_approval_{id}"), "object": "response", "created_at": 0,
        "status": status, "error": null, "incomplete_details": null, "instructions": null,
        "model": MODEL, "output": output, "parallel_tool_calls": false, "tool_choice": "auto",
        "tools": [], "temperature": null, "top_p": null, "metadata": {},
        "usage": {
            "input_tokens": 0, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0,
        },
    })
}

fn named(events: &[Value]) -> String {
    let mut text = String::new();
    for event in events {
        let name = event["type"].as_str().unwrap_or_default();
        let _ = write!(text, "event: {name}\ndata: {event}\n\n");
    }
    text
}

/// Whether the client waits for a stream of events.
fn streams(asked: &Asked<'_>, dialect: Dialect) -> bool {
    if dialect == Dialect::Gemini {
        let is_sse = |(name, value): (_, _)| name == "alt" && value == "sse";
        return asked.url.path().ends_with(":streamGenerateContent")
            || asked.url.query_pairs().any(is_sse);
    }
    #[derive(Deserialize)]
    struct Wish {
        #[serde(default)]
        stream: bool,
    }
    match &asked.body {
        AskedBody::Bytes(bytes, _) => {
            serde_json::from_slice::<Wish>(bytes).is_ok_and(|wish| wish.stream)
        }
        AskedBody::None | AskedBody::Stream(..) => false,
    }
}

const MODEL: &str = "agenthifive-approval-gate";
const REQUIRED: HeaderName = HeaderName::from_static("x-agenthifive-approval-required");
const REQUEST: HeaderName = HeaderName::from_static("x-agenthifive-approval-request-id");
