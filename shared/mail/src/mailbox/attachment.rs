//! `GET /messages/UID/attachments/N`: a file, in JSON or as it is.

use serde_json::{Map, json};

use super::answer::{Answer, Content};
use super::message::{self, File};
use super::operation::Wanted;
use super::read::fetch;
use super::{Mailbox, Step, disposition, heavy};

pub async fn attachment(mut mailbox: Mailbox<'_>, wanted: Wanted) -> Step<Answer> {
    let mut session = mailbox.session().await?;
    let raw = fetch(&mut session, &wanted.letter).await?;
    session.log_out().await;
    if raw.is_cut {
        return Ok(Answer::error(
            413,
            "The message is too large to take a file out of",
        ));
    }
    let size = raw.bytes.len();
    let answer = heavy(size, || {
        let letter = message::parse(&raw.bytes);
        let file = letter.and_then(|letter| message::attachment(&letter, wanted.number));
        file.map(|file| give(file, wanted.download))
    });
    let Wanted { letter, number, .. } = wanted;
    let missing = format!("Attachment {number} not found in message {}", letter.uid);
    Ok(answer.unwrap_or_else(|| Answer::error(404, &missing)))
}

fn give(file: File, download: bool) -> Answer {
    let size = file.bytes.len();
    if download {
        return Answer {
            status: 200,
            content: Content::File {
                disposition: disposition::attachment(file.name.as_deref()),
                kind: file.kind,
                bytes: file.bytes,
            },
        };
    }
    if size > MAX_INLINE {
        return Answer::ok(&json!({
            "filename": file.name, "contentType": file.kind, "size": size,
            "content": null, "truncated": true, "message": TOO_LARGE,
        }));
    }
    let mut object = Map::new();
    object.insert("filename".to_owned(), file.name.into());
    object.insert("contentType".to_owned(), file.kind.clone().into());
    Answer {
        status: 200,
        content: Content::Inline {
            bytes: file.bytes,
            kind: file.kind,
            object: Box::new(object),
        },
    }
}

/// What fits into an agent's conversation.
const MAX_INLINE: usize = 512 * 1024;
const TOO_LARGE: &str =
    "The attachment is larger than 512 KiB. Use download: true to get it as a file.";
