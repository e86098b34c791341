//! `POST /messages/send`, and how every letter leaves.

use serde_json::json;

use super::answer::Answer;
use super::letter::Draft;
use super::{Mailbox, Step};
use crate::smtp;

pub async fn send(mailbox: Mailbox<'_>, draft: Draft) -> Step<Answer> {
    let letter = draft.write(mailbox.owner)?;
    let server = &mailbox.servers.smtp;
    let submission = smtp::log_in(mailbox.way, server, mailbox.password).await?;
    let keeper = mailbox.keeper;
    keeper.begins();
    submission
        .hand_in(&letter.from, &letter.to, &letter.bytes)
        .await?;
    Ok(Answer::ok(&json!({"sent": true, "messageId": letter.id})))
}
