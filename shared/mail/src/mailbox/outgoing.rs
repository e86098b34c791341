//! A letter that is yet to be sent, for the person who is asked about it: what its request tells, and
//! which letter of the mailbox the rest follows from. Nothing is looked up.

use super::address::Named;
use super::letter::{Draft, File, References};
use super::operation::{Operation, Which};
use super::{bounds, heavy, message};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Addresses alone: a name does not say where a letter goes.
    pub recipients: Vec<String>,
    /// As a letter's head names them, and `Bcc`, which it leaves out.
    pub headers: Vec<(&'static str, String)>,
    pub text: Option<String>,
    pub html: Option<String>,
    pub files: Vec<Attached>,
    pub about: Option<About>,
}

/// The letter that it answers or hands on.
#[derive(Debug, PartialEq, Eq)]
pub struct About {
    pub uid: u32,
    pub folder: String,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Forward,
    /// To whom it was from.
    Reply,
    /// Also to the others whom it names.
    ReplyAll,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Attached {
    pub name: Option<String>,
    pub kind: String,
    /// Decoded.
    pub size: usize,
}

/// What a letter that is ready to be sent has besides its text.
#[derive(Debug, PartialEq, Eq)]
pub struct Contents {
    pub subject: Option<String>,
    pub files: Vec<Attached>,
}

/// `None` for a letter that takes more than a look to be taken apart.
#[must_use]
pub fn contents(mut letter: Vec<u8>) -> Option<Contents> {
    heavy(letter.len(), || {
        let room = bounds::tame(&mut letter).ok()?;
        let letter = (room <= MOST_ROOM).then(|| message::parse(&letter))??;
        let files = message::attachments(&letter).into_iter();
        let files = files.map(|file| Attached {
            name: file.filename,
            kind: file.content_type,
            size: file.size,
        });
        Some(Contents {
            subject: message::subject(&letter),
            files: files.collect(),
        })
    })
}

// === impl Operation ===

impl Operation {
    /// `None` for what sends no letter.
    #[must_use]
    pub fn outgoing(&self) -> Option<Outgoing> {
        match self {
            Self::Forward(which, asked) => {
                let mut outgoing = Outgoing::about(which, How::Forward);
                outgoing.to("To", &asked.to);
                outgoing.text.clone_from(&asked.text_body);
                Some(outgoing)
            }
            Self::Reply(which, asked) => {
                let how = match asked.reply_all {
                    true => How::ReplyAll,
                    false => How::Reply,
                };
                Some(Outgoing {
                    text: asked.text_body.clone(),
                    html: asked.html_body.clone(),
                    ..Outgoing::about(which, how)
                })
            }
            Self::Send(draft) => Some(Outgoing::of(draft)),
            _ => None,
        }
    }
}

// === impl Outgoing ===

impl Outgoing {
    fn about(which: &Which, how: How) -> Self {
        Self {
            about: Some(About {
                uid: which.uid,
                folder: which.folder.as_str().to_owned(),
                how,
            }),
            ..Self::default()
        }
    }

    fn of(draft: &Draft) -> Self {
        let mut outgoing = Self {
            text: draft.text_body.clone(),
            html: draft.html_body.clone(),
            files: draft.attachments.iter().map(File::attached).collect(),
            ..Self::default()
        };
        outgoing.put("From", draft.from.as_ref().map(written));
        for (name, named) in [("To", &draft.to), ("Cc", &draft.cc), ("Bcc", &draft.bcc)] {
            outgoing.to(name, named);
        }
        outgoing.put("Reply-To", draft.reply_to.as_ref().map(written));
        outgoing.put("Subject", Some(draft.subject.clone()));
        outgoing.put("In-Reply-To", draft.in_reply_to.clone());
        let ids = draft.references.iter().flat_map(References::ids);
        outgoing.put("References", Some(ids.collect::<Vec<_>>().join(" ")));
        outgoing
    }

    fn to(&mut self, name: &'static str, named: &[Named]) {
        for one in named {
            self.recipients.push(one.address.clone());
            self.put(name, Some(written(one)));
        }
    }

    fn put(&mut self, name: &'static str, value: Option<String>) {
        let value = value.filter(|value| !value.is_empty());
        self.headers.extend(value.map(|value| (name, value)));
    }
}

/// In quotes, so that no name looks like another address.
fn written(one: &Named) -> String {
    if one.name.is_empty() {
        return one.address.clone();
    }
    let name = one.name.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{name}\" <{}>", one.address)
}

/// What taking a letter apart may take, for a look.
const MOST_ROOM: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use ah5_contracts::policy::Method;
    use serde_json::{Value, json};

    use super::*;
    use crate::mailbox::Request;

    fn outgoing(target: &str, body: &Value) -> Outgoing {
        let (path, folder) = target.split_once("?folder=").unwrap_or((target, "INBOX"));
        let body = body.to_string();
        let request = Request {
            method: Method::Post,
            path,
            query: vec![("folder".to_owned(), folder.to_owned())],
            body: body.as_bytes(),
            download: false,
        };
        Operation::parse(&request).unwrap().outgoing().unwrap()
    }

    #[test]
    fn everybody_a_letter_goes_to_is_named_and_every_file() {
        let shown = outgoing(
            "/messages/send",
            &json!({
                "to": [{"address": "bob@x.example", "name": "Boss <boss@acme.example>, \"B\""}],
                "cc": [{"address": "cc@x.example"}], "bcc": [{"address": "hidden@x.example"}],
                "replyTo": {"address": "other@x.example"}, "subject": "Hi", "textBody": "a",
                "htmlBody": "b",
                "attachments": [
                    {"filename": "a.pdf", "contentType": "application/pdf", "content": "JVBERg=="},
                    {"filename": "b", "content": ""},
                ],
            }),
        );
        let everybody = ["bob@x.example", "cc@x.example", "hidden@x.example"];
        assert_eq!(shown.recipients, everybody);
        let named = r#""Boss <boss@acme.example>, \"B\"" <bob@x.example>"#;
        let headers = [
            ("To", named),
            ("Cc", "cc@x.example"),
            ("Bcc", "hidden@x.example"),
            ("Reply-To", "other@x.example"),
            ("Subject", "Hi"),
        ];
        let headers = headers.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(shown.headers, headers);
        let texts = (shown.text.as_deref(), shown.html.as_deref());
        assert_eq!(texts, (Some("a"), Some("b")));
        let files: Vec<_> = shown
            .files
            .iter()
            .map(|it| (it.name.as_deref().unwrap(), &*it.kind, it.size))
            .collect();
        let binary = "application/octet-stream";
        assert_eq!(files, [("a.pdf", "application/pdf", 4), ("b", binary, 0)]);
        assert_eq!(shown.about, None);
    }

    #[test]
    fn of_an_answer_it_is_told_which_letter_it_answers() {
        for (body, how) in [
            (json!({"textBody": "yes"}), How::Reply),
            (json!({"textBody": "yes", "replyAll": true}), How::ReplyAll),
        ] {
            let shown = outgoing("/messages/7/reply?folder=Later", &body);
            assert_eq!(shown.recipients, [""; 0]);
            let about = About {
                uid: 7,
                folder: "Later".to_owned(),
                how,
            };
            assert_eq!(shown.about, Some(about));
            assert_eq!(shown.text.as_deref(), Some("yes"));
        }
        let to = json!({"to": [{"address": "dan@x.example"}], "textBody": "see below"});
        let shown = outgoing("/messages/7/forward", &to);
        assert_eq!(shown.recipients, ["dan@x.example"]);
        assert_eq!(shown.about.unwrap().how, How::Forward);
    }

    #[test]
    fn a_letter_that_is_ready_is_looked_into() {
        let letter = "Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/mixed; boundary=b\r\n\r\n\
            --b\r\nContent-Type: text/plain\r\n\r\nHi\r\n\
            --b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\n\
            Content-Disposition: attachment; filename=\"a.pdf\"\r\n\
            Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--b--\r\n";
        let found = contents(letter.into()).unwrap();
        assert_eq!(found.subject.as_deref(), Some("Grüße"));
        let file = Attached {
            name: Some("a.pdf".to_owned()),
            kind: "application/pdf".to_owned(),
            size: 4,
        };
        assert_eq!(found.files, [file]);
        assert_eq!(contents("a:b\n".repeat(600_000).into()), None);
    }
}
