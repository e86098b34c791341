//! Whether a value holds more than words. How many tokens a picture, a sound or a file takes can't be
//! told from its bytes: a blank page of a megapixel is a few hundred of them. What isn't known to be
//! words is taken for such a thing.

use ah5_policy::body::Json;

use super::Object;

/// What an object says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'j> {
    Missing,
    Named(&'j str),
    /// It says so twice, or in no text.
    Unclear,
}

pub fn refers(value: &Json<'_>) -> bool {
    match value {
        Json::List(items) => items.iter().any(refers),
        Json::Object(members) => {
            is_medium(members)
                || members
                    .iter()
                    .any(|(name, value)| member_refers(name, value))
        }
        _ => false,
    }
}

pub fn member_refers(name: &str, value: &Json<'_>) -> bool {
    let name = loose(name);
    let is_it = match name.as_str() {
        "content" => holds(value, |part| !is_words(part)),
        "parts" => holds(value, |part| !is_words_to_gemini(part)),
        name if LINKS.contains(&name) => is_link(value),
        name => MEDIA.contains(&name) && *value != Json::Null,
    };
    is_it || refers(value)
}

/// A name as the most lenient of servers would read it: neither case nor underscores count.
pub fn loose(name: &str) -> String {
    let letters = name.chars().filter(|c| *c != '_');
    // Some letters are the small form of one, but not its only one: the long s.
    let folded = letters.flat_map(char::to_uppercase);
    folded.flat_map(char::to_lowercase).collect()
}

/// A member by its loose name, if there is one only.
pub fn member<'j>(members: &'j Object<'j>, wanted: &str) -> Option<&'j Json<'j>> {
    let mut found = members.iter().filter(|(name, _)| loose(name) == wanted);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Some(value),
        _ => None,
    }
}

// === impl Kind ===

impl<'j> Kind<'j> {
    pub fn of(members: &'j Object<'j>) -> Self {
        let is_there = members.iter().any(|(name, _)| loose(name) == "type");
        match member(members, "type") {
            None if is_there => Self::Unclear,
            None | Some(Json::Null) => Self::Missing,
            Some(kind) => kind.as_text().map_or(Self::Unclear, Self::Named),
        }
    }
}

/// Whether a list has such an object.
fn holds(list: &Json<'_>, is_such: impl Fn(&Object<'_>) -> bool) -> bool {
    let Json::List(items) = list else {
        return false;
    };
    items
        .iter()
        .any(|item| matches!(item, Json::Object(members) if is_such(members)))
}

fn is_words(part: &Object<'_>) -> bool {
    match Kind::of(part) {
        Kind::Named(kind) => WORDS.contains(&kind),
        Kind::Missing => part.iter().all(|(name, _)| name == "text"),
        Kind::Unclear => false,
    }
}

fn is_words_to_gemini(part: &Object<'_>) -> bool {
    part.iter()
        .all(|(name, _)| GEMINI_WORDS.contains(&loose(name).as_str()))
}

/// Data with their type beside them, unless that is text.
fn is_medium(members: &Object<'_>) -> bool {
    let has = |wanted: &str| members.iter().any(|(name, _)| loose(name) == wanted);
    let data = members.iter().filter(|(name, _)| loose(name) == "data");
    let has_data = data
        .map(|(_, value)| value)
        .any(|it| it.as_text().is_some());
    if !has_data || !["format", "mediatype", "mimetype"].into_iter().any(has) {
        return false;
    }
    let says = |wanted: &str| member(members, wanted).and_then(Json::as_text);
    let is_text = says("mediatype").is_some_and(|kind| kind.starts_with("text/"));
    !(is_text && Kind::of(members) == Kind::Named("text"))
}

/// `image_url` is a link or the data themselves, or an object with them. Otherwise it is a property of
/// this name in a schema, for one.
fn is_link(value: &Json<'_>) -> bool {
    match value {
        Json::List(items) => items.iter().any(is_link),
        value => value.as_text().is_some(),
    }
}

/// Parts of Gemini's contents.
const GEMINI_WORDS: [&str; 7] = [
    "codeexecutionresult",
    "executablecode",
    "functioncall",
    "functionresponse",
    "text",
    "thought",
    "thoughtsignature",
];
const LINKS: [&str; 4] = ["audiourl", "imageurl", "url", "videourl"];
/// Of objects anywhere in the request: what is meant is elsewhere, or no words. `audio` is an earlier
/// answer's.
const MEDIA: [&str; 7] = [
    "audio",
    "filedata",
    "fileid",
    "fileuri",
    "fileurl",
    "inlinedata",
    "inputaudio",
];
/// Types of parts; what else is in a document or a result is looked at by itself.
const WORDS: [&str; 12] = [
    "document",
    "input_text",
    "output_text",
    "reasoning_text",
    "redacted_thinking",
    "refusal",
    "search_result",
    "summary_text",
    "text",
    "thinking",
    "tool_result",
    "tool_use",
];
