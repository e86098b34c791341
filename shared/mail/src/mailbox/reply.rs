//! `POST /messages/UID/reply`: to whom the letter was from, and with `replyAll` to the others it names.

use super::address::Named;
use super::answer::Answer;
use super::letter::{Draft, References, Reply};
use super::message::{self, reachable};
use super::operation::Which;
use super::read::{Raw, fetch};
use super::send::send;
use super::{Mailbox, Owner, Step, heavy};

pub async fn reply(mut mailbox: Mailbox<'_>, which: &Which, asked: Reply) -> Step<Answer> {
    let mut session = mailbox.session().await?;
    let raw = fetch(&mut session, which).await?;
    session.log_out().await;
    let draft = heavy(raw.bytes.len(), || draft(&raw, asked, mailbox.owner));
    send(mailbox, draft?.check()?).await
}

fn draft(raw: &Raw, asked: Reply, owner: &Owner) -> Result<Draft, Answer> {
    let nobody = || Answer::bad("The message names nobody to reply to");
    let letter = message::parse(&raw.bytes).ok_or_else(nobody)?;
    let from = reachable(letter.from()).into_iter().next();
    let to = vec![from.ok_or_else(nobody)?];
    let mut cc: Vec<Named> = Vec::new();
    if asked.reply_all {
        let others = [reachable(letter.to()), reachable(letter.cc())].concat();
        for one in others {
            let known = to.iter().chain(&cc).any(|it| it.is(&one.address));
            if !known && !one.is(&owner.address) {
                cc.push(one);
            }
        }
    }
    let id = letter.message_id().map(|id| format!("<{id}>"));
    let id = id.filter(|id| id.bytes().all(|b| (b'!'..0x7f).contains(&b)));
    let mut references = message::ids(letter.references());
    references.extend(id.clone());
    // The first and the last ones tell the thread.
    if let Some(surplus) = references.len().checked_sub(MOST_REFERENCES) {
        references.drain(1..=surplus);
    }
    Ok(Draft {
        to,
        cc,
        subject: subject("Re: ", message::subject(&letter).as_deref()),
        text_body: asked.text_body,
        html_body: asked.html_body,
        references: (!references.is_empty()).then_some(References::List(references)),
        in_reply_to: id,
        ..Draft::default()
    })
}

/// With this in front, once.
pub fn subject(prefix: &str, subject: Option<&str>) -> String {
    let subject = subject
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control());
    let subject: String = subject.take(MAX_SUBJECT).collect();
    let head = subject.get(..prefix.trim_end().len());
    match head.is_some_and(|head| head.eq_ignore_ascii_case(prefix.trim_end())) {
        true => subject,
        false => format!("{prefix}{subject}"),
    }
}

const MAX_SUBJECT: usize = 900;
const MOST_REFERENCES: usize = 20;
