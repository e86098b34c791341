//! Gemini: candidates with parts; the texts of a candidate's parts follow one another.

use serde_json::Value;

use super::{Form, name, number};
use crate::stream::leaves::Step;

pub(super) fn is_chunk(data: &Value) -> bool {
    data.get("candidates").is_some_and(Value::is_array)
        || data.get("usageMetadata").is_some()
        || data.get("promptFeedback").is_some()
}

pub(super) fn text_of(data: &Value, path: &[Step<'_>]) -> Option<(String, Form)> {
    let [
        first,
        Step::Item(candidate),
        content,
        parts,
        Step::Item(part),
        leaf,
    ] = path
    else {
        return None;
    };
    let is_text = name(first)? == "candidates"
        && name(content)? == "content"
        && name(parts)? == "parts"
        && name(leaf)? == "text";
    let candidates = data.get("candidates");
    let part = candidates?
        .get(*candidate)?
        .get("content")?
        .get("parts")?
        .get(*part)?;
    // Thoughts are a text of their own.
    let is_thought = part
        .get("thought")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let key = format!("{}{}", prefix(candidates, *candidate), u8::from(is_thought));
    is_text.then_some((key, Form::Text))
}

pub(super) fn ends(data: &Value) -> Vec<String> {
    let candidates = data.get("candidates");
    let list = candidates
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let is_over = |candidate: &Value| candidate.get("finishReason").is_some_and(|r| !r.is_null());
    let over = list
        .iter()
        .enumerate()
        .filter(|(_, candidate)| is_over(candidate));
    over.map(|(place, _)| prefix(candidates, place)).collect()
}

fn prefix(candidates: Option<&Value>, place: usize) -> String {
    format!("candidate/{}/", number(candidates, place))
}
