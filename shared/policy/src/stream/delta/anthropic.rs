//! Anthropic messages: content blocks, each with deltas of its text or of its JSON input.

use serde_json::Value;

use super::{Form, name, text};
use crate::stream::leaves::Step;

pub(super) fn is_event(kind: &str) -> bool {
    matches!(
        kind,
        "message_start"
            | "message_delta"
            | "message_stop"
            | "content_block_start"
            | "content_block_delta"
            | "content_block_stop"
            | "ping"
    )
}

pub(super) fn text_of(data: &Value, path: &[Step<'_>]) -> Option<(String, Form)> {
    let [holder, leaf] = path else {
        return None;
    };
    let (holder, leaf) = (name(holder)?, name(leaf)?);
    let is_piece = match text(data, "type") {
        "content_block_delta" => holder == "delta" && leaf != "type",
        // What a block starts with is the start of its text.
        "content_block_start" => holder == "content_block" && matches!(leaf, "text" | "thinking"),
        _ => false,
    };
    let form = if leaf == "partial_json" {
        Form::Json
    } else {
        Form::Text
    };
    is_piece.then(|| (format!("{}{leaf}", block(data)), form))
}

pub(super) fn ends(data: &Value) -> Vec<String> {
    match text(data, "type") {
        "content_block_stop" => vec![block(data)],
        "message_stop" | "message_delta" | "error" => vec![String::new()],
        _ => Vec::new(),
    }
}

fn block(data: &Value) -> String {
    let index = data.get("index").and_then(Value::as_u64).unwrap_or(0);
    format!("block/{index}/")
}
