//! `DELETE /messages/UID`: for good, and nothing else with it.

use serde_json::json;

use super::answer::Answer;
use super::operation::Which;
use super::read::hold;
use super::{Mailbox, Step};
use crate::Fault;
use crate::imap::Session;
use crate::imap::command::Command;

pub async fn delete(mut mailbox: Mailbox<'_>, which: &Which) -> Step<Answer> {
    let mut session = mailbox.session().await?;
    hold(&mut session, which).await?;
    expunge(&mut session, which.uid).await?;
    session.log_out().await;
    Ok(Answer::ok(&json!({"deleted": true, "uid": which.uid})))
}

/// A server without `UID EXPUNGE` would take along what others have marked: there it stays marked.
pub async fn expunge(session: &mut Session<'_>, uid: u32) -> Result<(), Fault> {
    let mark = Command::new("UID STORE ").numbers(&[uid]);
    let mark = mark.words(" +FLAGS.SILENT (\\Deleted)");
    session.run(&mark).await?.ok()?;
    if session.can("UIDPLUS") || session.can("IMAP4REV2") {
        let expunge = Command::new("UID EXPUNGE ").numbers(&[uid]);
        session.run(&expunge).await?.ok()?;
    }
    Ok(())
}
