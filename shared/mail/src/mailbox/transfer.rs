//! `POST /messages/UID/move` and `/copy`.

use serde_json::json;

use super::answer::Answer;
use super::delete::expunge;
use super::operation::{Kind, Which};
use super::read::hold;
use super::{Mailbox, Step, folders};
use crate::imap::command::Command;
use crate::imap::folder::Folder;

pub async fn transfer(
    mut mailbox: Mailbox<'_>,
    which: &Which,
    to: &Folder,
    kind: Kind,
) -> Step<Answer> {
    let mut session = mailbox.session().await?;
    let to = folders::find(&mut session, to).await?;
    hold(&mut session, which).await?;
    let at_once = kind == Kind::Move && (session.can("MOVE") || session.can("IMAP4REV2"));
    let words = if at_once { "UID MOVE " } else { "UID COPY " };
    let command = Command::new(words).numbers(&[which.uid]).words(" ");
    session.run(&command.folder(&to)).await?.ok()?;
    if kind == Kind::Move && !at_once {
        expunge(&mut session, which.uid).await?;
    }
    session.log_out().await;
    let done = match kind {
        Kind::Copy => "copied",
        Kind::Move => "moved",
    };
    Ok(Answer::ok(&json!({
        done: true, "from": which.folder.as_str(), "to": to.as_str(),
    })))
}
