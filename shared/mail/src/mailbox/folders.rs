//! Folders: shown, made, and taken away.

use serde::Serialize;
use serde_json::json;

use super::answer::Answer;
use super::{Mailbox, Step};
use crate::Fault;
use crate::imap::Session;
use crate::imap::command::Command;
use crate::imap::folder::{Folder, INBOX, decode};
use crate::imap::response::{Reply, Value};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    name: String,
    path: String,
    delimiter: Option<String>,
    special_use: Option<String>,
    flags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_messages: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unseen_messages: Option<u32>,
}

/// `GET /folders`.
pub async fn list(mut mailbox: Mailbox<'_>) -> Step<Answer> {
    let mut session = mailbox.session().await?;
    let special = session.can("SPECIAL-USE") && session.can("LIST-EXTENDED");
    let command = match special {
        true => Command::new("LIST \"\" \"*\" RETURN (SPECIAL-USE)"),
        false => Command::new("LIST \"\" \"*\""),
    };
    let said = session.run(&command).await?.ok()?;
    let replies = said.replies("LIST");
    let mut shown: Vec<Shown> = replies.filter_map(|reply| read(&reply)).collect();
    let truncated = shown.len() > MAX_FOLDERS;
    shown.truncate(MAX_FOLDERS);
    for folder in shown
        .iter_mut()
        .filter(|it| it.can_be_opened())
        .take(MAX_COUNTED)
    {
        count(&mut session, folder).await?;
    }
    session.log_out().await;
    let mut body = json!({"folders": shown});
    if truncated {
        body["truncated"] = true.into();
    }
    Ok(Answer::ok(&body))
}

/// `POST /folders`.
pub async fn create(mut mailbox: Mailbox<'_>, folder: &Folder) -> Step<Answer> {
    let mut session = mailbox.session().await?;
    let command = Command::new("CREATE ").folder(folder);
    session.run(&command).await?.ok()?;
    session.log_out().await;
    Ok(Answer::json(
        201,
        &json!({"created": true, "path": folder.as_str()}),
    ))
}

/// `DELETE /folders/PATH`.
pub async fn delete(mut mailbox: Mailbox<'_>, folder: &Folder) -> Step<Answer> {
    let mut session = mailbox.session().await?;
    let folder = find(&mut session, folder).await?;
    let command = Command::new("DELETE ").folder(&folder);
    session.run(&command).await?.ok()?;
    session.log_out().await;
    Ok(Answer::ok(
        &json!({"deleted": true, "path": folder.as_str()}),
    ))
}

/// The very folder of this name. Servers differ in what else they take for it: another case, a
/// separator at its end. What a rule has judged is the name, so the server has to spell it the same.
pub(super) async fn find(session: &mut Session<'_>, folder: &Folder) -> Step<Folder> {
    let said = session
        .run(&Command::new("LIST \"\" ").folder(folder))
        .await?;
    // To a name that it could not have it says no.
    let mut listed = said.replies("LIST").filter_map(|reply| read(&reply));
    match listed.any(|it| it.path == folder.as_str()) {
        true => Ok(folder.clone()),
        false => Err(Answer::no_folder(folder.as_str()).into()),
    }
}

async fn count(session: &mut Session<'_>, shown: &mut Shown) -> Result<(), Fault> {
    let Some(folder) = Folder::parse(&shown.path) else {
        return Ok(());
    };
    let command = Command::new("STATUS ").folder(&folder);
    let said = session.run(&command.words(" (MESSAGES UNSEEN)")).await?;
    for reply in said.replies("STATUS") {
        let counts = reply.values().last().map(Value::list).unwrap_or_default();
        let count = |name| Value::get(counts, name)?.word()?.parse().ok();
        shown.total_messages = count("MESSAGES").or(shown.total_messages);
        shown.unseen_messages = count("UNSEEN").or(shown.unseen_messages);
    }
    Ok(())
}

/// `LIST (\HasNoChildren) "/" "name"`.
fn read(reply: &Reply) -> Option<Shown> {
    let [_, flags, delimiter, name, ..] = reply.values() else {
        return None;
    };
    let flags: Vec<String> = flags.list().iter().filter_map(Value::text).collect();
    let path = decode(&name.text()?);
    // A server may write it in another case.
    let path = match path.eq_ignore_ascii_case(INBOX) {
        true => INBOX.to_owned(),
        false => path,
    };
    let delimiter = delimiter.text().filter(|it| !it.is_empty());
    let last = delimiter.as_deref().and_then(|it| path.rsplit(it).next());
    let special = flags
        .iter()
        .find(|flag| SPECIAL.iter().any(|known| known.eq_ignore_ascii_case(flag)));
    Some(Shown {
        name: last.unwrap_or(&path).to_owned(),
        special_use: special
            .cloned()
            .or_else(|| (path == INBOX).then(|| "\\Inbox".to_owned())),
        delimiter,
        flags,
        path,
        total_messages: None,
        unseen_messages: None,
    })
}

// === impl Shown ===

impl Shown {
    fn can_be_opened(&self) -> bool {
        let closed = |flag: &String| {
            flag.eq_ignore_ascii_case("\\Noselect") || flag.eq_ignore_ascii_case("\\NonExistent")
        };
        !self.flags.iter().any(closed)
    }
}

/// RFC 6154.
const SPECIAL: [&str; 8] = [
    "\\All",
    "\\Archive",
    "\\Drafts",
    "\\Flagged",
    "\\Important",
    "\\Junk",
    "\\Sent",
    "\\Trash",
];
const MAX_FOLDERS: usize = 1000;
/// Each costs a word to the server.
const MAX_COUNTED: usize = 100;
