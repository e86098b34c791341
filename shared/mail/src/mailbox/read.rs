//! `GET /messages/UID`: one letter, its words and what is attached to it. It stays unseen.

use serde::Serialize;
use serde_json::json;

use super::answer::Answer;
use super::message::{self, Shown, Summary};
use super::operation::Which;
use super::{Mailbox, Step, bounds, folders, heavy};
use crate::Fault;
use crate::imap::Session;
use crate::imap::command::Command;
use crate::imap::folder::Folder;
use crate::imap::response::Value;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Letter {
    #[serde(flatten)]
    summary: Summary,
    text_body: Option<String>,
    html_body: Option<String>,
    headers: serde_json::Value,
    attachments: Vec<Shown>,
    /// The letter is longer than what is shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// One letter as the server has it, tamed.
pub struct Raw {
    pub flags: Vec<String>,
    pub bytes: Vec<u8>,
    /// There is more of it than anybody looks at.
    pub is_cut: bool,
}

pub async fn read(mut mailbox: Mailbox<'_>, which: &Which) -> Step<Answer> {
    let mut session = mailbox.session().await?;
    let raw = fetch(&mut session, which).await?;
    session.log_out().await;
    Ok(heavy(raw.bytes.len(), || show(which.uid, raw)))
}

/// Opens the folder, and fetches the letter from it: one that can be parsed, for which there is memory.
pub async fn fetch(session: &mut Session<'_>, which: &Which) -> Step<Raw> {
    open(session, &which.folder, "EXAMINE ").await?;
    let command = Command::new("UID FETCH ")
        .numbers(&[which.uid])
        .words(WHOLE);
    let said = session.run(&command).await?.ok()?;
    let missing = || Answer::no_message(which.uid, which.folder.as_str());
    let mut letters = said.replies("FETCH").filter_map(|reply| {
        let items = reply.values().get(2)?.list();
        // A server may say something about others, too.
        let uid: u32 = Value::get(items, "UID")?.word()?.parse().ok()?;
        let bytes = Value::get(items, "BODY[")?.bytes().unwrap_or_default();
        let size = Value::get(items, "RFC822.SIZE").and_then(Value::word);
        let size: usize = size.and_then(|size| size.parse().ok()).unwrap_or_default();
        (uid == which.uid).then(|| Raw {
            flags: message::flags(items),
            is_cut: size > bytes.len() && bytes.len() >= MAX_LETTER,
            bytes: bytes.to_vec(),
        })
    });
    let mut raw = letters.next().ok_or_else(missing)?;
    let room = heavy(raw.bytes.len(), || bounds::tame(&mut raw.bytes))?;
    session.reserve(room)?;
    Ok(raw)
}

/// How many letters there are in it. `how` is `EXAMINE `, which changes nothing, or `SELECT `.
pub async fn open(session: &mut Session<'_>, folder: &Folder, how: &'static str) -> Step<usize> {
    let folder = folders::find(session, folder).await?;
    let said = session
        .run(&Command::new(how).folder(&folder))
        .await?
        .ok()?;
    let count = said
        .replies("EXISTS")
        .filter_map(|reply| reply.number())
        .last();
    let count = count.ok_or(Fault::Failed(
        "the server does not say what is in the folder",
    ))?;
    Ok(count as usize)
}

/// Opens the folder to change something in it, and makes sure that the letter is there.
pub async fn hold(session: &mut Session<'_>, which: &Which) -> Step<()> {
    open(session, &which.folder, "SELECT ").await?;
    let command = Command::new("UID FETCH ")
        .numbers(&[which.uid])
        .words(" (UID)");
    let said = session.run(&command).await?.ok()?;
    let is_there = said.replies("FETCH").any(|reply| {
        let items = reply.values().get(2).map(Value::list).unwrap_or_default();
        let uid = Value::get(items, "UID").and_then(Value::word);
        uid == Some(which.uid.to_string().as_str())
    });
    match is_there {
        true => Ok(()),
        false => Err(Answer::no_message(which.uid, which.folder.as_str()).into()),
    }
}

fn show(uid: u32, raw: Raw) -> Answer {
    let letter = message::parse(&raw.bytes);
    let letter = letter.as_ref();
    let (text_body, text_cut) = cut(letter.and_then(message::text));
    let (html_body, html_cut) = cut(letter.and_then(message::html));
    let ids = |values: Option<Vec<String>>| values.filter(|ids| !ids.is_empty());
    let in_reply_to = ids(letter.map(|it| message::ids(it.in_reply_to())));
    let references = ids(letter.map(|it| message::ids(it.references())));
    Answer::ok(&Letter {
        headers: json!({
            "in-reply-to": in_reply_to.map(|ids| ids.join(" ")),
            "references": references.map(|ids| ids.join(" ")),
        }),
        attachments: letter.map(message::attachments).unwrap_or_default(),
        summary: Summary::of(uid, raw.flags, letter),
        text_body,
        html_body,
        truncated: raw.is_cut || text_cut || html_cut,
    })
}

/// To what an agent may want to read, at the end of a character.
fn cut(text: Option<String>) -> (Option<String>, bool) {
    match text {
        Some(mut text) if text.len() > MAX_TEXT => {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            (Some(text), true)
        }
        text => (text, false),
    }
}

/// 32 MiB: more than servers of mail take.
pub const MAX_LETTER: usize = 33_554_432;
const WHOLE: &str = " (UID FLAGS RFC822.SIZE BODY.PEEK[]<0.33554432>)";
const MAX_TEXT: usize = 1024 * 1024;
