//! The event streams of model providers: which strings of an event are pieces of a longer text, of
//! which text, and when that text ends.

use serde_json::Value;

use super::leaves::Step;

mod anthropic;
mod gemini;
mod openai_chat;
mod openai_responses;

/// A known shape of stream, told by its first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Anthropic,
    Gemini,
    OpenAiChat,
    OpenAiResponses,
}

/// What a text is when it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A JSON text, as tool arguments are.
    Json,
    Text,
}

// === impl Dialect ===

impl Dialect {
    pub(super) fn of(data: &Value) -> Option<Self> {
        let kind = text(data, "type");
        if anthropic::is_event(kind) && text(data, "object").is_empty() {
            return Some(Self::Anthropic);
        }
        if kind.starts_with("response.") {
            return Some(Self::OpenAiResponses);
        }
        if openai_chat::is_chunk(data) {
            return Some(Self::OpenAiChat);
        }
        gemini::is_chunk(data).then_some(Self::Gemini)
    }

    /// The text that the string at `path` is a piece of, and its form; `None` if it stands alone.
    pub(super) fn text_of(self, data: &Value, path: &[Step<'_>]) -> Option<(String, Form)> {
        match self {
            Self::Anthropic => anthropic::text_of(data, path),
            Self::Gemini => gemini::text_of(data, path),
            Self::OpenAiChat => openai_chat::text_of(data, path),
            Self::OpenAiResponses => openai_responses::text_of(data, path),
        }
    }

    /// What the texts that end with this event start with.
    pub(super) fn ends(self, data: &Value) -> Vec<String> {
        match self {
            Self::Anthropic => anthropic::ends(data),
            Self::Gemini => gemini::ends(data),
            Self::OpenAiChat => openai_chat::ends(data),
            Self::OpenAiResponses => openai_responses::ends(data),
        }
    }
}

fn text<'v>(data: &'v Value, name: &str) -> &'v str {
    data.get(name).and_then(Value::as_str).unwrap_or("")
}

/// The member's name, if the step is one.
fn name<'s>(step: &'s Step<'_>) -> Option<&'s str> {
    match step {
        Step::Item(_) => None,
        Step::Member(name) => Some(name),
    }
}

/// An item's number: its own `index`, or its place in the list.
fn number(list: Option<&Value>, place: usize) -> u64 {
    let index = list.and_then(|list| list.get(place)?.get("index")?.as_u64());
    index.unwrap_or(place as u64)
}
