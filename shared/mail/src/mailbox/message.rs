//! Letters as they are read: by a stranger's hand, and not always well formed. What cannot be made
//! out is left out.

use jiff::Timestamp;
use mail_parser::{
    Address, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders, PartType,
};
use serde::Serialize;

use super::address::{self, Named};
use super::bounds;
use crate::imap::response::Value;

/// What a list shows of each.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub uid: u32,
    pub message_id: Option<String>,
    pub date: Option<String>,
    pub from: Option<Named>,
    pub to: Vec<Named>,
    pub cc: Vec<Named>,
    pub subject: String,
    pub flags: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    pub filename: Option<String>,
    pub content_type: String,
    pub size: usize,
    /// What the path of the attachment ends with.
    pub part_id: String,
}

/// A file, decoded.
pub struct File {
    pub name: Option<String>,
    pub kind: String,
    pub bytes: Vec<u8>,
}

/// `None` for what is no letter at all. The letter must have been tamed.
pub fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    MessageParser::default().parse(bytes)
}

/// The headers alone.
pub fn parse_head(bytes: &[u8]) -> Option<Message<'_>> {
    MessageParser::default().parse_headers(bytes)
}

// === impl Summary ===

impl Summary {
    /// From a letter, or from its headers alone.
    pub fn of(uid: u32, flags: Vec<String>, letter: Option<&Message<'_>>) -> Self {
        let from = letter
            .map(|it| address::read(it.from()))
            .unwrap_or_default();
        let all = |header: fn(&Message<'_>) -> Vec<Named>| letter.map(header).unwrap_or_default();
        Self {
            uid,
            message_id: letter
                .and_then(Message::message_id)
                .map(|id| format!("<{id}>")),
            date: letter.and_then(date),
            from: from.into_iter().next(),
            to: all(|it| address::read(it.to())),
            cc: all(|it| address::read(it.cc())),
            subject: letter.and_then(subject).unwrap_or_default(),
            flags,
        }
    }
}

/// Of a letter. Whether nobody has seen it before us says nothing about it.
pub fn flags(items: &[Value]) -> Vec<String> {
    let flags = Value::get(items, "FLAGS").map(Value::list);
    let flags = flags.unwrap_or_default().iter().filter_map(Value::text);
    flags
        .filter(|flag| !flag.eq_ignore_ascii_case("\\Recent"))
        .collect()
}

/// In UTC.
pub fn date(letter: &Message<'_>) -> Option<String> {
    let date = letter.date().filter(|date| date.is_valid())?;
    let at = Timestamp::from_second(date.to_timestamp()).ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string())
}

pub fn subject(letter: &Message<'_>) -> Option<String> {
    letter.subject().map(bounds::restored)
}

/// All that is written in it, plain; `None` if nothing is.
pub fn text(letter: &Message<'_>) -> Option<String> {
    let parts = letter
        .text_body
        .iter()
        .filter_map(|id| letter.parts.get(*id as usize));
    joined(parts.filter_map(|part| match &part.body {
        PartType::Text(text) => Some(text.as_ref()),
        _ => None,
    }))
}

pub fn html(letter: &Message<'_>) -> Option<String> {
    let parts = letter
        .html_body
        .iter()
        .filter_map(|id| letter.parts.get(*id as usize));
    joined(parts.filter_map(|part| match &part.body {
        PartType::Html(html) => Some(html.as_ref()),
        _ => None,
    }))
}

/// With the brackets that they are written in.
pub fn ids(header: &HeaderValue<'_>) -> Vec<String> {
    let ids: Vec<&str> = match header {
        HeaderValue::Text(id) => vec![id.as_ref()],
        HeaderValue::TextList(ids) => ids.iter().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    };
    let legal = |id: &&str| {
        (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|b| (b'!'..0x7f).contains(&b))
    };
    let ids = ids.into_iter().filter(legal).take(MOST_IDS);
    ids.map(|id| format!("<{id}>")).collect()
}

pub fn attachments(letter: &Message<'_>) -> Vec<Shown> {
    let all = letter.attachments().take(MOST_FILES).enumerate();
    let all = all.map(|(at, part)| Shown {
        filename: part.attachment_name().map(bounds::restored),
        content_type: kind(part),
        size: part.contents().len(),
        part_id: (at + 1).to_string(),
    });
    all.collect()
}

/// `number` from one, as [`attachments`] counts them.
pub fn attachment(letter: &Message<'_>, number: usize) -> Option<File> {
    let part = letter
        .attachments()
        .take(MOST_FILES)
        .nth(number.checked_sub(1)?)?;
    let mut bytes = part.contents().to_vec();
    bounds::restore(&mut bytes);
    Some(File {
        name: part.attachment_name().map(bounds::restored),
        kind: kind(part),
        bytes,
    })
}

/// Addresses of a header, as far as they can be written to.
pub fn reachable(header: Option<&Address<'_>>) -> Vec<Named> {
    let mut all = address::read(header);
    all.retain(|one| one.check("").is_ok());
    all
}

/// A type that can stand in a header. Text was decoded, so it is UTF-8 by now.
fn kind(part: &MessagePart<'_>) -> String {
    let token = |text: &str| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
        (1..=127).contains(&text.len()) && text.bytes().all(legal)
    };
    let named = part.content_type().and_then(|kind| {
        let sub = bounds::restored(kind.subtype()?);
        let legal = token(kind.ctype()) && token(&sub);
        legal.then(|| format!("{}/{sub}", kind.ctype()).to_ascii_lowercase())
    });
    match (&part.body, named) {
        (PartType::Message(_), _) => "message/rfc822".to_owned(),
        (_, Some(kind)) => kind,
        (PartType::Text(_), None) => "text/plain".to_owned(),
        (_, None) => "application/octet-stream".to_owned(),
    }
}

fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> Option<String> {
    let texts: Vec<&str> = texts.collect();
    (!texts.is_empty()).then(|| bounds::restored(&texts.join("\n")))
}

const MAX_ID: usize = 500;
const MOST_FILES: usize = 1000;
const MOST_IDS: usize = 200;
