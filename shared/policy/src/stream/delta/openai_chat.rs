//! OpenAI chat completions, and the many that speak like it: choices with deltas.

use serde_json::Value;

use super::{Form, name, number, text};
use crate::stream::leaves::Step;

pub(super) fn is_chunk(data: &Value) -> bool {
    let Some(choices) = data.get("choices").and_then(Value::as_array) else {
        return false;
    };
    let is_piece = |choice: &Value| choice.get("delta").is_some_and(Value::is_object);
    matches!(text(data, "object"), "chat.completion.chunk" | "text_completion")
        // Some leave the name out, one starts with a report on the prompt.
        || !choices.is_empty() && choices.iter().all(is_piece)
        || data.get("prompt_filter_results").is_some()
}

/// Every string of a delta is a piece, but those that come once and name something.
pub(super) fn text_of(data: &Value, path: &[Step<'_>]) -> Option<(String, Form)> {
    let [first, Step::Item(choice), rest @ ..] = path else {
        return None;
    };
    if name(first)? != "choices" {
        return None;
    }
    let choices = data.get("choices");
    let mut key = prefix(choices, *choice);
    let (head, rest) = rest.split_first()?;
    match name(head)? {
        // The older completions.
        "text" => return Some((key + "text", Form::Text)),
        "delta" => {}
        _ => return None,
    }
    let mut here = choices?.get(*choice)?.get("delta");
    for step in rest {
        match step {
            Step::Item(place) => {
                key += &format!("{}/", number(here, *place));
                here = here.and_then(|list| list.get(*place));
            }
            Step::Member(name) => {
                key += &format!("{name}/");
                here = here.and_then(|object| object.get(&**name));
            }
        }
    }
    match name(rest.last()?)? {
        "role" | "id" | "type" | "name" | "object" => None,
        "arguments" => Some((key, Form::Json)),
        _ => Some((key, Form::Text)),
    }
}

pub(super) fn ends(data: &Value) -> Vec<String> {
    let choices = data.get("choices");
    let list = choices
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let is_over = |choice: &Value| {
        choice
            .get("finish_reason")
            .is_some_and(|why| !why.is_null())
    };
    let over = list
        .iter()
        .enumerate()
        .filter(|(_, choice)| is_over(choice));
    let mut ends: Vec<String> = over.map(|(place, _)| prefix(choices, place)).collect();
    if data.get("error").is_some() {
        ends.push(String::new());
    }
    ends
}

fn prefix(choices: Option<&Value>, place: usize) -> String {
    format!("choice/{}/", number(choices, place))
}
