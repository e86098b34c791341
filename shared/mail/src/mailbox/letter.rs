//! What an agent wants to send: checked, so that nothing in it ends a header or a command, and then
//! written down as a letter (RFC 5322, MIME).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Message, MultiPart, SinglePart};
use serde::Deserialize;
use uuid::Uuid;

use super::Owner;
use super::address::Named;
use super::answer::Answer;
use super::outgoing::Attached;
use crate::smtp::Path;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Draft {
    pub to: Vec<Named>,
    pub cc: Vec<Named>,
    pub bcc: Vec<Named>,
    pub subject: String,
    pub text_body: Option<String>,
    pub html_body: Option<String>,
    pub from: Option<Named>,
    pub reply_to: Option<Named>,
    pub in_reply_to: Option<String>,
    pub references: Option<References>,
    pub attachments: Vec<File>,
}

/// An answer to a letter: to whom follows from that.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Reply {
    pub text_body: Option<String>,
    pub html_body: Option<String>,
    pub reply_all: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Forward {
    pub to: Vec<Named>,
    pub text_body: Option<String>,
}

/// Ids of letters: with spaces between, or in a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum References {
    List(Vec<String>),
    Text(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    pub filename: String,
    #[serde(default)]
    pub content_type: Option<String>,
    /// Base64.
    pub content: String,
    #[serde(skip)]
    bytes: Vec<u8>,
}

/// A letter that can be handed in.
pub struct Written {
    pub from: Path,
    pub to: Vec<Path>,
    pub bytes: Vec<u8>,
    pub id: String,
}

// === impl Draft ===

impl Draft {
    /// # Errors
    /// 400 with what is wrong with it.
    pub fn check(mut self) -> Result<Self, Answer> {
        if self.to.is_empty() {
            return Err(Answer::bad("At least one recipient (to) is required"));
        }
        for (field, named) in [("to", &self.to), ("cc", &self.cc), ("bcc", &self.bcc)] {
            named.iter().try_for_each(|one| one.check(field))?;
        }
        if self.to.len() + self.cc.len() + self.bcc.len() > MAX_RECIPIENTS {
            let error = format!("a letter may go to {MAX_RECIPIENTS} at most");
            return Err(Answer::bad(&error));
        }
        for (field, named) in [("from", &self.from), ("replyTo", &self.reply_to)] {
            named.iter().try_for_each(|one| one.check(field))?;
        }
        if self.subject.len() > MAX_HEADER || self.subject.contains(char::is_control) {
            return Err(Answer::bad("subject holds characters that cannot be sent"));
        }
        let ids = self.references.iter().flat_map(References::ids);
        let legal = ids.chain(self.in_reply_to.as_deref()).all(is_ids);
        if !legal {
            return Err(Answer::bad(
                "inReplyTo and references must be ids of letters",
            ));
        }
        if self.attachments.len() > MAX_FILES {
            let error = format!("a letter may have {MAX_FILES} attachments at most");
            return Err(Answer::bad(&error));
        }
        self.attachments.iter_mut().try_for_each(File::check)?;
        Ok(self)
    }

    /// # Errors
    /// 400: it cannot be written.
    pub fn write(&self, owner: &Owner) -> Result<Written, Answer> {
        let impossible = |_| Answer::bad("the letter cannot be written");
        let sender = owner.named();
        let from = sender.path().ok_or_else(no_sender)?;
        let (_, domain) = owner.address.rsplit_once('@').unwrap_or_default();
        let id = format!("<{}@{domain}>", Uuid::new_v4());
        let author = self.from.as_ref().unwrap_or(&sender);
        let mut builder = Message::builder()
            .from(author.written().ok_or_else(no_sender)?)
            .subject(&self.subject)
            .message_id(Some(id.clone()))
            .date_now();
        for one in self.to.iter().filter_map(Named::written) {
            builder = builder.to(one);
        }
        for one in self.cc.iter().filter_map(Named::written) {
            builder = builder.cc(one);
        }
        if let Some(one) = self.reply_to.as_ref().and_then(Named::written) {
            builder = builder.reply_to(one);
        }
        if let Some(id) = &self.in_reply_to {
            builder = builder.in_reply_to(id.clone());
        }
        if let Some(ids) = &self.references {
            builder = builder.references(ids.ids().collect::<Vec<_>>().join(" "));
        }
        let message = match self.body() {
            Body::One(part) => builder.singlepart(part),
            Body::Several(parts) => builder.multipart(parts),
        };
        let mut to: Vec<Path> = Vec::new();
        let everybody = self.to.iter().chain(&self.cc).chain(&self.bcc);
        for path in everybody.filter_map(Named::path) {
            if !to.contains(&path) {
                to.push(path);
            }
        }
        Ok(Written {
            from,
            to,
            bytes: message.map_err(impossible)?.formatted(),
            id,
        })
    }

    fn body(&self) -> Body {
        let text = self.text_body.clone();
        let words = match (text, self.html_body.clone()) {
            (Some(text), Some(html)) => {
                Body::Several(MultiPart::alternative_plain_html(text, html))
            }
            (None, Some(html)) => Body::One(SinglePart::html(html)),
            (text, None) => Body::One(SinglePart::plain(text.unwrap_or_default())),
        };
        if self.attachments.is_empty() {
            return words;
        }
        let mixed = MultiPart::mixed();
        let mixed = match words {
            Body::One(part) => mixed.singlepart(part),
            Body::Several(parts) => mixed.multipart(parts),
        };
        let files = self.attachments.iter();
        Body::Several(files.fold(mixed, |mixed, file| mixed.singlepart(file.part())))
    }
}

enum Body {
    One(SinglePart),
    Several(MultiPart),
}

// === impl Reply ===

impl Reply {
    /// # Errors
    /// 400: there is nothing to say.
    pub fn check(self) -> Result<Self, Answer> {
        match (&self.text_body, &self.html_body) {
            (None, None) => Err(Answer::bad("textBody or htmlBody is required")),
            _ => Ok(self),
        }
    }
}

// === impl Forward ===

impl Forward {
    /// # Errors
    /// 400 with what is wrong with it.
    pub fn check(self) -> Result<Self, Answer> {
        let draft = Draft {
            to: self.to,
            ..Draft::default()
        };
        Ok(Self {
            to: draft.check()?.to,
            text_body: self.text_body,
        })
    }
}

// === impl References ===

impl References {
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        let (list, text) = match self {
            Self::List(list) => (list.as_slice(), None),
            Self::Text(text) => (&[][..], Some(text.as_str())),
        };
        list.iter().map(String::as_str).chain(text)
    }
}

// === impl File ===

impl File {
    fn check(&mut self) -> Result<(), Answer> {
        let name = &self.filename;
        if name.is_empty() || name.len() > MAX_FILE_NAME || name.contains(char::is_control) {
            return Err(Answer::bad("attachments have no valid filename"));
        }
        let kind = self.content_type.as_deref();
        if kind.is_some_and(|kind| !is_type(kind)) {
            return Err(Answer::bad("attachments have no valid contentType"));
        }
        let bytes = STANDARD.decode(&self.content);
        let error = |_| Answer::bad("attachments must have content in base64");
        self.bytes = bytes.map_err(error)?;
        self.content.clear();
        Ok(())
    }

    /// As it will be told of.
    pub(super) fn attached(&self) -> Attached {
        Attached {
            name: Some(self.filename.clone()),
            kind: self.content_type.as_deref().unwrap_or(BINARY).to_owned(),
            size: self.bytes.len(),
        }
    }

    fn part(&self) -> SinglePart {
        let kind = self.content_type.as_deref().unwrap_or_default();
        let kind = ContentType::parse(kind).or_else(|_| ContentType::parse(BINARY));
        // Any type there is can be parsed.
        let kind = kind.unwrap_or(ContentType::TEXT_PLAIN);
        Attachment::new(self.filename.clone()).body(self.bytes.clone(), kind)
    }
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("File")
    }
}

// === impl Owner ===

impl Owner {
    pub(super) fn named(&self) -> Named {
        Named {
            name: self.name.clone().unwrap_or_default(),
            address: self.address.clone(),
        }
    }
}

/// `type/subtype`, and no more: parameters are ours to write.
fn is_type(text: &str) -> bool {
    let token = |text: &str| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
        (1..=127).contains(&text.len()) && text.bytes().all(legal)
    };
    text.split_once('/')
        .is_some_and(|(kind, sub)| token(kind) && token(sub))
}

fn is_ids(text: &str) -> bool {
    (1..=MAX_HEADER).contains(&text.len()) && text.bytes().all(|b| (b' '..0x7f).contains(&b))
}

fn no_sender() -> Answer {
    Answer::error(500, "Email credentials incomplete")
}

const BINARY: &str = "application/octet-stream";
const MAX_RECIPIENTS: usize = 100;
const MAX_FILES: usize = 50;
const MAX_FILE_NAME: usize = 255;
/// What may stand in one header.
const MAX_HEADER: usize = 4096;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(draft: serde_json::Value) -> (Written, String) {
        let draft: Draft = serde_json::from_value(draft).unwrap();
        let owner = Owner {
            address: "ann@acme.example".into(),
            name: Some("Ann \"A\" Ä".into()),
        };
        let written = draft.check().unwrap().write(&owner).unwrap();
        let text = String::from_utf8(written.bytes.clone()).unwrap();
        (written, text)
    }

    #[test]
    fn a_letter_says_who_and_hides_whom_it_should() {
        let (letter, text) = written(json!({
            "to": [{"address": "bob@x.example", "name": "Bob, Jr."}],
            "cc": [{"address": "cc@x.example"}, {"address": "bob@x.example"}],
            "bcc": [{"address": "hidden@x.example"}],
            "subject": "Grüße",
            "textBody": "Hi\n.\nthere",
            "inReplyTo": "<1@x>", "references": ["<0@x>", "<1@x>"],
        }));
        let to: Vec<_> = letter.to.iter().map(Path::as_str).collect();
        assert_eq!(to, ["bob@x.example", "cc@x.example", "hidden@x.example"]);
        assert_eq!(letter.from.as_str(), "ann@acme.example");
        assert!(!text.contains("hidden"), "{text}");
        for line in [
            "To: =?utf-8?b?Qm9iLCBKci4=?= <bob@x.example>",
            "In-Reply-To: <1@x>",
            "References: <0@x> <1@x>",
            "Subject: =?utf-8?b?R3LDvMOfZQ==?=",
            &format!("Message-ID: {}", letter.id),
        ] {
            assert!(text.contains(&format!("{line}\r\n")), "{line}: {text}");
        }
        assert!(text.is_ascii());
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{text:?}");
    }

    #[test]
    fn files_go_along_whatever_they_are_called() {
        let (_, text) = written(json!({
            "to": [{"address": "bob@x.example"}],
            "textBody": "a", "htmlBody": "<p>a</p>",
            "attachments": [
                {"filename": "Überblick \"1\";.pdf", "contentType": "application/pdf", "content": "JVBERg=="},
                {"filename": "plain.txt", "content": "eA=="},
            ],
        }));
        assert!(text.contains("multipart/mixed") && text.contains("multipart/alternative"));
        assert!(
            text.contains("filename*0*=utf-8''%C3%9Cberblick%20%221%22%3B.pdf"),
            "{text}"
        );
        assert!(text.contains("filename=\"plain.txt\""));
    }
}
