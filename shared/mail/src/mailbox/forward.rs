//! `POST /messages/UID/forward`: the words of a letter to somebody else, without its attachments.

use std::fmt::Write as _;

use super::address::Named;
use super::answer::Answer;
use super::letter::{Draft, Forward};
use super::message::{self, date, reachable};
use super::operation::Which;
use super::read::{Raw, fetch};
use super::reply::subject;
use super::send::send;
use super::{Mailbox, Step, bounds, heavy};

pub async fn forward(mut mailbox: Mailbox<'_>, which: &Which, asked: Forward) -> Step<Answer> {
    let mut session = mailbox.session().await?;
    let raw = fetch(&mut session, which).await?;
    session.log_out().await;
    let draft = heavy(raw.bytes.len(), || draft(&raw, asked));
    send(mailbox, draft.check()?).await
}

fn draft(raw: &Raw, asked: Forward) -> Draft {
    let letter = message::parse(&raw.bytes);
    let letter = letter.as_ref();
    let mut text = asked.text_body.unwrap_or_default();
    text.push_str("\n\n---------- Forwarded message ----------\n");
    let from = letter.map(|it| reachable(it.from())).unwrap_or_default();
    let to = letter.map(|it| reachable(it.to())).unwrap_or_default();
    let original = letter.and_then(message::subject);
    for (name, value) in [
        ("From", written(&from)),
        ("Date", letter.and_then(date).unwrap_or_default()),
        ("Subject", original.clone().unwrap_or_default()),
        ("To", written(&to)),
    ] {
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        // Into a string nothing fails to be written.
        _ = writeln!(text, "{name}: {value}");
    }
    let words = letter.and_then(|it| message::text(it).or_else(|| plain(it)));
    text.push('\n');
    text.push_str(&words.unwrap_or_default());
    Draft {
        to: asked.to,
        subject: subject("Fwd: ", original.as_deref()),
        text_body: Some(text),
        ..Draft::default()
    }
}

/// Of a letter that has its words in HTML alone.
fn plain(letter: &mail_parser::Message<'_>) -> Option<String> {
    Some(bounds::restored(&letter.body_text(0)?))
}

fn written(all: &[Named]) -> String {
    let all = all.iter().map(|one| match one.name.is_empty() {
        true => one.address.clone(),
        false => format!("{} <{}>", one.name, one.address),
    });
    all.collect::<Vec<_>>().join(", ")
}
