//! A mail as it stands in a request to send it: base64url in a member `raw`, or the body itself. Every
//! header is shown, in order, and every field that names recipients, so that nobody is written to
//! unseen.

use ah5_mail::mailbox::{Attached, contents};
use ah5_policy::body::Json;
use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use serde::Serialize;

use super::Field;
use super::letter::About;

#[derive(Default, Serialize)]
pub struct Mail {
    /// Everybody whom the request names: in a mail that is ready, the values of all fields that do.
    pub recipients: Vec<String>,
    /// In words, what the request does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// Decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    pub headers: Vec<Field>,
    /// Of a mail that is ready as it is written: parts and codings are not resolved.
    pub content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    pub attachments: Vec<File>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    filename: Option<String>,
    content_type: String,
    size: usize,
}

/// Every member `raw` of the body or of an object in it that holds a mail.
pub fn find(body: &Json<'_>) -> Vec<Mail> {
    let Json::Object(members) = body else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, value) in members {
        match value {
            Json::Text(text) if name == "raw" => found.extend(read(text)),
            Json::Object(_) => {
                found.extend(value.member("raw").and_then(Json::as_text).and_then(read))
            }
            _ => {}
        }
    }
    found
}

fn read(coded: &str) -> Option<Mail> {
    let standard: String = coded
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let decoder = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
    of(decoder.decode(standard).ok()?)
}

/// `None` for what is no mail.
pub fn of(bytes: Vec<u8>) -> Option<Mail> {
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
    let (head, content) = text.split_once("\n\n").unwrap_or((&text, ""));
    let headers = headers(head)?;
    let recipients = headers.iter().filter(|field| {
        let name = field.name.to_ascii_lowercase();
        RECIPIENTS.contains(&name.strip_prefix("resent-").unwrap_or(&name))
    });
    let recipients = recipients.map(|field| field.value.clone()).collect();
    let content = content.to_owned();
    let found = contents(bytes);
    let note = found.is_none().then(|| UNSORTED.to_owned());
    let (subject, files) = found.map(|it| (it.subject, it.files)).unwrap_or_default();
    Some(Mail {
        recipients,
        note,
        subject,
        headers,
        content,
        attachments: files.into_iter().map(File::of).collect(),
        ..Mail::default()
    })
}

// === impl File ===

impl File {
    pub fn of(file: Attached) -> Self {
        Self {
            filename: file.name,
            content_type: file.kind,
            size: file.size,
        }
    }
}

/// RFC 5322 §2.2.3: a line that begins with a blank goes on with the one before.
fn headers(head: &str) -> Option<Vec<Field>> {
    let mut fields: Vec<Field> = Vec::new();
    for line in head.split('\n') {
        if line.starts_with([' ', '\t']) {
            let last = fields.last_mut()?;
            last.value.push(' ');
            last.value.push_str(line.trim());
            continue;
        }
        let (name, value) = line.split_once(':')?;
        fields.push(Field {
            name: name.trim_end().to_owned(),
            value: value.trim().to_owned(),
        });
    }
    Some(fields)
}

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const RECIPIENTS: [&str; 3] = ["bcc", "cc", "to"];
const UNSORTED: &str = "The mail has too many parts to be taken apart here: whatever is attached to it stands \
    in its content.";
