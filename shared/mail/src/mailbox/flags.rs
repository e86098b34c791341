//! `PATCH /messages/UID/flags`.

use serde_json::json;

use super::answer::Answer;
use super::operation::{Change, Which};
use super::read::hold;
use super::{Mailbox, Step};
use crate::imap::command::{Atom, Command};

pub async fn change(mut mailbox: Mailbox<'_>, which: &Which, change: &Change) -> Step<Answer> {
    let mut session = mailbox.session().await?;
    hold(&mut session, which).await?;
    for (how, flags) in [
        (" +FLAGS.SILENT ", &change.add),
        (" -FLAGS.SILENT ", &change.remove),
    ] {
        if !flags.is_empty() {
            let store = Command::new("UID STORE ").numbers(&[which.uid]).words(how);
            session.run(&store.atoms(flags)).await?.ok()?;
        }
    }
    session.log_out().await;
    let names = |flags: &[Atom]| {
        flags
            .iter()
            .map(|it| it.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    Ok(Answer::ok(&json!({
        "updated": true, "uid": which.uid,
        "flagsAdded": names(&change.add), "flagsRemoved": names(&change.remove),
    })))
}
