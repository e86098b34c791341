//! Bodies as text again, for rules that search the whole of one.

use std::borrow::Cow;

use super::Json;
use crate::number;

type Member<'a> = (Cow<'a, str>, Json<'a>);

/// Compact JSON: members in the order given, names that are numbers first in ascending order (as
/// JavaScript keeps them), numbers in their shortest form.
pub(crate) fn compact(value: &Json<'_>) -> String {
    let mut out = String::new();
    write(&mut out, value, Style::Exact);
    out
}

/// Compact JSON that says what was said: every number and every member where and as it was.
pub(super) fn wire(value: &Json<'_>) -> String {
    let mut out = String::new();
    write(&mut out, value, Style::Wire);
    out
}

/// As [`compact`], but with texts that are numbers written as numbers, and members of one meaning
/// under each of their names. `None` if nothing in it calls for that.
pub(super) fn loose(value: &Json<'_>) -> Option<String> {
    if !differs(value) {
        return None;
    }
    let mut out = String::new();
    write(&mut out, value, Style::Loose);
    Some(out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Exact,
    Loose,
    Wire,
}

fn write(out: &mut String, value: &Json<'_>, style: Style) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Number(raw) if style == Style::Wire => out.push_str(raw),
        Json::Number(raw) => out.push_str(&number::text(raw)),
        Json::Text(text) if style == Style::Loose && is_number(text) => out.push_str(text),
        Json::Text(text) => write_text(out, text),
        Json::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                comma(out, i);
                write(out, item, style);
            }
            out.push(']');
        }
        Json::Object(members) => write_members(out, members, style),
    }
}

fn write_members(out: &mut String, members: &[Member<'_>], style: Style) {
    let ordered = match style {
        Style::Wire => members.iter().collect(),
        Style::Exact | Style::Loose => in_order(members),
    };
    out.push('{');
    let mut written = 0;
    for (name, value) in ordered {
        let names = match style {
            Style::Exact | Style::Wire => None,
            Style::Loose => SYNONYMS.iter().find(|group| group.contains(&&**name)),
        };
        let own = [&**name];
        for name in names.map_or(&own[..], |group| group) {
            comma(out, written);
            write_text(out, name);
            out.push(':');
            write(out, value, style);
            written += 1;
        }
    }
    out.push('}');
}

/// As [`compact`] writes them.
pub(crate) fn in_order<'a, 'b>(members: &'a [Member<'b>]) -> Vec<&'a Member<'b>> {
    let mut ordered: Vec<_> = members.iter().collect();
    if members.iter().any(|(name, _)| index(name).is_some()) {
        ordered.sort_by_key(|(name, _)| index(name).map_or(u64::MAX, u64::from));
    }
    ordered
}

fn comma(out: &mut String, before: usize) {
    if before > 0 {
        out.push(',');
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn differs(value: &Json<'_>) -> bool {
    match value {
        Json::Text(text) => is_number(text),
        Json::List(items) => items.iter().any(differs),
        Json::Object(members) => members
            .iter()
            .any(|(name, value)| SYNONYMS.iter().any(|g| g.contains(&&**name)) || differs(value)),
        _ => false,
    }
}

/// The name of a list position, as JavaScript orders them.
fn index(name: &str) -> Option<u32> {
    let number: u32 = name.parse().ok()?;
    (number < u32::MAX && number.to_string() == name).then_some(number)
}

fn is_number(text: &str) -> bool {
    (1..=20).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'))
        && text.parse::<f64>().is_ok()
}

/// Names that model providers accept for one and the same setting.
const SYNONYMS: [&[&str]; 1] = [&[
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens_to_sample",
    "maxTokens",
    "maxOutputTokens",
]];
