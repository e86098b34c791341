//! `GET /messages`: the newest letters of a folder, or those that an agent looks for.

use jiff::civil::Date;
use serde::Serialize;
use serde_json::json;

use super::answer::Answer;
use super::message::{self, Summary};
use super::operation::Page;
use super::read::open;
use super::search::Term;
use super::{Mailbox, Step};
use crate::Fault;
use crate::imap::Session;
use crate::imap::command::Command;
use crate::imap::response::{Reply, Value};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    summary: Summary,
    has_attachments: bool,
    size: u64,
}

pub async fn list(mut mailbox: Mailbox<'_>, page: &Page) -> Step<Answer> {
    let mut session = mailbox.session().await?;
    let total = open(&mut session, &page.folder, "EXAMINE ").await?;
    let (total, mut shown) = match page.is_plain() {
        true => (total, newest(&mut session, page, total).await?),
        false => found(&mut session, page).await?,
    };
    session.log_out().await;
    shown.sort_by_key(|it| std::cmp::Reverse(it.summary.uid));
    Ok(Answer::ok(&json!({
        "messages": shown, "total": total, "offset": page.offset, "limit": page.limit,
    })))
}

/// The last that came have the highest numbers.
async fn newest(session: &mut Session<'_>, page: &Page, total: usize) -> Step<Vec<Shown>> {
    let Some(last) = total.checked_sub(page.offset).filter(|last| *last > 0) else {
        return Ok(Vec::new());
    };
    let first = last.saturating_sub(page.limit) + 1;
    let command = Command::new("FETCH ").number(first).words(":").number(last);
    Ok(fetch(session, command.words(ITEMS)).await?)
}

async fn found(session: &mut Session<'_>, page: &Page) -> Step<(usize, Vec<Shown>)> {
    let said = session.run(&page.search()).await?.ok()?;
    let replies = said.replies("SEARCH");
    let mut uids: Vec<u32> = Vec::new();
    for reply in replies {
        uids.extend(reply.words().filter_map(|word| word.parse::<u32>().ok()));
    }
    uids.sort_unstable_by(|a, b| b.cmp(a));
    uids.dedup();
    let total = uids.len();
    let wanted: Vec<u32> = uids
        .into_iter()
        .skip(page.offset)
        .take(page.limit)
        .collect();
    if wanted.is_empty() {
        return Ok((total, Vec::new()));
    }
    let command = Command::new("UID FETCH ").numbers(&wanted).words(ITEMS);
    Ok((total, fetch(session, command).await?))
}

async fn fetch(session: &mut Session<'_>, command: Command) -> Result<Vec<Shown>, Fault> {
    let said = session.run(&command).await?.ok()?;
    Ok(said
        .replies("FETCH")
        .filter_map(|reply| shown(&reply))
        .collect())
}

/// `None` for what the server says besides.
fn shown(reply: &Reply) -> Option<Shown> {
    let items = reply.values().get(2)?.list();
    let uid = Value::get(items, "UID")?.word()?.parse().ok()?;
    let head = Value::get(items, "BODY[")?.bytes().unwrap_or_default();
    let size = Value::get(items, "RFC822.SIZE").and_then(Value::word);
    // A server may send more than it was asked for.
    let head = &head[..head.len().min(MAX_HEAD)];
    let structure = Value::get(items, "BODYSTRUCTURE");
    Some(Shown {
        summary: Summary::of(
            uid,
            message::flags(items),
            message::parse_head(head).as_ref(),
        ),
        has_attachments: structure.is_some_and(has_attachments),
        size: size.and_then(|size| size.parse().ok()).unwrap_or_default(),
    })
}

/// A part that is meant to be kept (RFC 2183), or that is called something. Lists lie only so deep.
fn has_attachments(structure: &Value) -> bool {
    let list = structure.list();
    let is = |value: &Value, name: &str| {
        value
            .bytes()
            .is_some_and(|text| text.eq_ignore_ascii_case(name.as_bytes()))
    };
    let kept = list.first().is_some_and(|first| is(first, "attachment"));
    let pairs = list.len().is_multiple_of(2) && list.iter().all(|it| it.bytes().is_some());
    let named = pairs
        && list
            .iter()
            .step_by(2)
            .any(|it| NAMES.iter().any(|name| is(it, name)));
    kept && list.len() == 2 || named || list.iter().any(has_attachments)
}

// === impl Page ===

impl Page {
    fn is_plain(&self) -> bool {
        self.terms.is_empty() && self.since.is_none() && self.before.is_none()
    }

    fn search(&self) -> Command {
        let ascii = self.terms.iter().all(Term::is_ascii);
        let command = match ascii {
            true => Command::new("UID SEARCH"),
            false => Command::new("UID SEARCH CHARSET UTF-8"),
        };
        let command = self
            .terms
            .iter()
            .fold(command, |command, term| term.add(command));
        let days = [(" SINCE ", self.since), (" BEFORE ", self.before)];
        let days = days
            .into_iter()
            .filter_map(|(word, day)| Some((word, day?)));
        days.fold(command, |command, (word, day)| {
            command.words(word).string(&written(day))
        })
    }
}

/// `1-Jan-2026` (RFC 9051 §9, date-text).
fn written(day: Date) -> String {
    day.strftime("%-d-%b-%Y").to_string()
}

const NAMES: [&str; 4] = ["filename", "filename*", "name", "name*"];
const MAX_HEAD: usize = 16_384;
const ITEMS: &str = " (UID FLAGS RFC822.SIZE BODYSTRUCTURE \
    BODY.PEEK[HEADER.FIELDS (DATE FROM TO CC SUBJECT MESSAGE-ID)]<0.16384>)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_as_servers_read_them() {
        assert_eq!(written(jiff::civil::date(2026, 1, 2)), "2-Jan-2026");
        assert_eq!(written(jiff::civil::date(1999, 12, 31)), "31-Dec-1999");
    }
}
