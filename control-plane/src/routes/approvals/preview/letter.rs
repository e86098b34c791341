//! A letter that an agent wants to send from a mailbox, read as the data plane reads it. Whom an answer
//! goes to follows from the letter that it answers, which is in the mailbox and not looked up: that is
//! said instead.

use std::sync::LazyLock;

use ah5_contracts::approval;
use ah5_contracts::policy::Method;
use ah5_mail::mailbox::{self, How, Operation, Outgoing};
use ah5_policy::CanonicalUrl;
use ah5_providers::catalogue;
use serde::Serialize;

use super::Field;
use super::mail::{File, Mail};
use super::mask::Mask;

/// The letter in the mailbox that is answered or handed on.
#[derive(Serialize)]
pub struct About {
    kind: &'static str,
    folder: String,
    /// Its UID.
    message: u32,
}

/// `None` for what is for no mailbox, or sends nothing.
pub fn read(request: &approval::Request, url: Option<&CanonicalUrl>) -> Option<Mail> {
    let url = url.filter(|url| ORIGIN.as_deref() == Some(&*url.origin()))?;
    let query = url.query_pairs();
    let asked = mailbox::Request {
        method: Method::from_name(&request.method)?,
        path: url.path(),
        query: query
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect(),
        body: match &request.body {
            approval::Body::Text(text) => text.as_bytes(),
            approval::Body::Base64(_) | approval::Body::None => &[],
        },
        download: false,
    };
    Operation::parse(&asked).ok()?.outgoing().map(show)
}

fn show(letter: Outgoing) -> Mail {
    let headers = letter.headers.into_iter();
    // They stand in the body, too, and count there.
    let mut mask = Mask::default();
    let mut masked = |text: String| mask.value("", &text);
    let headers = headers.map(|(name, value)| Field {
        name: name.to_owned(),
        value: masked(value),
    });
    let headers = headers.collect();
    Mail {
        recipients: letter.recipients,
        note: letter.about.as_ref().map(note),
        about: letter.about.map(About::of),
        subject: None,
        headers,
        content: letter.text.map(&mut masked).unwrap_or_default(),
        html: letter.html.map(&mut masked),
        attachments: letter.files.into_iter().map(File::of).collect(),
    }
}

fn note(about: &mailbox::About) -> String {
    let which = format!("message {} in folder {}", about.uid, about.folder);
    match about.how {
        How::Forward => format!("Hands on the text of {which}, which is not shown here."),
        How::Reply => format!(
            "An answer to {which}. It goes to whom that message is from; who that is, is not known here."
        ),
        How::ReplyAll => format!(
            "An answer to {which}. It goes to whom that message is from and to everybody else whom it \
             names in To and Cc; who they are, is not known here."
        ),
    }
}

// === impl About ===

impl About {
    fn of(about: mailbox::About) -> Self {
        Self {
            kind: match about.how {
                How::Forward => "forward",
                How::Reply => "reply",
                How::ReplyAll => "reply_all",
            },
            folder: about.folder,
            message: about.uid,
        }
    }
}

static ORIGIN: LazyLock<Option<String>> = LazyLock::new(|| {
    let service = catalogue::find("email-imap")?;
    service.base_url().map(CanonicalUrl::origin)
});
