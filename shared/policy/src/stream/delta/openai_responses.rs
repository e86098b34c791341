//! OpenAI responses: events whose type ends in `.delta` carry a piece, the one that ends in `.done`
//! repeats the whole.

use serde_json::Value;

use super::{Form, name, text};
use crate::stream::leaves::Step;

pub(super) fn text_of(data: &Value, path: &[Step<'_>]) -> Option<(String, Form)> {
    let kind = text(data, "type").strip_suffix(".delta")?;
    let [leaf] = path else {
        return None;
    };
    if name(leaf)? != "delta" {
        return None;
    }
    let form = if kind.ends_with("arguments") {
        Form::Json
    } else {
        Form::Text
    };
    Some((key(data, kind), form))
}

pub(super) fn ends(data: &Value) -> Vec<String> {
    let kind = text(data, "type");
    match kind.strip_suffix(".done") {
        // These end no text that their parts have not ended.
        Some("response.output_item" | "response.content_part") => Vec::new(),
        Some(kind) => vec![key(data, kind)],
        None if is_last(kind) => vec![String::new()],
        None => Vec::new(),
    }
}

fn is_last(kind: &str) -> bool {
    matches!(
        kind,
        "response.completed" | "response.failed" | "response.incomplete" | "error"
    )
}

/// Pieces of one text agree in all of this.
fn key(data: &Value, kind: &str) -> String {
    let part = |name: &str| data.get(name).and_then(Value::as_u64).unwrap_or(0);
    format!(
        "{kind}/{}/{}/{}/{}/",
        text(data, "item_id"),
        part("output_index"),
        part("content_index"),
        part("summary_index"),
    )
}
