//! The text that a model is told, out of the request shapes of the model providers. What the model
//! itself said earlier is left out.

use crate::body::Json;

/// The pieces of `$prompt_text`, joined by line breaks.
pub(crate) fn prompt_text(body: &Json<'_>) -> String {
    let mut out = String::new();
    collect(&mut out, body);
    out
}

fn collect(out: &mut String, value: &Json<'_>) {
    match value {
        Json::Text(text) => piece(out, text),
        Json::List(items) => items.iter().for_each(|item| collect(out, item)),
        Json::Object(_) => collect_members(out, value),
        _ => {}
    }
}

fn collect_members(out: &mut String, object: &Json<'_>) {
    let member = |name: &str| object.member(name);
    for name in ["system", "instructions", "prompt"] {
        texts(out, member(name));
    }
    for message in items(member("messages")).filter(|m| !is_said_by(m, &["assistant"])) {
        said(out, message, "content");
    }
    match member("input") {
        Some(Json::List(list)) => list.iter().for_each(|item| input_item(out, item)),
        other => texts(out, other),
    }
    for content in items(member("contents")).filter(|c| !is_said_by(c, &["model"])) {
        said(out, content, "parts");
    }
    for name in ["systemInstruction", "system_instruction"] {
        match member(name) {
            Some(Json::Text(text)) => piece(out, text),
            Some(instruction) => all(out, instruction.member("parts")),
            None => {}
        }
    }
    if let Some(Json::Text(text)) = member("text") {
        piece(out, text);
    }
    texts(out, member("content"));
    for name in ["functionResponse", "function_response"] {
        if let Some(answer) = member(name) {
            leaves(out, answer.member("response"));
        }
    }
    for part in items(member("parts")) {
        match part {
            Json::Text(text) => piece(out, text),
            part => texts(out, part.member("text")),
        }
    }
}

/// What is no message as it should be is read as well as can be: a server might.
fn said(out: &mut String, message: &Json<'_>, name: &str) {
    match message {
        Json::Object(_) => all(out, message.member(name)),
        other => collect(out, other),
    }
}

fn input_item(out: &mut String, item: &Json<'_>) {
    if !matches!(item, Json::Object(_)) {
        collect(out, item);
    } else if !is_said_by(item, &["assistant", "model"]) {
        for name in ["content", "input_text", "output", "text"] {
            all(out, item.member(name));
        }
    }
}

/// A text or a list; anything else says nothing.
fn texts(out: &mut String, value: Option<&Json<'_>>) {
    if let Some(Json::Text(_) | Json::List(_)) = value {
        all(out, value);
    }
}

fn all(out: &mut String, value: Option<&Json<'_>>) {
    if let Some(value) = value {
        collect(out, value);
    }
}

/// Every text in it: what a function has answered has no form.
fn leaves(out: &mut String, value: Option<&Json<'_>>) {
    match value {
        Some(Json::Text(text)) => piece(out, text),
        Some(Json::List(items)) => items.iter().for_each(|item| leaves(out, Some(item))),
        Some(Json::Object(members)) => {
            members
                .iter()
                .for_each(|(_, value)| leaves(out, Some(value)));
        }
        _ => {}
    }
}

fn items<'v>(value: Option<&'v Json<'v>>) -> impl Iterator<Item = &'v Json<'v>> {
    let list: &[Json<'_>] = match value {
        Some(Json::List(items)) => items,
        _ => &[],
    };
    list.iter()
}

fn is_said_by(item: &Json<'_>, roles: &[&str]) -> bool {
    let role = item.member("role").and_then(Json::as_text);
    role.is_some_and(|role| roles.contains(&role.to_lowercase().as_str()))
}

fn piece(out: &mut String, text: &str) {
    if !text.is_empty() {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str) -> String {
        prompt_text(&Json::parse(body, false).unwrap())
    }

    #[test]
    fn finds_what_the_model_is_told_in_every_provider_shape() {
        for (body, expected) in [
            (
                "{\"system\":\"s\",\"messages\":[{\"role\":\"user\",\"content\":\"u\"}]}",
                "s\nu",
            ),
            (
                "{\"messages\":[{\"role\":\"ASSISTANT\",\"content\":\"a\"}]}",
                "",
            ),
            (
                "{\"messages\":[{\"role\":\"assistant \",\"content\":\"a\"}]}",
                "a",
            ),
            (
                "{\"input\":[\"x\",{\"role\":\"model\",\"content\":\"m\"}]}",
                "x",
            ),
            ("{\"input\":\"x\",\"instructions\":\"i\"}", "i\nx"),
            ("{\"prompt\":[\"p\",\"q\"]}", "p\nq"),
            ("{\"contents\":[{\"parts\":[{\"text\":\"t\"}]}]}", "t"),
            (
                "{\"system_instruction\":{\"parts\":[{\"text\":\"t\"}]}}",
                "t",
            ),
            (
                "{\"messages\":[{\"content\":[{\"type\":\"tool_result\",\"content\":\
                 [{\"text\":\"deep\"}]}]}]}",
                "deep",
            ),
            (
                "{\"messages\":[[{\"role\":\"user\",\"content\":\"l\"}],\"m\"]}",
                "l\nm",
            ),
            // What functions have answered.
            (
                "{\"input\":[{\"type\":\"function_call_output\",\"output\":\"o\"}]}",
                "o",
            ),
            (
                "{\"contents\":[{\"parts\":[{\"functionResponse\":\
                 {\"name\":\"n\",\"response\":{\"a\":[\"r\",1]}}}]}]}",
                "r",
            ),
            ("{\"other\":1}", ""),
        ] {
            assert_eq!(text(body), expected, "{body}");
        }
    }
}
