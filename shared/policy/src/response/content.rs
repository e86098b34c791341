//! What an answer is, by its type and by its bytes. Where the two disagree, the answer cannot be
//! filtered: a filter must never be talked out of its work by a label.

use super::Unfilterable;

mod magic;

pub use magic::{Coding, coding};

/// How an answer can be filtered.
#[derive(Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// `text/event-stream`.
    Events,
    Json,
    /// One JSON text a line.
    Lines,
    /// A mail or a MIME multipart.
    Mail(&'a str),
    Text(&'a str),
}

/// What a type promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    Binary,
    Encrypted,
    Events,
    Json,
    Lines,
    Mail,
    /// Nothing.
    Open,
    Text,
}

/// # Errors
/// What cannot be filtered, and why. Only [`Unfilterable::Binary`] is proven by type and bytes both.
pub fn of<'a>(content_type: Option<&str>, body: &'a [u8]) -> Result<Content<'a>, Unfilterable> {
    let promise = promise(content_type);
    match promise {
        Promise::Events => return Ok(Content::Events),
        Promise::Json => return Ok(Content::Json),
        Promise::Lines => return Ok(Content::Lines),
        Promise::Encrypted => return Err(Unfilterable::Encrypted),
        Promise::Binary | Promise::Mail | Promise::Open | Promise::Text => {}
    }
    let text = std::str::from_utf8(body).ok().filter(|text| is_text(text));
    match (promise, text) {
        (Promise::Binary, Some(_)) => Err(Unfilterable::Mislabelled),
        (Promise::Mail, Some(text)) => Ok(Content::Mail(text)),
        (_, Some(text)) => Ok(Content::Text(text)),
        (Promise::Mail | Promise::Text, None) => Err(Unfilterable::NotUtf8),
        (_, None) => Err(magic::judge(content_type.map(essence).as_deref(), body)),
    }
}

/// The filter that a stream of this type needs, told before its first byte. `None` is a body that
/// must be looked at whole.
pub(crate) fn streamed(content_type: Option<&str>) -> Option<Streamed> {
    match promise(content_type) {
        Promise::Events => Some(Streamed::Events),
        Promise::Lines => Some(Streamed::Lines),
        Promise::Text => Some(Streamed::Text),
        _ => None,
    }
}

/// Whether a type is that of server-sent events.
#[must_use]
pub fn is_event_stream(content_type: &str) -> bool {
    promise(Some(content_type)) == Promise::Events
}

/// Whether a body of this type can only be passed or refused.
pub(crate) fn is_binary(content_type: Option<&str>) -> bool {
    matches!(promise(content_type), Promise::Binary | Promise::Encrypted)
}

/// Streams that can be filtered as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streamed {
    Events,
    Lines,
    Text,
}

fn promise(content_type: Option<&str>) -> Promise {
    let Some(full) = content_type else {
        return Promise::Open;
    };
    let essence = essence(full);
    if !is_plain_charset(full) {
        return Promise::Binary;
    }
    match essence.as_str() {
        "" | "application/octet-stream" | "binary/octet-stream" => Promise::Open,
        "text/event-stream" => Promise::Events,
        "application/json" | "text/json" | "text/x-json" => Promise::Json,
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/json-lines" => Promise::Lines,
        "application/pgp-encrypted"
        | "application/pkcs7-mime"
        | "application/x-pkcs7-mime"
        | "multipart/encrypted"
        | "application/jose" => Promise::Encrypted,
        "message/rfc822" => Promise::Mail,
        other if other.starts_with("multipart/") => Promise::Mail,
        "application/xml"
        | "application/javascript"
        | "application/x-javascript"
        | "application/ecmascript"
        | "application/x-www-form-urlencoded"
        | "application/yaml"
        | "application/x-yaml"
        | "application/toml"
        | "application/graphql"
        | "application/sql"
        | "application/rtf"
        | "application/x-sh" => Promise::Text,
        other if other.ends_with("+json") => Promise::Json,
        other if other.ends_with("+xml") || other.ends_with("+yaml") => Promise::Text,
        other if other.starts_with("text/") => Promise::Text,
        _ => Promise::Binary,
    }
}

/// The type without parameters, lower case.
fn essence(content_type: &str) -> String {
    let end = content_type.find(';').unwrap_or(content_type.len());
    content_type[..end].trim().to_ascii_lowercase()
}

/// Charsets whose ASCII bytes are ASCII. UTF-7, ISO-2022 and the like write other text with them.
fn is_plain_charset(content_type: &str) -> bool {
    let lower = content_type.to_ascii_lowercase().replace([' ', '\t'], "");
    let Some((_, charset)) = lower.split_once("charset=") else {
        return true;
    };
    let charset = charset
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .trim_matches('"');
    charset.starts_with("iso-8859-")
        || charset.starts_with("windows-125")
        || matches!(
            charset,
            "utf-8" | "utf8" | "us-ascii" | "ascii" | "latin1" | "utf8mb4"
        )
}

/// Text has no control characters but layout and escape sequences.
pub(crate) fn is_text(text: &str) -> bool {
    let is_odd = |byte: u8| byte < 9 || (0xe..0x20).contains(&byte) && byte != 0x1b;
    !text.bytes().any(is_odd)
}
